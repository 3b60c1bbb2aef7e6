"""A user's file as checked rows of ours: which column is which, each value as it is meant; the rest is refused by row and field."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipelines.errors import ImportRefused
from pipelines.tables import USAGE_PARTS
from pipelines.user_files import content, exports, values
from pipelines.user_files.content import Cells
from pipelines.user_files.refusals import Complaint, refuse
from registry import validation_errors

NO_NUMBER = frozenset({"nan", "na", "n/a", "null", "none"})  # how tables write that there is none

Text = Annotated[str, BeforeValidator(values.plain)]
Name = Annotated[str, BeforeValidator(values.name)]
Id = Annotated[str, BeforeValidator(values.own_id)]
Score = Annotated[float, BeforeValidator(values.score), Field(ge=0, le=1, allow_inf_nan=False)]
Usd = Annotated[float, BeforeValidator(values.usd), Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, BeforeValidator(values.number), Field(ge=0, allow_inf_nan=False)]
Logprob = Annotated[float, BeforeValidator(values.number), Field(le=0, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(values.count), Field(ge=0)]


class UserRow(BaseModel):
    """A row of a user's file; `number` is its place there, from 1 without the header. None: the file does not say."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    empty: ClassVar[frozenset[str]] = frozenset()  # fields in which "" is a value of its own

    number: int


class QueryRow(UserRow):
    """One query; `query_id` is the user's own. choices: (label, text) pairs, a label is "" where an option has none of its own."""

    query_id: Id | None = None
    text: Annotated[str, BeforeValidator(values.query)]
    reference: Annotated[str | list[Any] | dict[str, Any], BeforeValidator(values.reference)] | None = None
    choices: Annotated[list[tuple[str, str]], BeforeValidator(values.choices)] = []
    grader: Annotated[str, BeforeValidator(values.grader)] | None = None
    dataset: Name | None = None
    domain: Name | None = None
    language: Name | None = None
    licence: Name | None = None
    split: Annotated[str, BeforeValidator(values.split)] | None = None


class AnswerRow(UserRow):
    """What one LLM made of one query: a score, an answer's text, or both."""

    empty: ClassVar[frozenset[str]] = frozenset({"text"})  # the LLM said nothing

    query_id: Id | None = None
    query: Annotated[str, BeforeValidator(values.query)] | None = None
    llm: Name
    score: Score | None = None
    text: Annotated[str, BeforeValidator(values.reply)] | None = None
    finish_reason: Text | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read: Count | None = None
    cache_write: Count | None = None
    cache_write_1h: Count | None = None
    reasoning: Count | None = None
    cost_usd: Usd | None = None
    latency_s: Seconds | None = None
    mean_logprob: Logprob | None = None


# The names users give these columns, by ours; the first that a file has is taken.
QUERY_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query_id": ("query_id", "id", "qid", "question_id", "prompt_id"),
    "text": ("text", "query", "prompt", "question", "messages", "input"),
    "reference": ("reference", "answer", "ideal", "target", "expected", "answerkey", "gold"),
    "choices": ("choices", "options"),
    "grader": ("grader",),
    "dataset": ("dataset", "task"),
    "domain": ("domain", "subject", "category", "topic"),
    "language": ("language", "lang"),
    "licence": ("licence", "license"),
    "split": ("split",),
}
ANSWER_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query_id": ("query_id", "id", "qid", "question_id", "prompt_id"),
    "query": ("query", "prompt", "question", "messages", "input"),
    "llm": ("llm", "model", "llm_id", "model_id", "model_name"),
    "score": ("score", "reward", "label", "correct"),
    "text": ("text", "response", "answer", "output", "completion"),
    "finish_reason": ("finish_reason",),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cache_read": ("cache_read_input_tokens", "cache_read_tokens", "cached_tokens"),
    "cache_write": ("cache_write_tokens",),
    "cache_write_1h": ("cache_write_1h_tokens",),
    "reasoning": ("reasoning_tokens",),
    "cost_usd": ("cost_usd", "cost"),
    "latency_s": ("latency_s", "latency", "latency_ms", "duration_ms"),
    "mean_logprob": ("mean_logprob", "logprob"),
}
_OPTION = re.compile(r"(?:(?:option|choice)[ _-]?)?([a-z])|(?:option|choice)[ _-]?(\d{1,2})")  # a column for each option
NUMBERS = frozenset({"score", "input_tokens", "output_tokens", *USAGE_PARTS, "cost_usd", "latency_s", "mean_logprob"})
R = TypeVar("R", bound=UserRow)


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """The rows of a user's file, and sentences on how it was read."""

    path: Path
    rows: list[R]
    notes: tuple[str, ...] = ()


def read_queries(path: Path) -> Table[QueryRow]:
    """The queries of a user's file. Raises ImportRefused naming file, row and field."""
    return _checked(path, QueryRow, QUERY_COLUMNS, exports.as_queries)


