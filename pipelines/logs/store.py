"""Logged calls as a Parquet file, for whoever reckons with them later: `var/imported/NAME.parquet`, one row a call.

It lies in var/, not in data/: what users asked is this host's, is pushed nowhere, and no stage depends on it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import TableRefused
from pipelines.logs.call import LoggedCall, LoggedUsage
from scorer.atomic_write import replacing

USAGE = tuple(field.name for field in fields(LoggedUsage))
AS_JSON = ("messages", "rest")
BATCH = 2_000  # calls that are in memory at once
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


class Writer:
    """Writes calls to a file, batch after batch."""

    def __init__(self, path: Path, source: str) -> None:
        self._writer = pq.ParquetWriter(path, CALLS.with_metadata({"format": source}), compression="zstd")

    def add(self, calls: Iterable[LoggedCall]) -> None:
        """Adds calls, which are in memory until they are written."""
        rows = [_row(call) for call in calls]
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=CALLS).cast(self._writer.schema))

    def close(self) -> None:
        """The file is whole from then on."""
        self._writer.close()


def write(path: Path, calls: Iterable[LoggedCall], source: str) -> None:
    """Writes the calls; `source` is the format they came in. A file of that name is replaced once all are written."""
    remaining = iter(calls)
    with replacing(path) as partial:
        writer = Writer(partial, source)
        try:
            while batch := list(islice(remaining, BATCH)):
                writer.add(batch)
        finally:
            writer.close()


def read(path: Path) -> list[LoggedCall]:
    """The calls of an imported log. Raises TableRefused."""
    return list(stream(path))


def count(path: Path) -> int:
    """How many calls an imported log has. Raises TableRefused."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def source(path: Path) -> str:
    """The format that the calls of a file came in. Raises TableRefused."""
    with _opened(path) as file:
        return bytes((file.schema_arrow.metadata or {}).get(b"format", b"")).decode()


def stream(path: Path, names: Sequence[str] = ()) -> Iterator[LoggedCall]:
    """The calls of an imported log, a batch of them in memory; with `names` only these fields of them. Raises TableRefused."""
    columns = [each for name in names for each in (USAGE if name == "usage" else (name,))] or CALLS.names
    with _opened(path) as file:
        for batch in file.iter_batches(BATCH, columns=[*dict.fromkeys(["file", "row", *columns])]):
            yield from map(_call, batch.to_pylist())


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            file.schema_arrow.field(next((name for name in CALLS.names if name not in file.schema_arrow.names), "file"))
            yield file
    except (OSError, pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as exc:
        raise TableRefused(f"{path}: no imported log ({exc}).", next_step="Import it: routemoa import --from FORMAT FILES") from exc


def _row(call: LoggedCall) -> dict[str, Any]:
    row = {field.name: getattr(call, field.name) for field in fields(LoggedCall) if field.name != "usage"}
    row |= {name: json.dumps(row[name], default=str) if row[name] else None for name in AS_JSON}
    return row | {name: getattr(call.usage, name) for name in USAGE}


def _call(row: dict[str, Any]) -> LoggedCall:
    """Fields that were not read are as if nobody knew them."""
    row["usage"] = LoggedUsage(**{name: row.pop(name) for name in USAGE if name in row})
    for name in AS_JSON:
        if name in row:
            row[name] = json.loads(row[name] or "null")
    if "rest" in row:
        row["rest"] = row["rest"] or {}
    if row.get("at") is not None:
        row["at"] = row["at"].astimezone(UTC)
    return LoggedCall(**row)
