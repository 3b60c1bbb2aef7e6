"""A user's CSV, JSONL or Parquet file as checked rows; what cannot be taken is refused by file, row and field."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipelines.errors import ImportRefused
from registry import validation_errors
from registry.validation_errors import Complaint

SHOWN = 5  # complaints named in one error; the rest are counted
Row = TypeVar("Row", bound=BaseModel)


def _list(value: object) -> object:
    """Choices as a list, or as its JSON text in a CSV cell."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise ValueError('is not a JSON list such as ["yes", "no"]') from None
    return list(value) if hasattr(value, "__iter__") else value


def _text(value: object) -> object:
    """Numbers are references too: 42 and "42" are the same answer."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Said = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, BeforeValidator(_text), Field(min_length=1, pattern=r"\S")]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class QueryRow(BaseModel):
    """One query of a user's file; `query_id` is the user's own and only links to the answers file."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    query_id: Name | None = None
    text: Name
    reference: Said | None = None
    choices: Annotated[list[str], BeforeValidator(_list)] = []
    grader: Name | None = None
    dataset: Name | None = None
    domain: Name | None = None
    language: Name | None = None
    licence: Name | None = None
    split: Name | None = None


class AnswerRow(BaseModel):
    """What one LLM made of one query: a score, an answer's text, or both."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    query_id: Name | None = None
    query: Name | None = None
    llm: Name
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    text: Said | None = None
    finish_reason: Said | None = None
    input_tokens: Annotated[int, Field(ge=0)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None
    cost_usd: Amount | None = None
    latency_s: Amount | None = None
    mean_logprob: Annotated[float, Field(le=0, allow_inf_nan=False)] | None = None


# The names users give these columns, by ours; the first that a file has is taken.
QUERY_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query_id": ("query_id", "id", "qid"),
    "text": ("text", "query", "prompt", "question", "input"),
    "reference": ("reference", "answer", "ideal", "target", "expected"),
    "choices": ("choices", "options"),
    "grader": ("grader",),
    "dataset": ("dataset", "task"),
    "domain": ("domain", "subject", "category", "topic"),
    "language": ("language", "lang"),
    "licence": ("licence", "license"),
    "split": ("split",),
}
ANSWER_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query_id": ("query_id", "id", "qid"),
    "query": ("query", "prompt", "question", "input"),
    "llm": ("llm", "model", "llm_id", "model_id", "model_name"),
    "score": ("score", "reward", "label", "correct"),
    "text": ("text", "response", "answer", "output", "completion"),
    "finish_reason": ("finish_reason",),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cost_usd": ("cost_usd", "cost"),
    "latency_s": ("latency_s", "latency"),
    "mean_logprob": ("mean_logprob", "logprob"),
}


def read_queries(path: Path) -> list[QueryRow]:
    """The queries of a user's file. Raises ImportRefused naming file, row and field."""
    return _checked(path, QueryRow, QUERY_COLUMNS)


def read_answers(path: Path) -> list[AnswerRow]:
    """The outcomes of a user's file. Raises ImportRefused naming file, row and field."""
    return _checked(path, AnswerRow, ANSWER_COLUMNS)


def refuse(path: Path, complaints: list[tuple[int, str, str]], next_step: str = "Correct the file; nothing was imported.") -> None:
    """Raises ImportRefused for `complaints` (row, field, reason), rows counted from 1 without the header; does nothing for none."""
    if complaints:
        shown = "; ".join(f"row {row}, field {field!r}: {reason}" for row, field, reason in complaints[:SHOWN])
        more = f"; and {len(complaints) - SHOWN} more" if len(complaints) > SHOWN else ""
        raise ImportRefused(f"{path}: {shown}{more}.", next_step=next_step)


def _checked(path: Path, kind: type[Row], columns: Mapping[str, tuple[str, ...]]) -> list[Row]:
    rows: list[Row] = []
    complaints: list[tuple[int, str, str]] = []
    layouts: dict[tuple[str, ...], dict[str, str]] = {}  # JSON lines need not all have the same keys
    for number, cells in enumerate(_rows(path), start=1):
        if (names := tuple(cells)) not in layouts:
            layouts[names] = _columns(path, cells, kind, columns)
        taken = layouts[names]
        fields = {ours: cells.get(theirs) for ours, theirs in taken.items()}
        try:
            rows.append(kind.model_validate({ours: value for ours, value in fields.items() if not _blank(value)}))
        except ValidationError as exc:
            complaints += [_row_complaint(number, taken, each) for each in validation_errors.complaints(exc, kind)]
    refuse(path, complaints)
    if not rows:
        raise ImportRefused(f"{path}: has no rows.", next_step="Give a file with at least one.")
    return rows


def _columns(path: Path, cells: Mapping[str, Any], kind: type[BaseModel], columns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our field -> the file's column. Raises where a required field has none."""
    folded = {str(name).strip().lower(): name for name in cells}
    taken = {ours: folded[names[0]] for ours, all_names in columns.items() if (names := [n for n in all_names if n in folded])}
    for field, info in kind.model_fields.items():
        if info.is_required() and field not in taken:
            raise ImportRefused(
                f"{path}: no column for field {field!r}; it has {', '.join(map(str, cells)) or 'none'}.",
                next_step=f"Name one of its columns {' or '.join(columns[field])}.",
            )
    return taken


def _row_complaint(number: int, taken: Mapping[str, str], complaint: Complaint) -> tuple[int, str, str]:
    """The file's row and column, and what is wrong there; long values are cut."""
    field = str(complaint.location[0]) if complaint.location else "?"
    reason = "is empty" if complaint.is_missing else f"{complaint.reason} (found {str(complaint.value)[:60]!r})"
    return number, taken.get(field, field), reason


def _blank(value: object) -> bool:
    """No value: an empty cell, null, or a float that is not a number."""
    return value is None or value == "" or (isinstance(value, float) and value != value)  # noqa: PLR0124


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    readers = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise ImportRefused(f"{path}: {path.suffix or 'no suffix'} is not known.", next_step=f"Give one of {', '.join(readers)}.")
    try:
        yield from readers[path.suffix.lower()](path)
    except OSError as exc:
        raise ImportRefused(f"{path}: cannot be read ({exc.strerror or exc}).", next_step="Check the path.") from exc
    except UnicodeDecodeError as exc:
        raise ImportRefused(f"{path}: byte {exc.start} is not UTF-8.", next_step="Save the file as UTF-8.") from exc


def _csv(path: Path) -> Iterable[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        csv.field_size_limit(1 << 27)
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, strict=True, delimiter=max(",;\t", key=header.count))  # a tie is a comma's
        try:
            for number, row in enumerate(reader, start=1):
                if None in row or None in row.values():
                    cells = len([cell for cell in row.values() if cell is not None])
                    refuse(path, [(number, "*", f"has {'more' if None in row else 'fewer'} cells than the header ({cells} found)")])
                yield row
        except csv.Error as exc:
            raise ImportRefused(f"{path}, line {reader.line_num}: not CSV ({exc}).", next_step='Quote texts with ".') from exc


def _jsonl(path: Path) -> Iterable[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as exc:
                raise ImportRefused(f"{path}: row {number} is not JSON ({exc.msg}).", next_step="Write one object a line.") from exc
            if not isinstance(row, dict):
                raise ImportRefused(f"{path}: row {number} is a {type(row).__name__}.", next_step="Write one object a line.")
            yield row


def _parquet(path: Path) -> Iterable[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pa.ArrowInvalid as exc:
        raise ImportRefused(f"{path}: not a Parquet file ({exc}).", next_step="Write it again.") from exc
