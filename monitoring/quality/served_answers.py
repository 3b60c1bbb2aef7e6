"""Reads from the record file what `quality` estimates from: served answers, their draws, grades and machines' opinions."""

from typing import Any

import numpy as np
import orjson

from monitoring.quality.answers import NOBODY, SEVERAL, Answers
from monitoring.quality.quality import Quality, by_group
from monitoring.records.record import AUDIT
from monitoring.records.store import RecordStore

MOST = 20_000  # answers read, the newest: bounds what an endpoint holds (all of a period: `monitoring.savings.ledger_quality`)
SELECT = f"""SELECT scorer_version, coalesce(draws.domain, records.domain, 'unknown'), llm, coalesce(asked_by, '{NOBODY}'), roster, scores,
    json_extract(decision, '$.score'), CASE WHEN drawn = 1 THEN probability END,
    CASE WHEN source = '{AUDIT}' THEN outcomes.score END,
    (SELECT avg(opinions.score) FROM opinions WHERE opinions.record_id = records.id), records.cost_usd
    FROM records LEFT JOIN outcomes ON outcomes.record_id = records.id LEFT JOIN draws ON draws.number = records.number
    WHERE status = 'ok' AND length(embedding) > 0 AND created_at >= ? AND created_at < ? ORDER BY records.number DESC"""  # noqa: S608


def quality(store: RecordStore, *, since: float, until: float, confidence: float = 0.95) -> Quality:
    """Estimated quality of what was served between these times (seconds since the epoch). Blocks. Raises RecordsRefused.

    Audits that somebody chose, and no draw, count for nothing. Answers that were drawn and wait for a grade are a random part
    (`monitoring.audits.audit_queue`), so within each domain the graded ones stand for them.
    """
    rows = store.ask(f"{SELECT} LIMIT {MOST + 1}", (since, until))
    newest = MOST if len(rows) > MOST else None
    return by_group(_answers(rows[:MOST]), since=since, until=until, confidence=confidence, newest=newest)


def _answers(rows: list[tuple[Any, ...]]) -> Answers:
    promises = [promised(row[2], row[4], row[5]) for row in rows]
    return Answers(
        version_N=_names(rows, 0),
        domain_N=_names(rows, 1),
        llm_N=np.array([row[2] or SEVERAL for row in rows], dtype=np.str_),
        key_N=_names(rows, 3),
        forecast_N=np.array([forecast(row[6], each) for row, each in zip(rows, promises, strict=True)], dtype=np.float64),
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
    """As `monitoring.records.record.Record.predicted`; roster and scores as the file holds them, in JSON."""
    llms, values = orjson.loads(roster), orjson.loads(scores)
    return float(values[llms.index(llm)] if llm in llms else max(values))


def forecast(expected: object, promised: float) -> float:
    """As `monitoring.records.record.Record.expected`."""
    return float(expected) if isinstance(expected, int | float) and 0 <= expected <= 1 else promised
