"""Reads from the record file what `monitoring.quality` estimates from: served answers, their draws, grades and machines' opinions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson

from monitoring.quality import NOBODY, SEVERAL, Answers, Doubles, Names, Quality, by_group
from monitoring.record import AUDIT
from monitoring.records import RecordStore

MOST = 20_000  # answers read, the latest first: bounds what an endpoint holds
SELECT = f"""SELECT scorer_version, coalesce(draws.domain, records.domain, 'unknown'), llm, coalesce(asked_by, '{NOBODY}'), roster, scores,
    json_extract(decision, '$.score'), CASE WHEN drawn = 1 THEN probability END,
    CASE WHEN source = '{AUDIT}' THEN outcomes.score END,
    (SELECT avg(opinions.score) FROM opinions WHERE opinions.record_id = records.id), records.cost_usd, created_at
    FROM records LEFT JOIN outcomes ON outcomes.record_id = records.id LEFT JOIN draws ON draws.number = records.number
    WHERE status = 'ok' AND length(embedding) > 0 AND created_at >= ? AND created_at < ? ORDER BY records.number DESC LIMIT {MOST}"""  # noqa: S608


def quality(store: RecordStore, *, since: float, until: float, confidence: float = 0.95) -> Quality:
    """Estimated quality of what was served between these times (seconds since the epoch). Blocks. Raises RecordsRefused.

    Audits that somebody chose, and no draw, count for nothing. Answers that were drawn and wait for a grade are a random part
    (`monitoring.audit_queue`), so within each domain the graded ones stand for them.
    """
    return by_group(read(store, since=since, until=until), since=since, until=until, confidence=confidence)


def read(store: RecordStore, *, since: float, until: float) -> Answers:
    """The answers themselves, at most MOST. Blocks."""
    return _answers(store.ask(SELECT, (since, until)))


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """N served answers beside one LLM. day_N: UTC days; score_N: what the scorer promised of that LLM, NaN where it did not know it."""

    answers: Answers
    day_N: Names
    score_N: Doubles


def beside(store: RecordStore, llm: str, *, since: float, until: float) -> Beside:
    """As `read`, with what `llm` was promised to answer. Blocks."""
    rows = store.ask(SELECT, (since, until))
    scores = [dict(zip(orjson.loads(row[4]), orjson.loads(row[5]), strict=True)).get(llm, np.nan) for row in rows]
    days = [datetime.fromtimestamp(row[11], UTC).date().isoformat() for row in rows]
    return Beside(_answers(rows), np.array(days, dtype=np.str_), np.array(scores, dtype=np.float64))


def _answers(rows: list[tuple[Any, ...]]) -> Answers:
    promises = [promised(row[2], row[4], row[5]) for row in rows]
    return Answers(
        version_N=_names(rows, 0),
        domain_N=_names(rows, 1),
        llm_N=np.array([row[2] or SEVERAL for row in rows], dtype=np.str_),
        key_N=_names(rows, 3),
        forecast_N=np.array([_forecast(row[6], each) for row, each in zip(rows, promises, strict=True)], dtype=np.float64),
        promised_N=np.array(promises, dtype=np.float64),
        drawn_with_N=_numbers(rows, 7),
        grade_N=_numbers(rows, 8),
        opinion_N=_numbers(rows, 9),
        usd_N=_numbers(rows, 10),
    )


def _names(rows: list[tuple[Any, ...]], at: int) -> np.ndarray[Any, Any]:
    return np.array([row[at] for row in rows], dtype=np.str_)


def _numbers(rows: list[tuple[Any, ...]], at: int) -> np.ndarray[Any, Any]:
    return np.array([np.nan if row[at] is None else row[at] for row in rows], dtype=np.float64)


def promised(llm: str | None, roster: str, scores: str) -> float:
    """As `monitoring.record.Record.predicted`; roster and scores as the file holds them, in JSON."""
    llms, values = orjson.loads(roster), orjson.loads(scores)
    return float(values[llms.index(llm)] if llm in llms else max(values))


def _forecast(expected: object, promised: float) -> float:
    """As `monitoring.record.Record.expected`."""
    return float(expected) if isinstance(expected, int | float) and 0 <= expected <= 1 else promised
