"""What another scorer version would have decided for a served request, kept beside its record (table `shadows`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

COLUMNS = (
    "record_id",
    "scorer_version",
    "served_version",
    "unit",
    "llm",
    "promised",
    "cost_usd",
    "served_llm",
    "served_promised",
    "served_usd",
    "same",
    "alike",
    "scores",
    "why_not",
    "scored_at",
)
NUMBERS = frozenset({"promised", "cost_usd"})  # that may be missing: PostgreSQL takes an untyped NULL for text
VALUES = ", ".join("CAST(? AS DOUBLE PRECISION)" if name in NUMBERS else "?" for name in COLUMNS[1:])
INSERT = f"INSERT INTO shadows ({', '.join(COLUMNS)}) SELECT id, {VALUES} FROM records WHERE id = ? ON CONFLICT DO NOTHING"  # noqa: S608
SHOWN = ("scorer_version", "llm", "promised", "cost_usd", "same")
OF_RECORD = f"SELECT {', '.join(SHOWN)} FROM shadows WHERE record_id = ? ORDER BY scorer_version"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a version asks first. llm: the first of them. promised: its score. usd: expected of all that are asked at once."""

    llm: str
    promised: float
    usd: float


@dataclass(frozen=True, slots=True)
class Shadow:
    """scorer_version: whose `choice` it is, None where it could choose nobody (`why_not`). served: what the version that answered chose.

    unit: what drew between the two versions by chance, a session or a key, hashed; empty where nothing did. same: whether both ask the same
    LLMs first. alike: whether it cannot matter which of them answers: the same one, and it answers alone. scores: of its roster, by LLM id.
    """

    record_id: str
    scorer_version: str
    served_version: str
    choice: Choice | None
    served: Choice
    same: bool
    alike: bool
    scored_at: float
    unit: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    why_not: str | None = None


def to_row(shadow: Shadow) -> tuple[Any, ...]:
    """`shadow` as the values of INSERT."""
    choice, served = shadow.choice, shadow.served
    return (
        shadow.scorer_version,
        shadow.served_version,
        shadow.unit,
        None if choice is None else choice.llm,
        None if choice is None else choice.promised,
        None if choice is None else choice.usd,
        served.llm,
        served.promised,
        served.usd,
        int(shadow.same),
        int(shadow.alike),
        orjson.dumps(dict(shadow.scores)).decode(),
        shadow.why_not,
        shadow.scored_at,
        shadow.record_id,
    )
