"""From records to what was learnt: which outcomes speak, how much, and what becomes of it when the version changes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring import certificate_void, watch
from monitoring.learning import evidence, table
from monitoring.learning.learner import Learner
from monitoring.policies.shadow_value import ShadowValues
from monitoring.records.record import AUDIT, Draw, Record
from monitoring.records.store import RecordStore
from registry.settings import Settings
from scorer.errors import ArtifactRefused
from scorer.recorded_calls import RecordedCalls
from scorer.weights import unit
from tests.monitoring.learning.test_learned import corrected
from tests.scorer.tiny import DIMS, tiny_artifact

ALONE = {"layers": [{"runs": [{"llm": "a"}]}]}
TWO = {"layers": [{"runs": [{"llm": "a"}, {"llm": "b"}]}]}
ROSTER = ("a", "b", "c")


@pytest.fixture
def settings(either_url: str, tmp_path: Path) -> Settings:
    """A host on whose records a bandit learns; in a file, and in PostgreSQL."""
    made = Settings(_env_file=None, home=tmp_path, database_url=either_url, learning="bandit")
    publish(made, "1")
    return made


def publish(settings: Settings, version: str) -> None:
    """Makes a version current that has 500 labels of each LLM."""
    scorers = settings.var / "scorers"
    calls = {llm: RecordedCalls(500, 10.0, 10.0) for llm in ROSTER}
    tiny_artifact(scorers / version, roster=ROSTER, recorded_calls=calls)
    current = {"version": version, "folder": version, "published_at": "2026-01-01T00:00:00Z", "certificate": ""}
    (scorers / "current.json").write_text(json.dumps(current))


@pytest.fixture
def served(make_record: Callable[..., Record]) -> Callable[..., Record]:
    """A record of an answer of `a`, promised .8."""
    random = np.random.default_rng(0)

    def make(name: str, **changed: Any) -> Record:
        embedding = unit(random.normal(size=DIMS))
        values = {"roster": ROSTER, "scores": (0.8, 0.5, 0.5), "llm": "a", "embedding": embedding, "decision": ALONE} | changed
        return make_record(name, **values)

    return make


def keep(settings: Settings, records: list[Record], *, score: float, source: str = AUDIT) -> None:
    """Appends the records with an outcome each."""

    async def scenario() -> None:
        store = RecordStore.of(settings)
        await asyncio.gather(*(store.append(record) for record in records))
        await asyncio.gather(*(store.report_outcome(record.id, score, source) for record in records))
        await store.close()

    asyncio.run(scenario())


def test_broken_promises_lower_their_llm_alone(settings: Settings, served) -> None:
    """Forty audits at 0 of an LLM that was promised .8: its score falls far, the others' stay to the bit; then nothing new is there."""
    learner = Learner(settings)
    first = learner.step()
    assert first is not None
    assert first.outcomes_L == (0, 0, 0)
    query_QD, scores_QL = unit(np.ones((1, DIMS))), np.array([[0.8, 0.5, 0.25]])
    np.testing.assert_array_equal(corrected(first.learned, scores_QL, query_QD), scores_QL)
    keep(settings, [served(f"r{at}") for at in range(40)], score=0.0)
    made = learner.step()
    assert made is not None
    assert (made.version, made.roster, made.outcomes_L) == ("1", ROSTER, (40, 0, 0))
    corrected_L = corrected(made.learned, scores_QL, query_QD)[0]
    assert corrected_L[0] < 0.2
    np.testing.assert_array_equal(corrected_L[1:], scores_QL[0, 1:])
    assert learner.step() is None
    again = table.read(settings.var / table.NAME)
    assert again is not None
    np.testing.assert_array_equal(corrected(again.learned, scores_QL, query_QD)[0], corrected_L)


def test_only_answers_of_llms_that_were_asked_alone_speak(settings: Settings, served) -> None:
    """Of two answers the likelier is served; a synthesis is nobody's; another version's outcomes are another version's."""
    records = [
        served("alone"),
        served("of-two", decision=TWO),
        served("synthesis", llm=None),
        served("other-version", scorer_version="0"),
        served("no-text", embedding=np.zeros(0, dtype=np.float32)),
    ]
    keep(settings, records, score=0.0)
    made = Learner(settings).step()
    assert made is not None
    assert made.outcomes_L == (1, 0, 0)


