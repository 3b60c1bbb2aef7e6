"""Money that keys may spend: held before, settled after, never more than was allowed."""

import asyncio
import multiprocessing
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.access.budgets import Limit, Spend, SqliteBudgets, ends_in_s, make, read, windows
from serving.errors import BudgetSpent, BudgetsUnavailable, headers_of
from serving.settings import ServingSettings

NOW = datetime(2026, 11, 30, 23, 59, 0, tzinfo=UTC)
DAY, MONTH = Limit("k", "day", 1.0, "the key 'k'"), Limit("k", "month", 1.5, "the key 'k'")


@pytest.fixture
def settings(either_url: str, tmp_path: Path) -> ServingSettings:
    return ServingSettings(_env_file=None, home=tmp_path, database_url=either_url)


def test_what_is_held_is_gone_until_it_is_settled(settings: ServingSettings) -> None:
    """The least of day and month decides; a settled hold gives back what was not used, and the next day begins at nothing."""

    async def story() -> None:
        budgets = make(settings)
        first = await budgets.hold([DAY, MONTH], 0.6, 0.6, NOW)
        with pytest.raises(
            BudgetSpent, match=r"The key 'k' may spend 1 USD a day: 0 are spent and 0.6 held.*Ask again in a moment"
        ) as caught:
            await budgets.hold([DAY, MONTH], 0.6, 0.6, NOW)
        assert caught.value.retry_after_s == 2
        assert (await budgets.hold([DAY, MONTH], 0.1, 9.0, NOW)).usd == pytest.approx(0.4)
        await budgets.settle(first, 0.5, NOW)
        with pytest.raises(BudgetSpent, match="begins in 61 s") as caught:
            await budgets.hold([DAY, MONTH], 0.6, 0.6, NOW)
        assert caught.value.retry_after_s == 61
        tomorrow = NOW.replace(month=12, day=1)
        assert (await budgets.hold([DAY, MONTH], 0.6, 0.6, tomorrow)).usd == 0.6
        await budgets.close()

    asyncio.run(story())
    day, month = read(settings, windows("k", NOW))
    assert (day.spent_usd, day.held_usd, day.requests, month.spent_usd) == (0.5, pytest.approx(0.4), 1, 0.5)


def test_what_no_day_has_room_for_is_not_to_be_tried_again(settings: ServingSettings) -> None:
    """A new budget tomorrow would refuse it as well: no wait is named, and clients do not retry."""

    async def story() -> None:
        budgets = make(settings)
        with pytest.raises(BudgetSpent, match="No day has room for it: lower max_tokens or raise the budget") as caught:
            await budgets.hold([DAY], 1.2, 9.0, NOW)
        assert headers_of(caught.value) == {"x-should-retry": "false"}
        await budgets.close()

    asyncio.run(story())


def test_the_platforms_budget_stands_above_the_keys(settings: ServingSettings) -> None:
    """Two keys that have enough share what all may spend, and nothing is held where one limit refuses."""

    async def story() -> None:
        budgets, above = make(settings), Limit("platform", "day", 0.5, "all keys together")
        await budgets.hold([DAY, above], 0.3, 0.3, NOW)
        with pytest.raises(BudgetSpent, match=r"All keys together may spend 0\.5"):
            await budgets.hold([Limit("other", "day", 9, "other"), above], 0.3, 0.3, NOW)
        await budgets.close()

    asyncio.run(story())
    assert read(settings, [("other", "2026-11-30")]) == [Spend()]


def test_what_cannot_be_counted_is_not_spent(tmp_path: Path) -> None:
    """A file that is no database refuses, and so does a lock that nobody gives back."""
    (tmp_path / "spend.db").write_text("no database, though it is long enough to look like one" * 100)
    with pytest.raises(BudgetsUnavailable, match="cannot be counted"):
        asyncio.run(SqliteBudgets(tmp_path / "spend.db").hold([DAY], 0.1, 0.1, NOW))


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else on the machine reads who spent what."""
    settings = ServingSettings(_env_file=None, home=tmp_path)
    asyncio.run(make(settings).hold([DAY], 0.1, 0.1, NOW))
    assert settings.spend_file.stat().st_mode & 0o777 == 0o600


def _take(settings: ServingSettings, times: int, admitted: "multiprocessing.Queue[int]") -> None:
    async def story() -> int:
        budgets, count = make(settings), 0
        for at in range(times):
            try:
                hold = await budgets.hold([Limit("k", "day", 1.0, "k")], 0.01, 0.01, NOW)
            except BudgetSpent:
                continue
            count += 1
            if at % 2:
                await budgets.settle(hold, 0.01, NOW)
        return count

    admitted.put(asyncio.run(story()))


def test_several_workers_admit_no_more_than_one_budget_has(settings: ServingSettings) -> None:
    """Three processes of two hundred tries each, at once: exactly the hundred that there is money for, settled or not."""
    context = multiprocessing.get_context("spawn")
    admitted: multiprocessing.Queue[int] = context.Queue()
    workers = [context.Process(target=_take, args=(settings, 200, admitted)) for _ in range(3)]
    for each in workers:
        each.start()
    assert sum(admitted.get(timeout=100) for _ in workers) == 100
    for each in workers:
        each.join()
    (day,) = read(settings, [("k", "2026-11-30")])
    assert day.spent_usd + day.held_usd == pytest.approx(1.0)


steps = st.lists(st.tuples(st.floats(0.001, 0.5), st.floats(0, 1)), max_size=40)


@given(steps)
def test_spent_and_held_never_pass_the_limit(taken: list[tuple[float, float]]) -> None:
    """Whatever is held in whatever order, where a request costs no more than was held for it."""

    async def story() -> None:
        budgets, open_holds = SqliteBudgets(Path(folder) / "spend.db"), []
        for usd, share in taken:
            try:
                open_holds.append(await budgets.hold([DAY], usd, 2 * usd, NOW))
            except BudgetSpent:
                if open_holds:
                    hold = open_holds.pop(0)
                    await budgets.settle(hold, share * hold.usd, NOW)
            used = budgets._connection.execute("SELECT spent_usd + held_usd FROM spend").fetchone()
            assert used is None or 0 <= used[0] <= 1.0 + 1e-6
        await budgets.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story())


@pytest.mark.parametrize(("now", "day_s", "month_s"), [(NOW, 61, 61), (NOW.replace(month=12, day=31, hour=0, minute=0), 86401, 86401)])
def test_windows_are_utc_days_and_months(now: datetime, day_s: int, month_s: int) -> None:
    """A year's end ends both."""
    assert (ends_in_s("day", now), ends_in_s("month", now)) == (day_s, month_s)
