"""What the ledger keeps of served answers' quality beside a baseline: sums by day, key and domain, and whom of them an audit graded.

Every answer enters once the monitor decided whether it is audited: by then its domain is settled, and one of which nobody decides has no
audit to be told by. So the sums are of the very answers that audits were drawn from.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from monitoring.quality.answers import Audits
from monitoring.quality.given_up import Beside, Moved
from monitoring.quality.served_answers import forecast, promised
from monitoring.records import graded_draws
from monitoring.records.ledger_entry import BY, DOMAIN, NOBODY, Where, day_of
from monitoring.records.record_place import Statement
from monitoring.records.store import RecordStore

CURSOR = "quality beside "  # of a baseline
READ = f"""SELECT draws.number, created_at, coalesce(asked_by, '{NOBODY}'), {DOMAIN}, llm, roster, scores,
    json_extract(decision, '$.score'), status = 'ok' AND length(embedding) > 0
    FROM (SELECT * FROM draws WHERE number > ? AND number <= ? ORDER BY number LIMIT 500) AS draws
    CROSS JOIN records WHERE records.number = draws.number ORDER BY draws.number"""  # noqa: S608
ADD = """INSERT INTO ledger_answers (llm, day, asked_by, domain, known, moved, forecast, promised) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (llm, day, asked_by, domain) DO UPDATE SET known = ledger_answers.known + excluded.known,
    moved = ledger_answers.moved + excluded.moved, forecast = ledger_answers.forecast + excluded.forecast,
    promised = ledger_answers.promised + excluded.promised"""


def statements(rows: Sequence[Sequence[Any]], baseline: str) -> list[Statement]:
    """What books these rows of READ beside an LLM."""
    sums: dict[Where, Moved] = defaultdict(Moved)
    for _, created_at, asked_by, domain, llm, roster, scores, expected, answered in rows:
        if answered:
            sums[day_of(created_at), asked_by, domain] += _moved(baseline, llm, roster, scores, expected)
    return [(ADD, (baseline, *where, each.known, each.moved, each.forecast, each.promised)) for where, each in sums.items()]


def beside(records: RecordStore, baseline: str, *, since: date, until: date, by: str) -> Beside:
    """What is booked of the UTC days `since` to `until`, both counted, by day, key or domain, with the audits of these answers.

    Reads no record that no audit graded. Blocks. Raises RecordsRefused.
    """
    cursor = records.ask("SELECT number FROM ledger_cursors WHERE name = ?", (CURSOR + baseline,))
    sums = f"""SELECT {BY[by]}, domain, sum(known), sum(moved), sum(forecast), sum(promised) FROM ledger_answers
        WHERE llm = ? AND day >= ? AND day <= ? GROUP BY {BY[by]}, domain"""  # noqa: S608
    all_of = {
        (name, domain): Moved(int(known), int(moved), float(expected), float(told))
        for name, domain, known, moved, expected, told in records.ask(sums, (baseline, since.isoformat(), until.isoformat()))
    }
    ((first,),) = records.ask("SELECT min(day) FROM ledger_answers WHERE llm = ?", (baseline,))
    begins = max(since, date.fromisoformat(first)) if first is not None else until  # what was forgotten before has no sums
    rows, audited = graded_draws.read(
        records, since=_seconds(begins), until=_seconds(until + timedelta(days=1)), last=int(cursor[0][0]) if cursor else 0
    )
    return _of_rows(rows, audited, all_of, baseline, by)


def _of_rows(rows: Sequence[Sequence[Any]], audited: int, all_of: Mapping[tuple[str, str], Moved], baseline: str, by: str) -> Beside:
    """These sums, and of `audited` graded answers these rows of `graded_draws.COLUMNS`: those whose scorer knew the baseline."""
    scores = [_score(row[6], row[7], baseline) for row in rows]
    names = [(day_of(row[2]), row[3], row[4])[list(BY).index(by)] for row in rows]
    known_M = np.array([each is not None for each in scores], dtype=np.bool_)

    def numbers(values: Sequence[Any]) -> Any:
        return np.array([np.nan if each is None else each for each in values], dtype=np.float64)

    def words(values: Sequence[str]) -> Any:
        return np.array(values, dtype=np.str_)

    audits = Audits(
        domain_M=words([row[4] for row in rows]),
        forecast_M=numbers([forecast(row[8], promised(row[5], row[6], row[7])) for row in rows]),
        drawn_with_M=numbers([row[9] for row in rows]),
        grade_M=numbers([row[10] for row in rows]),
        opinion_M=numbers([row[11] for row in rows]),
    )
    own_M = np.array([row[5] == baseline for row in rows], dtype=np.bool_)
    return Beside(baseline, all_of, audits.of(known_M), words(names)[known_M], own_M[known_M], numbers(scores)[known_M], len(rows), audited)


def _moved(baseline: str, llm: str | None, roster: str, scores: str, expected: object) -> Moved:
    score = _score(roster, scores, baseline)
    if score is None:
        return Moved()
    return Moved(1) if llm == baseline else Moved(1, 1, forecast(expected, promised(llm, roster, scores)), score)


def _score(roster: str, scores: str, llm: str) -> float | None:
    """What the scorer promised of an LLM; None where it did not know it."""
    score: float | None = dict(zip(orjson.loads(roster), orjson.loads(scores), strict=True)).get(llm)
    return score


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
