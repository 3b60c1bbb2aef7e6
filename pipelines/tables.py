"""The tables that stages hand to each other: Parquet with a written schema, refused when a file differs from it."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import TableRefused
from scorer.atomic_write import replacing

USAGE_PARTS = ("cache_read", "cache_write", "cache_write_1h", "reasoning")  # of an answer's tokens, as `mixture.usage.Usage` has them
ELSEWHERE = "imported"  # asked_with of answers and grader_version of labels that were not made here

QUERIES = pa.schema(
    [
        ("query_id", pa.string()),
        ("dataset", pa.string()),
        ("domain", pa.string()),
        ("language", pa.string()),
        ("text", pa.string()),  # exactly what the user would send, choices rendered in it
        ("choices", pa.list_(pa.string())),
        ("reference", pa.string()),  # JSON where the grader needs more than a string
        ("grader", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
    ]
)
ANSWERS = pa.schema(
    [
        ("query_id", pa.string()),
        ("llm", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("finish_reason", pa.string()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cost_usd", pa.float64()),  # as billed then, null where nobody knows
        ("latency_s", pa.float64()),
        ("mean_logprob", pa.float64()),
        ("error", pa.string()),
        ("asked_at", pa.timestamp("us", tz="UTC")),
        ("asked_with", pa.string()),  # hash of what the LLM was sent: query text, prompt style, decoding, served name
        *((part, pa.int64()) for part in USAGE_PARTS),  # null where nobody counted: none
    ]
)
SPLITS = pa.schema([("query_id", pa.string()), ("split", pa.string())])
OWN_IDS = pa.schema([("query_id", pa.string()), ("own_id", pa.string())])  # what the owner of imported queries calls them
SUSPECTS = pa.schema([("llm", pa.string()), ("dataset", pa.string()), ("evidence", pa.string())])  # pairs whose answers look unread
LABELS = pa.schema(
    [
        ("query_id", pa.string()),
        ("llm", pa.string()),
        ("score", pa.float64()),  # in [0, 1]
        ("grader", pa.string()),
        ("grader_version", pa.string()),
    ]
)


def read(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """The table at `path`, its columns checked against `schema`.

    Raises TableRefused where the file is missing, unreadable or has other columns.
    """
    try:
        frame: pd.DataFrame = pq.read_table(path, schema=schema).to_pandas()
    except (OSError, pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as exc:
        columns = ", ".join(schema.names)
        raise TableRefused(f"{path}: not a table with columns {columns} ({exc}).", next_step="Run `dvc repro` to make it again.") from exc
    return frame


def read_if_there(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """The table at `path`; an empty one where there is no file."""
    return read(path, schema) if path.exists() else schema.empty_table().to_pandas()


def write(path: Path, frame: pd.DataFrame, schema: pa.Schema) -> None:
    """Writes `frame` to `path` in `schema`'s column order, by atomic rename; USAGE_PARTS that it lacks were not counted."""
    frame = frame.assign(**{part: None for part in USAGE_PARTS if part in schema.names and part not in frame})
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False), partial, compression="zstd")
