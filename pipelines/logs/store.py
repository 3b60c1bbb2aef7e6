"""Logged calls as a Parquet file, for whoever reckons with them later: `var/imported/NAME.parquet`, one row a call.

It lies in var/, not in data/: what users asked is this host's, is pushed nowhere, and no stage depends on it.
"""

import json
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import TableRefused
from pipelines.logs.call import LoggedCall, LoggedUsage
from scorer.atomic_write import replacing

USAGE = tuple(field.name for field in fields(LoggedUsage))
AS_JSON = ("messages", "rest")
CALLS = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("call_id", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("llm", pa.string()),  # as the log names it
        ("provider", pa.string()),
        ("key", pa.string()),
        ("session", pa.string()),
        ("requests", pa.int64()),  # 1; more for a sum of calls, null where the log does not say of how many
        ("tier", pa.string()),
        ("text", pa.string()),
        ("messages", pa.string()),  # JSON
        ("answer", pa.string()),
        ("finish_reason", pa.string()),
        *((name, pa.int64()) for name in USAGE),
        ("cost_usd", pa.float64()),  # as stated there
        ("latency_s", pa.float64()),
        ("first_token_s", pa.float64()),
        ("outcome", pa.float64()),  # in [0, 1]
        ("outcome_name", pa.string()),
        ("dataset", pa.string()),
        ("reference", pa.string()),
        ("rest", pa.string()),  # JSON: fields that nothing reads
    ]
)


def write(path: Path, calls: Iterable[LoggedCall], source: str) -> None:
    """Writes the calls; `source` is the format they came in. A file of that name is replaced."""
    table = pa.Table.from_pylist([_row(call) for call in calls], schema=CALLS)
    with replacing(path) as partial:
        pq.write_table(table.replace_schema_metadata({"format": source}), partial, compression="zstd")


def read(path: Path) -> list[LoggedCall]:
    """The calls of an imported log. Raises TableRefused."""
    try:
        rows = pq.read_table(path, schema=CALLS).to_pylist()
    except (OSError, pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as exc:
        raise TableRefused(f"{path}: no imported log ({exc}).", next_step="Import it: routemoa import --from FORMAT FILES") from exc
    return [_call(row) for row in rows]


def _row(call: LoggedCall) -> dict[str, Any]:
    row = {field.name: getattr(call, field.name) for field in fields(LoggedCall) if field.name != "usage"}
    row |= {name: json.dumps(row[name], default=str) if row[name] else None for name in AS_JSON}
    return row | {name: getattr(call.usage, name) for name in USAGE}


def _call(row: dict[str, Any]) -> LoggedCall:
    usage = LoggedUsage(**{name: row.pop(name) for name in USAGE})
    messages, rest = (json.loads(row.pop(name) or "null") for name in AS_JSON)
    row["at"] = row["at"].astimezone(UTC) if row["at"] is not None else None
    return LoggedCall(**row, usage=usage, messages=messages, rest=rest or {})
