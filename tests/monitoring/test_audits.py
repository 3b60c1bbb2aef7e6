"""Which answers are audited: decided once, before grading, by a probability that is kept; and what the estimate makes of it."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitoring.audits import audits
from monitoring.drift import misprediction, window
from monitoring.records.record import Record
from monitoring.records.store import RecordStore


def kept(folder: Path, records) -> RecordStore:
    """A store with these records."""
    store = RecordStore(folder / "records.db")

    async def append() -> None:
        await asyncio.gather(*(store.append(record) for record in records))

    asyncio.run(append())
    return store


def test_every_record_is_decided_on_once(tmp_path: Path, world, rules) -> None:
    """About the share is drawn; a second look, a second process and a later grade change no decision; failures are not drawn."""
    records = [replace(record, status="error" if at % 10 == 0 else "ok") for at, record in enumerate(world.records(1000))]
    store, profile = kept(tmp_path, records), world.profile()
    often = rules.model_copy(update={"audit_share": 0.1})
    count = audits.draw(store, "1", profile, often)
    assert 60 <= count <= 150
    assert audits.draw(RecordStore(tmp_path / "records.db"), "1", profile, often) == 0
    waiting = store.to_audit(1000)
    assert len(waiting) == count
    assert {record.status for record in waiting} == {"ok"}
    assert all(0 < (record.drawn_with or 0) <= 1 for record in waiting)
    asyncio.run(store.report_outcome(waiting[0].id, 1.0, "audit"))
    assert waiting[0].id not in {record.id for record in store.to_audit(1000)}
    assert store.audited("1")[0].drawn_with == waiting[0].drawn_with


def test_small_domains_unsure_and_novel_answers_have_better_chances(world, rules) -> None:
    """A domain of a tenth of traffic gets about half of the draws of two; promises near .5 and unknown queries are drawn more."""
    coding = [record for record in world.records(3000) if record.domain == "coding"][:90]
    reading = [record for record in world.records(3000, prefix="s") if record.domain == "reading"][:810]
    even = [replace(record, scores=(0.2, 0.2, 0.5), llm="large") for record in [*coding, *reading]]

    def chances(records: list[Record]) -> list[float]:
        return [chance.probability for chance in audits.chances_of(records, even, world.profile(), rules)]

    chance = chances(even)
    assert sum(chance[:90]) == pytest.approx(sum(chance[90:]), rel=0.3)
    assert np.mean(chance) == pytest.approx(rules.audit_share, rel=0.2)
    sure = [replace(even[0], scores=(0.2, 0.2, 0.98)), even[0]]
    assert np.divide(*chances(sure)) < 0.5
    law = replace(even[0], embedding=world.records(1, novel=1.0)[0].embedding)
    assert np.divide(*chances([law, even[0]])) == pytest.approx(2)


def test_choices_of_chance_have_better_chances(world, rules) -> None:
    """They stand for many requests where another policy is judged; the reason is told."""
    usual = world.records(200)
    drawn = replace(usual[0], id="drawn", decision={"action": {"first": "small", "usual": "large"}})
    plain = replace(usual[0], id="plain", decision={"action": {"first": "large", "usual": "large"}})
    chances = audits.chances_of([drawn, plain], usual, world.profile(), rules)
    assert chances[0].probability == pytest.approx(audits.EXPLORED * chances[1].probability)
    assert chances[0].why[0] == "chance chose this LLM"


def test_unequal_draws_leave_the_estimate_without_bias(world, rules) -> None:
    """One domain is answered badly and audited far more often than its share: weighted, quality is right and covered; unweighted not."""
    rng, covered, weighted, plain = np.random.default_rng(0), 0, [], []
    for _ in range(300):
        bad = rng.random(600) < 0.2
        promised, truth = np.full(600, 0.7), np.where(bad, 0.2, 0.7)
        outcome = (rng.random(600) < truth).astype(float)
        chance = np.where(bad, 0.4, 0.05)
        drawn = rng.random(600) < chance
        if drawn.sum() < 10:
            continue
        found = misprediction.estimated_quality(promised, promised[drawn], outcome[drawn], confidence=0.95, drawn_with_M=chance[drawn])
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.6 <= found.high
        weighted.append(found.value)
        plain.append(0.7 + (outcome[drawn] - 0.7).mean())
    assert np.mean(weighted) == pytest.approx(0.6, abs=0.01)
    assert np.mean(plain) < 0.5
    assert covered >= 0.9 * len(weighted)


def test_a_window_estimates_from_its_draws(world, rules) -> None:
    """Audits that somebody chose stand beside and do not count where enough were drawn."""
    records = world.records(300, audited=1.0)
    drawn = [replace(record, drawn_with=0.2) for record in records[:60]]
    chosen = [replace(record, outcome=replace(record.outcome, score=0.0)) for record in records[60:]]
    measured = window.measure([*drawn, *chosen], world.profile(), rules, scorer_version="1", index=0).stats.quality
    assert measured is not None
    assert measured.value > 0.3  # all others were graded 0


def test_a_restart_decides_the_same(world) -> None:
    """The draw is a hash of the id: what two hosts decide of the same record with the same chance is the same."""
    decided = [audits._drawn(record.id, audits.Chance(0.3, None)).drawn for record in world.records(200)]
    assert decided == [audits._drawn(record.id, audits.Chance(0.3, None)).drawn for record in world.records(200)]
    assert not audits._drawn("r-0", audits.Chance(0.0239, None)).drawn  # sha256 of "audit r-0" as a part of 2**64: in every process
    assert audits._drawn("r-0", audits.Chance(0.0241, None)).drawn
    assert 0.2 < Counter(decided)[True] / 200 < 0.4
