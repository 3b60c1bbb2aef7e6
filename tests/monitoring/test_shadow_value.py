"""What a shadow's choices would have brought, from records, kept choices, audits and draws in a real store; and why it cannot be told."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from monitoring.policies import logged_actions, policy_value, shadow_value
from monitoring.policies.logged_actions import Target
from monitoring.policies.logged_traffic import Traffic
from monitoring.policies.shadow_value import ShadowValues, estimate
from monitoring.records.record import AUDIT, Draw, Record
from monitoring.records.shadow import Choice, Shadow
from monitoring.records.store import RecordStore
from registry.settings import Settings
from tests.monitoring.test_logged_actions import served

QUALITY = {"small": 0.25, "middle": 0.5, "large": 1.0}
DRAWN = [number / 10 for number in range(10)]  # half of the requests are drawn among three


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """Empty, of a file, by a clock that stands still."""
    return RecordStore(tmp_path / "var" / "records.db", clock=lambda: 2000.0)


def scored(record: Record, llm: str | None, at: float = 1500.0) -> Shadow:
    """Version 2 would have asked this LLM."""
    choice, usual = llm and Choice(llm, 0.9, 0.001), Choice("large", 0.7, 0.001)
    return Shadow(record.id, "2", "1", choice or None, usual, same=llm == "large", alike=False, scored_at=at)


def keep(
    store: RecordStore,
    records: Sequence[Record],
    *,
    asks: str | None = "middle",
    left: Sequence[Record] = (),
    audited: bool = True,
    scored_at: float = 1500.0,
) -> None:
    """These, with the shadow's choice for those that were answered and not `left` out, each audited for sure."""

    async def write() -> None:
        for record in records:
            await store.append(record)
            if record.status == "ok" and record not in left:
                await store.add_shadow(scored(record, asks, scored_at))
        await store.close()

    asyncio.run(write())
    if audited:
        store.decide_draws([Draw(record.id, 1.0, drawn=True) for record in records])
        statement = "INSERT INTO outcomes (record_id, score, source, reported_at) VALUES (?, ?, ?, 0)"
        store.change(statement, [(record.id, QUALITY[record.llm], AUDIT) for record in records if record.llm])


def answers(count: int) -> list[Record]:
    """So many, drawn in turn: half usual, a sixth of each LLM beside."""
    return [served(number, at=DRAWN[number % 10]) for number in range(count)]


def test_it_is_what_evaluate_policy_says_of_the_same_choices(store: RecordStore) -> None:
    """The same rows as of a target that asks whom the shadow asked; here the mean of that LLM's answers."""
    records = answers(120)
    keep(store, records)
    found = estimate(store, "1", "2", 0.0)
    assert (found.requests, found.audited, found.why, dict(found.not_judged)) == (120, 120, "", {})
    assert found.explored == sum(record.explored for record in records)
    assert found.ours is not None
    assert found.theirs is not None
    assert found.theirs.quality.value == pytest.approx(0.5)
    assert found.ours.quality.value == pytest.approx(1.0)
    assert found.theirs.quality_difference.value == pytest.approx(-0.5)
    again = Traffic.of(store.scan(0, 2**40), None)
    target = Target("version 2", {record.id: {"small": 0.0, "middle": 1.0, "large": 0.0} for record in records})
    assert found.theirs == policy_value.evaluate(again, [target], version="2", floor=None).rows[1]


def test_what_was_not_judged_is_counted(store: RecordStore) -> None:
    """Failures, requests that the shadow left out, and of those before it began none."""
    before, left, failed = served(900), served(901), served(902, status="error", llm=None)
    keep(store, [before, *answers(60), left, failed], left=[before, left])
    found = estimate(store, "1", "2", 0.0)
    assert found.requests == 60
    assert dict(found.not_judged) == {shadow_value.NOT_SCORED: 1, logged_actions.NO_ANSWER: 1}


def test_without_exploration_it_says_what_it_would_take(store: RecordStore) -> None:
    """The refusal is that of evaluate-policy, with its advice."""
    keep(store, [served(number, at=0.9, explore_share=0.0) for number in range(40)])
    found = estimate(store, "1", "2", 0.0)
    assert "No overlap: in 100% of the requests" in found.why
    assert "ROUTEMOA_EXPLORE__" in found.why
    assert found.ours is not None
    assert found.ours.quality.value == pytest.approx(1.0)


@pytest.mark.parametrize("count", [0, 1, 10])
def test_few_records_are_refused_in_words(store: RecordStore, count: int) -> None:
    """Nothing is made up of them."""
    keep(store, answers(count))
    found = estimate(store, "1", "2", 0.0)
    assert found.requests == count
    assert found.why.startswith(("No request can be judged.", "Too few outcomes", "Too little overlap"))


def test_one_that_could_choose_nobody_is_no_estimate(store: RecordStore) -> None:
    """Whom it asks could not have been asked: refused."""
    keep(store, answers(30), asks=None)
    assert estimate(store, "1", "2", 0.0).why.startswith("No overlap")


def test_the_monitor_writes_it_for_its_servers_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a shadow; anew after a while, and for another version at once; a file of other versions counts for nothing."""
    settings = Settings(_env_file=None, home=tmp_path)
    scorers, reports = settings.var / "scorers", settings.var / "reports"
    scorers.mkdir(parents=True)

    def publish(name: str, version: str) -> None:
        (scorers / f"{name}.json").write_text(json.dumps({"version": version, "folder": version, "content_hash": "0" * 64}))

    values = ShadowValues(settings)
    publish("current", "1")
    assert values.step() is None
    keep(RecordStore.of(settings), [replace(record, created_at=1e9) for record in answers(60)], audited=False)
    monkeypatch.setattr(shadow_value, "DAYS_S", 1e12)
    publish("shadow", "2")
    found = values.step()
    assert found is not None
    assert found.requests == 60
    assert "Too few outcomes" in found.why or "Too little overlap" in found.why
    assert shadow_value.read(reports, "1", "2") == found
    assert shadow_value.read(reports, "1", "3") is None
    assert values.step() is None
    monkeypatch.setattr(shadow_value, "EVERY_S", 0.0)
    assert values.step() is not None
    monkeypatch.undo()
    publish("shadow", "3")
    assert values.step() is not None
    (reports / shadow_value.NAME).write_text('{"champion": "1"}')
    assert shadow_value.read(reports, "1", "3") is None
