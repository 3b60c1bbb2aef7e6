"""Answers that were drawn for an audit and graded, of records that are kept and of those that are not any more: few, and read one by one.

Grades come late, so they are never summed. Where a record is forgotten, what its audit says in numbers stays in `ledger_audits`, as its
sums do in the ledger.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from monitoring.records.ledger_entry import DOMAIN, NOBODY
from monitoring.records.record import AUDIT

if TYPE_CHECKING:
    from monitoring.records.store import RecordStore

MOST = 20_000  # read at once; of more a random part
FEW = "draws.number = draws.number + 0"  # true; PostgreSQL takes it to hold for few, and fetches those records and not all of the period
COLUMNS = (
    "record_id, number, created_at, asked_by, domain, llm, roster, scores, forecast, probability, grade, opinion"  # as `read` returns them
)
LIVE = f"""SELECT records.id AS record_id, records.number AS number, created_at, coalesce(asked_by, '{NOBODY}') AS asked_by,
    {DOMAIN} AS domain, coalesce(llm, '') AS llm, roster, scores, json_extract(decision, '$.score') AS forecast, probability,
    CASE WHEN source = '{AUDIT}' THEN outcomes.score END AS grade,
    (SELECT avg(opinions.score) FROM opinions WHERE opinions.record_id = records.id) AS opinion
    FROM draws CROSS JOIN records LEFT JOIN outcomes ON outcomes.record_id = records.id
    WHERE records.number = draws.number AND drawn = 1 AND {FEW} AND status = 'ok' AND length(embedding) > 0 AND (source = '{AUDIT}'
    OR EXISTS (SELECT 1 FROM opinions WHERE opinions.record_id = records.id AND opinions.score IS NOT NULL))"""  # noqa: S608
KEEP = f"INSERT INTO ledger_audits ({COLUMNS}) {LIVE} AND draws.number <= ? ON CONFLICT (record_id) DO NOTHING"
EVERY = f"""FROM (SELECT {COLUMNS} FROM ledger_audits WHERE created_at >= ? AND created_at < ?
    UNION ALL SELECT {COLUMNS} FROM ({LIVE} AND draws.number <= ? AND created_at >= ? AND created_at < ?) AS live) AS every_one"""  # noqa: S608
SPREAD, OVER = 48_271, 2**31 - 1  # Lehmer's multiplier and modulus: neighbours' numbers land far apart, whatever the rhythm of traffic


def read(records: "RecordStore", *, since: float, until: float, last: int) -> tuple[list[Sequence[Any]], int]:
    """Rows of COLUMNS made between these times (seconds since the epoch), MOST at most, and how many there are; of kept records those
    up to number `last`. Blocks. Raises RecordsRefused.
    """
    values = (since, until, last, since, until)
    rows: list[Sequence[Any]] = list(records.ask(f"SELECT {COLUMNS} {EVERY} LIMIT {MOST + 1}", values))
    if len(rows) <= MOST:
        return rows, len(rows)
    ((count,),) = records.ask(f"SELECT count(*) {EVERY}", values)
    part = f"WHERE (number * {SPREAD}) % {OVER} < ? LIMIT {MOST}"
    return list(records.ask(f"SELECT {COLUMNS} {EVERY} {part}", (*values, int(OVER * MOST / count)))), int(count)
