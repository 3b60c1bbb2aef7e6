"""Checks what a user wants to import against the query pool and stages it: every row has its place before any is written."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.errors import GraderFailed
from pipelines.graders import query as graded
from pipelines.graders import unit_tests
from pipelines.graders.kinds import GRADERS
from pipelines.graders.names import JUDGE, RECORDED
from pipelines.queries import normal
from pipelines.sources.row import SourceQuery
from pipelines.tables import ELSEWHERE
from pipelines.user_tables import AnswerRow, QueryRow, refuse
from registry.entry import check_id
from scorer.near_matches import near_matches

SPLIT_NAMES = {"val": "validation", "valid": "validation", "dev": "validation", "calib": "calibration"}


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values for rows that lack their own. grader None: a row with a reference must name its grader."""

    name: str
    grader: str | None = None
    domain: str | None = None
    licence: str = "unknown"

    @property
    def source(self) -> str:
        """How the query pool names this import."""
        return f"import:{self.name}"


@dataclass(slots=True)
class Staged:
    """What an import will write, checked and complete."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # new queries
    ids: dict[str, str] = field(default_factory=dict)  # the pool's ids, and the user's own -> the pool's id
    by_text: dict[str, str] = field(default_factory=dict)  # normalised text -> the pool's id
    splits: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by LLM id
    labels: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # LLM id -> the name in the user's file
    merged: int = 0  # queries whose text was already there
    contradicted: list[int] = field(default_factory=list)  # their rows where the reference is another than that of an earlier row
    repeated: list[int] = field(default_factory=list)  # rows with another outcome of an LLM that has one for the query in this file


def slug(name: str) -> str:
    """`name` as an id: lower case letters, digits and '-'. DVC cannot address ids with dots."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:64]


def beside(rows: Sequence[Mapping[str, Any]]) -> Staged:
    """Nothing staged yet, beside a pool of these rows."""
    return Staged(
        ids={row["query_id"]: row["query_id"] for row in rows},
        by_text={normal(row["text"]): row["query_id"] for row in rows},
    )


def stage_queries(staged: Staged, path: Path, rows: Sequence[QueryRow], defaults: Defaults, scored: Collection[str | None]) -> None:
    """Stages the queries of the file at `path`; `scored` are the user's ids whose outcomes come with a score.

    Raises ImportRefused naming the rows that cannot be taken.
    """
    complaints: list[tuple[int, str, str]] = []
    seen: dict[str, int] = {}
    references: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        if row.query_id is not None and row.query_id in seen:
            complaints.append((number, "query_id", f"{row.query_id!r} is already that of row {seen[row.query_id]}"))
            continue
        seen[row.query_id or ""] = number
        grader = row.grader or (RECORDED if row.query_id in scored else defaults.grader or (None if row.reference else JUDGE))
        complaint = _grading_complaint(row, grader)
        if complaint is not None:
            complaints.append((number, *complaint))
            continue
        made = SourceQuery(
            slug(row.dataset or defaults.name) or defaults.name,
            row.domain or defaults.domain or defaults.name,
            row.text.strip(),
            str(grader),
            row.reference or "",
            tuple(row.choices),
            row.language or "en",
            defaults.source,
            row.licence or defaults.licence,
        )
        if (reason := _ungradable(made)) is not None:
            complaints.append((number, "reference", reason))
            continue
        text = normal(row.text)
        if references.setdefault(text, made.reference) != made.reference:
            staged.contradicted.append(number)
        if text in staged.by_text:
            staged.merged += 1
        else:
            staged.rows.append(made.as_row())
        query_id = staged.by_text.setdefault(text, made.query_id)
        if row.query_id is not None:
            staged.ids[row.query_id] = query_id
        if row.split is not None:
            staged.splits.setdefault(query_id, SPLIT_NAMES.get(row.split, row.split))
    refuse(path, complaints)


def _grading_complaint(row: QueryRow, grader: str | None) -> tuple[str, str] | None:
    """Why this query's answers could not be graded, as (field, reason)."""
    graders = [*GRADERS, JUDGE, RECORDED]
    if grader is None:
        return "grader", f"is empty while there is a reference; name one of {', '.join(graders)} (or pass --grader)"
    if grader not in graders:
        near = near_matches(grader, graders) or graders
        return "grader", f"{grader!r} is not known; did you mean {' or '.join(near)}?"
    if grader in GRADERS and not row.reference:
        return "reference", f"is empty; grader {grader!r} needs one"
    if grader == "choice" and not row.choices:
        return "choices", "is empty; grader 'choice' needs the options"
    return None


def _ungradable(query: SourceQuery) -> str | None:
    """Why no answer to it could be graded; unit tests, which run code, are not asked."""
    grader = GRADERS.get(query.grader)
    if grader is None or grader is unit_tests:
        return None
    try:
        grader.grade("", graded.Query.of(query.as_row()))
    except GraderFailed as exc:
        return exc.what.partition(": ")[2]
    return None


def stage_answers(staged: Staged, path: Path, rows: Sequence[AnswerRow]) -> None:
    """Stages the outcomes of the file at `path`; their queries are staged or in the pool. Raises ImportRefused naming the rows."""
    complaints: list[tuple[int, str, str]] = []
    seen: set[tuple[str, str]] = set()
    now = datetime.now(UTC)
    for number, row in enumerate(rows, start=1):
        llm = slug(row.llm)
        query_id = staged.ids.get(row.query_id or "") or staged.by_text.get(normal(row.query or ""))
        if query_id is None:
            complaints.append((number, "query_id", f"{row.query_id or row.query!r} is no query of the queries file or the pool"))
        elif (complaint := _name_complaint(staged, llm, row.llm)) is not None:
            complaints.append((number, "llm", complaint))
        elif row.score is None and row.text is None:
            complaints.append((number, "score", "is empty, and so is the answer's text; one is needed"))
        elif (query_id, llm) in seen:  # the same text twice in a file is one query: its first outcome counts
            staged.repeated.append(number)
        else:
            seen.add((query_id, llm))
            if row.score is not None:
                label = {"query_id": query_id, "llm": llm, "score": row.score, "grader": RECORDED, "grader_version": ELSEWHERE}
                staged.labels.setdefault(llm, []).append(label)
            if row.text is not None:
                staged.answers.setdefault(llm, []).append(_answer(row, query_id, llm, now))
    refuse(path, complaints)


def _name_complaint(staged: Staged, llm: str, name: str) -> str | None:
    """Why an LLM of this name cannot have this id."""
    if staged.names.setdefault(llm, name) != name:
        return f"{name!r} gives the id {llm!r}, as {staged.names[llm]!r} does; rename one"
    try:
        check_id(llm)
    except ValueError as exc:
        return f"{name!r}: {exc}"
    return None


def _answer(row: AnswerRow, query_id: str, llm: str, now: datetime) -> dict[str, Any]:
    """A row of ANSWERS; what the user's file does not know stays null."""
    taken = row.model_dump(include={"text", "finish_reason", "input_tokens", "output_tokens", "cost_usd", "latency_s", "mean_logprob"})
    return {**taken, "query_id": query_id, "llm": llm, "sample": 0, "error": None, "asked_at": now, "asked_with": ELSEWHERE}
