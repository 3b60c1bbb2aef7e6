"""A record: one served decision with what came of it; checked when made, and its form as a row of the record file."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from monitoring.errors import RecordRefused
from monitoring.records.reference import Reference

Floats = NDArray[np.float32]
Status = Literal["ok", "error"]
COLUMNS = (
    "id",
    "created_at",
    "virtual_model",
    "scorer_version",
    "roster",
    "scores",
    "embedding",
    "decision",
    "llm",
    "cost_usd",
    "latency_s",
    "input_tokens",
    "output_tokens",
    "status",
    "domain",
    "text",
    "asked_by",
)
AUDIT = "audit"  # the source of an outcome that no other may replace


@dataclass(frozen=True, slots=True)
class Outcome:
    """The quality of a served answer: score in [0, 1]; source such as `user`, `grader:exact` or `audit`; seconds since the epoch.

    reference: by which any other answer to the query can be graded, where the report brought one. reported_by: the name of the key that
    reported it.
    """

    score: float
    source: str
    reported_at: float
    reference: Reference | None = None
    reported_by: str | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """Whether record `record_id` is to be audited, decided before anybody graded it, with the probability with which it might have been.

    domain: what the monitor calls its domain (`monitoring.drift.window.Domain.name`). why: phrases that say what made the draw likelier.
    """

    record_id: str
    probability: float
    drawn: bool
    domain: str | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One served request.

    roster, scores: the LLMs and what the scorer predicted for each, in [0, 1]; both empty where no scorer was asked (pass-through).
    embedding: the query's unit-norm embedding of D floats (D = 0 where no scorer was asked), kept as float16.
    decision: `mixture.decision.Decision.as_dict()`, less what the operator does not store.
    llm: the LLM whose answer was served; None for a synthesis of several and for a failure.
    text: the query, only where the operator turned that on. asked_by: the name of the key that asked. drawn_with: the probability with
    which it was drawn for an audit, None where it was not drawn.
    """

    id: str
    created_at: float
    virtual_model: str
    scorer_version: str
    roster: tuple[str, ...]
    scores: tuple[float, ...]
    embedding: Floats
    decision: dict[str, Any]
    llm: str | None
    cost_usd: float
    latency_s: float
    input_tokens: int
    output_tokens: int
    status: Status
    domain: str | None = None
    text: str | None = None
    outcome: Outcome | None = None
    asked_by: str | None = None
    drawn_with: float | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise RecordRefused("A record without an id.", next_step="Give each request its own id.")
        if len(self.roster) != len(self.scores):
            raise RecordRefused(f"Record {self.id}: {len(self.scores)} scores for a roster of {len(self.roster)} LLMs.")
        if not np.isfinite(np.asarray([*self.scores, self.created_at, self.cost_usd, self.latency_s])).all():
            raise RecordRefused(f"Record {self.id}: a score, time, cost or latency is not a finite number.")
        if self.embedding.ndim != 1 or not np.isfinite(self.embedding).all():
            raise RecordRefused(f"Record {self.id}: embedding of shape {self.embedding.shape} is not one finite vector.")

    @property
    def predicted(self) -> float | None:
        """What the scorer promised for what was served: the score of the LLM that answered, of the best one for a synthesis."""
        if not self.scores:
            return None
        return self.scores[self.roster.index(self.llm)] if self.llm in self.roster else max(self.scores)

    @property
    def expected(self) -> float | None:
        """The quality expected of the answer once it was there (`mixture.decision.Decision.score`): a better forecast than the promise.

        The promise where the record says nothing of it.
        """
        score = self.decision.get("score")
        return float(score) if isinstance(score, int | float) and 0 <= score <= 1 and self.scores else self.predicted

    @property
    def explored(self) -> bool:
        """Whether chance chose whom to ask first, another LLM than the usual one."""
        action = self.decision.get("action") or {}
        return action.get("first") != action.get("usual")

    @property
    def answer(self) -> str | None:
        """What was answered; None where the operator keeps no texts."""
        return (self.decision.get("text") or None) if self.text is not None else None


def is_audited(record: Record) -> bool:
    """Whether its outcome says something of the promise: an answer was served, and an audit judged it, not whoever cared to complain."""
    return record.status == "ok" and record.predicted is not None and record.outcome is not None and record.outcome.source == AUDIT


def to_row(record: Record) -> tuple[Any, ...]:
    """`record` as the values of COLUMNS."""
    return (
        record.id,
        record.created_at,
        record.virtual_model,
        record.scorer_version,
        orjson.dumps(record.roster).decode(),
        orjson.dumps([float(score) for score in record.scores]).decode(),
        record.embedding.astype("<f2").tobytes(),
        orjson.dumps(record.decision, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode(),
        record.llm,
        record.cost_usd,
        record.latency_s,
        record.input_tokens,
        record.output_tokens,
        record.status,
        record.domain,
        record.text,
        record.asked_by,
    )


def from_row(row: tuple[Any, ...]) -> Record:
    """The record of one row: COLUMNS, the outcome's score, source, time, grader, reference, choices and reporter (None for none), and the
    probability with which it was drawn.
    """
    values = dict(zip(COLUMNS, row, strict=False))
    score, source, reported_at, grader, text, choices, reported_by, drawn_with = row[len(COLUMNS) :]
    reference = None if grader is None else Reference(grader, text, tuple(orjson.loads(choices)))
    return Record(
        **values
        | {
            "roster": tuple(orjson.loads(values["roster"])),
            "scores": tuple(orjson.loads(values["scores"])),
            "embedding": np.frombuffer(values["embedding"], dtype="<f2").astype(np.float32),
            "decision": orjson.loads(values["decision"]),
            "outcome": None if score is None else Outcome(score, source, reported_at, reference, reported_by),
            "drawn_with": drawn_with,
        }
    )
