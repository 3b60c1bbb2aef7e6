"""A canary's test: seldom wrong whenever somebody looks, quick where it is broken, and blind to what both versions choose alike."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.audits import audits
from monitoring.policies import canary, canary_end, shadows
from monitoring.policies.canary import Arm
from monitoring.records.record_file import RecordFile
from monitoring.records.record_place import RecordPlace
from monitoring.records.record_tables import RecordTables
from monitoring.records.shadow import Choice, Shadow
from monitoring.records.store import RecordStore
from registry.canary_plan import CanaryPlan
from registry.current_version import PublishedCanary
from registry.database.postgres import opened
from tests.monitoring.one_record import record_of

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = CanaryPlan(share=0.5, audited=0.5)
CANARY = PublishedCanary(version="2", folder="2", plan=PLAN, since=SINCE.isoformat())


def arm(grades: Any, weights: Any = 1.0) -> Arm:
    """Audits that were drawn alike."""
    grade_N = np.asarray(grades, dtype=np.float64)
    return Arm(grade_N, np.broadcast_to(np.asarray(weights, dtype=np.float64), grade_N.shape))


def test_an_equal_canary_is_seldom_stopped_however_often_one_looks() -> None:
    """Of 120 replays of 300 audits, looked at after every tenth: at most one of twenty, and a little for chance."""
    random, stopped = np.random.default_rng(0), 0
    for _ in range(120):
        ours, theirs = (random.random(150) < 0.6, random.random(150) < 0.6)
        stopped += any(canary.odds(arm(ours[:n]), arm(theirs[:n]), harm=0.0, floor=1.0).worse >= 20 for n in range(10, 151, 10))
    assert stopped <= 0.05 * 120 + 5


def test_keys_whose_traffic_differs_seldom_stop_an_equal_canary() -> None:
    """Half of the keys ask what nobody can answer, and all of those come first: chance divides keys, so either version has its part."""
    random, ended = np.random.default_rng(3), []
    for _ in range(100):
        grade_N, of_canary_N = np.sort((random.random(200) < 0.5).astype(float)), random.random(200) < 0.3
        looks = [
            canary.odds(arm(grade_N[:n][~of_canary_N[:n]]), arm(grade_N[:n][of_canary_N[:n]]), harm=0.0, floor=0.02)
            for n in range(5, 201, 5)
        ]
        ended.append(max(max(each.worse, each.not_worse) for each in looks) >= 20)
    assert np.mean(ended) <= 0.05


def test_a_broken_canary_is_told() -> None:
    """Thirty points among the answers that differ take a hundred audits of either; twice as sure the other way round."""
    random = np.random.default_rng(1)
    ours, theirs = (random.random(200) < 0.7).astype(float), (random.random(200) < 0.4).astype(float)
    assert canary.odds(arm(ours), arm(theirs), harm=0.0, floor=0.05).worse > 20
    assert canary.odds(arm(theirs), arm(ours), harm=0.0, floor=0.05).not_worse > 20
    assert canary.odds(arm(theirs), arm(ours), harm=0.0, floor=0.05).worse < 1


def test_a_loss_within_the_floor_is_let_through_and_within_the_harm_not_stopped() -> None:
    """The same answers: five points worse is sure at a floor of nothing, and sure to be fine at a floor of thirty."""
    random = np.random.default_rng(2)
    ours, theirs = (random.random(4000) < 0.60).astype(float), (random.random(4000) < 0.50).astype(float)
    found = canary.odds(arm(ours), arm(theirs), harm=0.0, floor=0.3)
    assert found.worse > 20
    assert found.not_worse > 20
    assert canary.odds(arm(ours), arm(theirs), harm=0.3, floor=0.0).worse < 1


def test_nothing_seen_decides_nothing() -> None:
    """Odds of one; versions that differ on fewer answers than the floor cannot miss it."""
    nothing = arm([])
    found = canary.odds(nothing, nothing, harm=0.0, floor=0.1)
    assert (found.worse, found.not_worse) == (pytest.approx(1), pytest.approx(1))
    assert canary.odds(nothing, nothing, harm=0.0, floor=1.2).not_worse > 1e6


def test_audits_that_were_likelier_weigh_less() -> None:
    """Easy answers of the champion are audited ten times as often; weighed by that, an equal canary is not taken for a worse one."""
    random, stopped = np.random.default_rng(3), 0
    for _ in range(100):
        easy_N = random.random(1000) < 0.5
        right_N = random.random(1000) < np.where(easy_N, 0.9, 0.3)
        chance_N = np.where(easy_N, 0.4, 0.04)
        drawn_N = random.random(1000) < chance_N
        champion = Arm.of(list(zip(right_N[drawn_N].astype(float), chance_N[drawn_N], strict=True)), 0.04)
        theirs = random.random(60) < 0.6
        stopped += canary.odds(champion, arm(theirs), harm=0.0, floor=1.0).worse >= 20
        assert champion.mean == pytest.approx(0.6, abs=0.25)
    assert stopped <= 6


def test_the_share_that_differs_is_bounded_at_all_times() -> None:
    """The truth is within both bounds in every one of 200 runs, looked at a hundred times."""
    random = np.random.default_rng(4)
    for _ in range(200):
        seen_N = (random.random(1000) < 0.2).cumsum()
        for at in range(9, 1000, 10):
            low, high = canary.differing(int(seen_N[at]), at + 1, 0.005)
            assert low <= 0.2 <= high


@pytest.fixture
def place(either_url: str, tmp_path: Path) -> RecordPlace:
    """In a file, and in PostgreSQL."""
    return RecordTables(opened(either_url)) if either_url else RecordFile(tmp_path / "records.db")


def shadow_of(record_id: str, served: str, *, same: bool, unit: str = "u", version: str | None = None, scored: float = 5.0) -> Shadow:
    """What the other of versions 1 and 2 would have decided."""
    other = version or ("2" if served == "1" else "1")
    choice = Choice("large" if same else "small", 0.6, 0.001)
    at, scores = SINCE.timestamp() + scored, {"small": 0.6, "large": 0.7}
    return Shadow(record_id, other, served, choice, Choice("large", 0.75, 0.002), same, same, at, unit, scores)


async def served(store: RecordStore, *shadows_: Shadow, status: str = "ok") -> None:
    """Appends records, a second apart, with what the other version would have decided."""
    for at, shadow in enumerate(shadows_):
        made = SINCE.timestamp() + 1 + at
        record = record_of(shadow.record_id, scorer_version=shadow.served_version, created_at=made, status=status, cost_usd=0.001)
        await store.append(record)
        assert await store.add_shadow(shadow)


def test_what_counts_is_the_first_differing_answer_of_each_session(place: RecordPlace) -> None:
    """Not what both choose alike, not later ones, not those whose version chance did not draw, none that was audited by another rule."""
    store = RecordStore(place)

    async def scenario() -> None:
        await served(
            store,
            shadow_of("first", "2", same=False, unit="a"),
            shadow_of("later", "2", same=False, unit="a"),
            shadow_of("alike", "2", same=True, unit="b"),
            shadow_of("before", "1", same=False, unit=""),
            shadow_of("champion", "1", same=False, unit="c"),
            shadow_of("rare", "1", same=False, unit="d"),
            shadow_of("of a shadow", "1", same=False, unit="e", version="3"),
        )
        assert set(canary.chances(store, "1", CANARY)) == {"first", "champion", "rare"}
        chances = dict.fromkeys(("first", "later", "alike", "before", "champion", "of a shadow"), 0.5) | {"rare": 0.01}
        store.decide_draws([audits.Draw(record_id, chance, drawn=True) for record_id, chance in chances.items()])
        for record_id in chances:
            await store.report_outcome(record_id, 0.0 if record_id in {"later", "alike"} else 1.0, "audit")
        looked = canary.look(store, "1", CANARY)
        assert (looked.canary.grade_N.tolist(), looked.champion.grade_N.tolist()) == ([1.0], [1.0])
        assert (looked.compared, looked.differ) == (5, 4)
        assert (looked.of_champion.requests, looked.of_canary.requests) == (4, 3)
        assert looked.state == "goes on"
        told = looked.as_dict()
        assert told["cost_usd"] == {"champion": pytest.approx(0.001), "canary": pytest.approx(0.001)}
        assert told["difference"] == 0
        await store.close()

    asyncio.run(scenario())


def test_the_first_of_a_session_is_the_first_that_was_kept(place: RecordPlace) -> None:
    """Whichever was scored first; what was scored before the canary began does not count."""
    store = RecordStore(place)

    async def scenario() -> None:
        await served(
            store,
            shadow_of("before", "2", same=False, unit="a", scored=-1.0),
            shadow_of("first", "2", same=False, unit="a", scored=4.0),
            shadow_of("overtook", "2", same=False, unit="a", scored=2.0),
            shadow_of("champion", "1", same=False, unit="a", scored=3.0),
        )
        assert set(canary.chances(store, "1", CANARY)) == {"first", "champion"}
        store.decide_draws([audits.Draw(each, 0.5, drawn=True) for each in ("before", "first", "overtook", "champion")])
        assert canary.chances(store, "1", CANARY) == {}
        for at, each in enumerate(("before", "first", "overtook", "champion")):
            await store.report_outcome(each, at / 4, "audit")
        found = canary.tested(store, "1", CANARY)
        assert (found.canary.grade_N.tolist(), found.champion.grade_N.tolist(), found.compared) == ([0.25], [0.75], 3)
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("statement", [canary.AUDITED, canary.UNDECIDED])
def test_a_look_reads_what_was_drawn_and_no_more(tmp_path: Path, statement: str) -> None:
    """It sorts nothing, and finds the others of a session by an index: at 50 requests a second it goes on for days."""
    values = canary._values("1", CANARY)
    plan = " / ".join(row[3] for row in RecordStore(tmp_path / "records.db").ask(f"EXPLAIN QUERY PLAN {statement}", values))
    assert "shadows_of_units" in plan
    assert "TEMP B-TREE" not in plan
    assert "SEARCH shadows USING INDEX sqlite_autoindex_shadows_1" in plan


def test_a_shadow_goes_with_its_record(place: RecordPlace) -> None:
    """One of a record that is not there is not kept; a second one changes nothing; forgetting the record forgets it."""
    store = RecordStore(place)

    async def scenario() -> None:
        await served(store, shadow_of("r", "1", same=False))
        assert not await store.add_shadow(shadow_of("r", "1", same=True))
        assert not await store.add_shadow(shadow_of("nobody", "1", same=True))
        unable = Shadow("r", "3", "1", None, Choice("large", 0.75, 0.002), same=False, alike=False, scored_at=5.0, why_not="nobody may")
        assert await store.add_shadow(unable)
        kept = await store.get("r")
        assert kept is not None
        assert [(each["scorer_version"], each["llm"], each["same"]) for each in kept["shadows"]] == [("2", "small", 0), ("3", None, 0)]
        found = shadows.compare(store, "1", "3", 0.0)
        assert (found.requests, found.not_scored, found.why_not, found.agreement) == (1, 1, {"nobody may": 1}, None)
        assert store.forget(SINCE.timestamp() + 100) == 1
        assert store.ask("SELECT count(*) FROM shadows") == [(0,)]
        await store.close()

    asyncio.run(scenario())


def test_what_is_known_of_a_shadow(tmp_path: Path) -> None:
    """Agreement, promises and money over the same requests; the value where both choose alike, from their audits."""
    store = RecordStore(tmp_path / "records.db")

    async def scenario() -> None:
        await served(store, *(shadow_of(f"r{at}", "1", same=at % 4 > 0) for at in range(40)))
        store.decide_draws([audits.Draw(f"r{at}", 0.5, drawn=True) for at in range(40)])
        for at in range(40):
            await store.report_outcome(f"r{at}", float(at % 2), "audit")

    asyncio.run(scenario())
    found = shadows.compare(store, "1", "2", 0.0)
    assert (found.requests, found.agreement) == (40, 0.75)
    assert (found.champion.promised, found.challenger.promised) == (pytest.approx(0.75), pytest.approx(0.6))
    assert (found.champion.usd, found.challenger.usd) == (pytest.approx(0.08), pytest.approx(0.04))
    assert found.by_llm == (("large", 40, 30), ("small", 0, 10))
    assert (found.agreed.answers, found.agreed.audited) == (30, 30)
    assert found.agreed.value == pytest.approx(2 / 3, abs=0.05)
    assert "On 25% of requests they choose differently" in found.as_dict(None)["value"]["why"]


def test_the_answers_that_tell_are_audited_more(tmp_path: Path, world: Any, rules: Any) -> None:
    """With the chance that the plan says, kept with each draw; of records made a moment ago nothing is decided yet."""
    store, records = RecordStore(tmp_path / "records.db"), world.records(300)

    async def scenario() -> None:
        await asyncio.gather(*map(store.append, records))

    asyncio.run(scenario())
    some = {record.id: 0.9 for record in records[:50]}
    audits.draw(store, "1", world.profile(), rules, wanted=some, until=records[200].created_at)
    decided = dict(store.ask("SELECT id, probability FROM draws JOIN records ON records.number = draws.number"))
    assert len(decided) == 200
    assert {decided[each] for each in some} == {0.9}
    assert max(decided[record.id] for record in records[50:200]) <= 10 * rules.audit_share
    audits.draw(store, "1", world.profile(), rules)
    assert len(store.undecided(500)) == 0


def test_no_canary_no_look(tmp_path: Path) -> None:
    """On a host where none is published."""
    from registry.settings import Settings

    (tmp_path / "var").mkdir()
    assert canary_end.step(Settings(_env_file=None, home=tmp_path)) is None
