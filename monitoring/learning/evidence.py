"""What the records of a scorer version say of each of its LLMs: their outcomes, as `monitoring.learning.residual` reads them.

Only answers of LLMs that were asked alone speak: of several the likeliest is served, which says more of the choice than of the LLM.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.learning.features import Features
from monitoring.learning.learned import log_odds
from monitoring.learning.residual import MOST_OUTCOMES, Outcomes
from monitoring.learning.settled import aged, drawn
from monitoring.records.record import AUDIT, Record
from monitoring.records.store import RecordStore

MOST_RECORDS = 2_000  # with an outcome, the newest
HALF_LIFE = 4_000.0  # requests (chosen in docs/results/online.md)
SIGNATURE = "SELECT count(*), max(reported_at), (SELECT max(number) FROM records) FROM outcomes"
JUDGED = "FROM records JOIN outcomes ON record_id = id WHERE scorer_version = ? AND length(embedding) > 0 AND status = 'ok'"


@dataclass(frozen=True, slots=True)
class Judged:
    """A record with an outcome, and how many requests of any kind came after it."""

    record: Record
    requests_ago: int


def signature(store: RecordStore, version: str) -> tuple[object, ...]:
    """Another one wherever another outcome may have come, or so many requests that outcomes count less. Blocks.

    Outcomes of all versions count: to tell them apart is to read every record.
    """
    every = HALF_LIFE / 8
    count, last, newest = store.ask(SIGNATURE)[0]
    return version, int(count), last, int((newest or 0) // every)


def judged(store: RecordStore, version: str) -> list[Judged]:
    """The newest records of this version that have an outcome, the oldest first. Blocks."""
    rows = store.ask(f"SELECT id, records.number {JUDGED} ORDER BY records.number DESC LIMIT ?", (version, MOST_RECORDS))
    newest = int(store.ask("SELECT coalesce(max(number), 0) FROM records")[0][0])
    numbers = {str(record_id): int(number) for record_id, number in rows}
    return [Judged(record, newest - numbers[record.id]) for record in store.of_ids(list(numbers))]


def alone(record: Record) -> bool:
    """Whether one LLM of the roster was asked and answered."""
    runs = sum(len(layer.get("runs", ())) for layer in record.decision.get("layers", ()))
    return record.llm in record.roster and runs == 1


def by_llm(records: Sequence[Judged], roster: tuple[str, ...], features: Features, feedback: float) -> list[Outcomes]:
    """In roster order. feedback: what an outcome that somebody reported counts, beside an audit's 1."""
    return [_outcomes([each for each in records if each.record.llm == llm and alone(each.record)], features, feedback) for llm in roster]


def _outcomes(records: Sequence[Judged], features: Features, feedback: float) -> Outcomes:
    records = records[-MOST_OUTCOMES:]
    if not records:
        return Outcomes(np.zeros((0, 1 + features.dims)), *(np.zeros(0) for _ in range(3)))
    outcomes = [each.record.outcome for each in records]
    audited_N = np.array([outcome is not None and outcome.source == AUDIT for outcome in outcomes])
    chance_N = np.array([each.record.drawn_with or 1.0 for each in records])
    count_N = np.full(len(records), feedback)
    count_N[audited_N] = drawn(chance_N[audited_N])
    return Outcomes(
        features(np.stack([each.record.embedding for each in records])),
        log_odds(np.array([each.record.predicted for each in records], dtype=np.float64)),
        np.array([0.0 if outcome is None else outcome.score for outcome in outcomes]),
        count_N * aged(np.array([each.requests_ago for each in records]), HALF_LIFE),
    )