def read_answers(path: Path) -> Table[AnswerRow]:
    """The outcomes of a user's file. Raises ImportRefused naming file, row and field."""
    return _checked(path, AnswerRow, ANSWER_COLUMNS, exports.as_answers)


def _checked(
    path: Path, kind: type[R], columns: Mapping[str, tuple[str, ...]], flattened: Callable[[content.Content, Path], content.Content]
) -> Table[R]:
    read = flattened(content.read(path), path)
    rows: list[R] = []
    complaints: list[Complaint] = []
    layouts: dict[tuple[str, ...], dict[str, str]] = {}  # JSON lines need not all have the same keys
    for row in read.rows:
        if (names := tuple(row.cells)) not in layouts:
            layouts[names] = _columns(path, row.cells, kind, columns)
        taken = layouts[names]
        fields = {ours: _value(ours, theirs, row.cells) for ours, theirs in taken.items()}
        if kind is QueryRow and "choices" not in taken:
            fields["choices"] = _options(row.cells)
        try:
            rows.append(
                kind.model_validate(
                    {"number": row.number} | {ours: value for ours, value in fields.items() if not _blank(kind, ours, value)}
                )
            )
        except ValidationError as exc:
            complaints += [_row_complaint(row.number, taken, each) for each in validation_errors.complaints(exc, kind)]
    refuse(path, complaints)
    if not rows:
        raise ImportRefused(f"{path}: has no rows.", next_step="Give a file with at least one.")
    return Table(path, rows, (*read.notes, *_unread(layouts, kind)))


def _columns(path: Path, cells: Cells, kind: type[UserRow], columns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Our field -> the file's column. Raises where a required field has none."""
    folded = {str(name).strip().lower(): name for name in reversed(list(cells))}
    taken = {ours: folded[names[0]] for ours, all_names in columns.items() if (names := [n for n in all_names if n in folded])}
    for field, info in kind.model_fields.items():
        if info.is_required() and field in columns and field not in taken:
            raise ImportRefused(
                f"{path}: no column for field {field!r}; it has {', '.join(map(str, cells)) or 'none'}.",
                next_step=f"Write a row for each query{' and LLM' if kind is AnswerRow else ''}, and call one column "
                f"{' or '.join(columns[field])}.",
            )
    return taken


def _value(ours: str, theirs: str, cells: Cells) -> Any:
    """What stands in the cell; milliseconds in seconds, and no value where a table says in words that there is no number."""
    value = cells.get(theirs)
    if ours in NUMBERS and isinstance(value, str) and value.strip().casefold() in NO_NUMBER:
        return None
    if ours == "latency_s" and str(theirs).strip().lower().endswith("_ms") and value is not None:
        try:
            return float(value) / 1000
        except (TypeError, ValueError):
            return value
    return value


def _options(cells: Cells) -> list[Any] | None:
    """The options where each has a column of its own: A, B, C ... or option1, option2 ..., in order and from the first; those filled."""
    by_place: dict[str, Any] = {}
    for name, value in cells.items():
        match = _OPTION.fullmatch(str(name).strip().lower())
        if match and isinstance(value, str | int | float) and not _blank(QueryRow, "choices", value):
            by_place.setdefault((match[1] or match[2]).upper(), value)
    keys = list(by_place)
    first = next((start for start in ("A", "0", "1") if start in by_place), None)
    if first is None or len(keys) < 2:
        return None
    wanted = [chr(ord("A") + place) if first == "A" else str(place + int(first)) for place in range(len(keys))]
    return [by_place[key] for key in wanted] if set(wanted) == set(keys) else None


def _row_complaint(number: int, taken: Mapping[str, str], complaint: validation_errors.Complaint) -> Complaint:
    """The file's row and column, and what is wrong there; long values are cut."""
    field = str(complaint.location[0]) if complaint.location else "?"
    empty = complaint.is_missing or complaint.reason == "is empty"
    reason = "is empty" if empty else f"{complaint.reason} (found {str(complaint.value)[:60]!r})"
    return number, taken.get(field, field), reason


def _blank(kind: type[UserRow], field: str, value: object) -> bool:
    """No value: an empty cell, null, or a float that is not a number."""
    if value == "":
        return field not in kind.empty
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124


def _unread(layouts: Mapping[tuple[str, ...], Mapping[str, str]], kind: type[UserRow]) -> list[str]:
    """A sentence on the columns of the file that nothing was read from."""
    left: dict[str, None] = {}
    for names, taken in layouts.items():
        options = {name for name in names if kind is QueryRow and "choices" not in taken and _OPTION.fullmatch(str(name).strip().lower())}
        left |= dict.fromkeys(str(name) for name in names if name not in {*taken.values(), *options})
    if not left:
        return []
    return [f"{len(left)} columns are not read: {', '.join(left)}." if len(left) > 1 else f"The column {next(iter(left))} is not read."]