def test_a_corrected_outcome_counts_once_and_as_it_is_now(settings: Settings, served) -> None:
    """All is reckoned anew: reports that an audit overrules leave nothing behind."""
    records = [served(f"r{at}") for at in range(30)]
    keep(settings, records, score=0.0, source="user")
    learner = Learner(settings)
    before = learner.step()
    keep(settings, records, score=1.0)
    after = learner.step()
    assert before is not None
    assert after is not None
    assert after.outcomes_L == before.outcomes_L == (30, 0, 0)
    assert after.learned.mean_CLF[0, 0, 0] > 0 > before.learned.mean_CLF[0, 0, 0]


def test_whether_anything_came_is_told_without_the_records(tmp_path: Path) -> None:
    """A monitor asks every few seconds, and at 50 requests a second there are millions."""
    plan = " / ".join(row[3] for row in RecordStore(tmp_path / "records.db").ask(f"EXPLAIN QUERY PLAN {evidence.SIGNATURE}"))
    assert "SCAN records" not in plan
    assert "records_scored" not in plan


def test_audits_count_by_their_probability_and_reports_less(settings: Settings, served) -> None:
    """An audit that was likelier to be drawn speaks for fewer answers; what users report counts a quarter of one."""
    records = [served("likely"), served("unlikely"), served("reported")]
    keep(settings, records[:2], score=1.0)
    keep(settings, records[2:], score=1.0, source="user")
    store = RecordStore.of(settings)
    store.decide_draws([Draw("likely", 0.5, drawn=True, domain="d", why=()), Draw("unlikely", 0.1, drawn=True, domain="d", why=())])
    found = evidence.judged(store, "1")
    learner = Learner(settings)
    learner.step()
    assert learner._trained is not None
    (of_a, _, _) = evidence.by_llm(found, ROSTER, learner._trained.features, 0.25)
    by_name = dict(zip([each.record.id for each in found], of_a.count_N, strict=True))
    assert by_name["unlikely"] == pytest.approx(5 * by_name["likely"], rel=1e-2)
    assert by_name["reported"] == pytest.approx(0.25, rel=1e-2)


def test_a_verdict_makes_a_change_likelier(settings: Settings, served) -> None:
    """What the monitor wrote of this version counts, as prior odds do."""
    keep(settings, [served(f"r{at}") for at in range(6)], score=0.0)
    learner = Learner(settings)
    before = learner.step()
    path = settings.var / "reports" / certificate_void.NAME
    path.parent.mkdir(parents=True)
    path.write_text('{"version": "1", "at": "now", "verdict": "v", "reasons": ["12% of queries are novel."]}')
    after = learner.step()
    assert before is not None
    assert after is not None
    assert after.learned.changed_L[0] > before.learned.changed_L[0]


def test_another_version_starts_from_nothing(settings: Settings, served) -> None:
    """And what was learnt of the one before is replaced."""
    keep(settings, [served(f"r{at}") for at in range(20)], score=0.0)
    learner = Learner(settings)
    learner.step()
    publish(settings, "2")
    made = learner.step()
    assert made is not None
    assert (made.version, made.outcomes_L, float(made.learned.changed_L.max())) == ("2", (0, 0, 0), 0.0)


def test_what_cannot_be_learnt_from_stops_no_monitor(settings: Settings, served) -> None:
    """An artifact that is broken, a disk that is full: it says so and goes on."""
    keep(settings, [served("r")], score=0.0)
    weights = settings.var / "scorers" / "1" / "scorer.safetensors"
    weights.write_bytes(b"broken")
    with pytest.raises(ArtifactRefused):
        Learner(settings).step()
    watch.for_servers(Learner(settings), ShadowValues(settings))
    assert not (settings.var / table.NAME).exists()


def test_nothing_is_learnt_where_the_operator_did_not_turn_it_on(settings: Settings, served) -> None:
    """Off by default: no file is written."""
    keep(settings, [served("r")], score=0.0)
    off = settings.model_copy(update={"learning": Settings.model_fields["learning"].default})
    assert Learner(off).step() is None
    assert not (settings.var / table.NAME).exists()
