"""Checks the queries a user wants to import against the query pool and stages them: every row has its place before any is written."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixture.reading.picks import LETTERS
from mixture.reading.text import normalise
from pipelines.errors import GraderFailed, ImportRefused
from pipelines.graders import query as graded
from pipelines.graders import unit_tests
from pipelines.graders.kinds import GRADERS
from pipelines.graders.names import JUDGE, OPEN, RECORDED
from pipelines.imports.llm_names import slug
from pipelines.imports.query_links import QueryLinks
from pipelines.query_pool import IMPORTED, Identity, identity, normal
from pipelines.sources.row import SourceQuery, either_or, lettered, shows
from pipelines.user_files import references
from pipelines.user_files.refusals import Complaint, refuse
from pipelines.user_files.tables import AnswerRow, QueryRow, Table
from pipelines.user_files.values import SPLITS
from scorer.near_matches import near_matches

ALL_GRADERS = (*GRADERS, *sorted(OPEN), RECORDED)
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)  # how spreadsheets show, and save, a long number


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
        return f"{IMPORTED}{self.name}"

    def check(self) -> None:
        """Raises ImportRefused where the name is no slug or there is no such grader."""
        if slug(self.name) != self.name:
            raise ImportRefused(f"The name {self.name!r} is not a slug.", next_step=f"Use {slug(self.name) or 'letters and digits'!r}.")
        if self.grader is not None and (complaint := _unknown(self.grader)):
            raise ImportRefused(f"--grader: {complaint}", next_step=f"Graders: {', '.join(ALL_GRADERS)}.")


@dataclass(frozen=True, slots=True)
class Scored:
    """The queries whose outcomes come with a score, by the user's ids and by their texts."""

    ids: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    @classmethod
    def by(cls, rows: Collection[AnswerRow]) -> "Scored":
        """Those that `rows` score."""
        scored = [row for row in rows if row.score is not None]
        return cls(
            frozenset(row.query_id for row in scored if row.query_id is not None),
            frozenset(normal(row.query) for row in scored if row.query is not None),
        )

    def has(self, row: QueryRow) -> bool:
        """Whether `row` is one of them."""
        return row.query_id in self.ids or normal(row.text) in self.texts


@dataclass(slots=True)
class Staged:
    """What an import will write, checked and complete."""

    pool: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # queries that are there already, by id
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # new queries, by id
    by_identity: dict[Identity, str] = field(default_factory=dict)
    links: QueryLinks = field(default_factory=QueryLinks)
    own_ids: dict[str, str] = field(default_factory=dict)  # the user's -> the pool's
    splits: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)  # queries with rows in several splits
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by LLM id
    labels: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # LLM id -> the name in the user's file
    merged: int = 0  # queries that were already there
    contradicted: dict[int, str | None] = field(default_factory=dict)  # rows with the text of another and another reference: the user's id
    unasked: list[int] = field(default_factory=list)  # rows of answers to those
    repeated: list[int] = field(default_factory=list)  # rows with another outcome of an LLM that has one for the query in this file
    unanswered: list[int] = field(default_factory=list)  # rows with neither a score nor an answer


def beside(rows: Sequence[Mapping[str, Any]], own_ids: Mapping[str, str]) -> Staged:
    """Nothing staged yet, beside a pool of these rows; `own_ids`: what its owner calls them -> their ids."""
    staged = Staged(pool={row["query_id"]: row for row in rows})
    for row in rows:
        staged.by_identity[identity(row["text"], row["choices"])] = row["query_id"]
        staged.links.add(row["query_id"], texts=(row["text"],))
    for own_id, query_id in own_ids.items():
        if query_id in staged.pool:
            staged.links.add(query_id, own_id=own_id)
    return staged


def stage_queries(staged: Staged, table: Table[QueryRow], defaults: Defaults, scored: Scored) -> None:
    """Stages the queries of a user's file. Raises ImportRefused naming the rows that cannot be taken."""
    complaints: list[Complaint] = []
    seen: dict[str, int] = {}
    for row in table.rows:
        if row.query_id is not None and (earlier := seen.setdefault(row.query_id, row.number)) != row.number:
            rounded = "; a spreadsheet has rounded it: format the column as text" if _ROUNDED.fullmatch(row.query_id) else ""
            complaints.append((row.number, "query_id", f"{row.query_id!r} is already that of row {earlier}{rounded}"))
            continue
        grader = row.grader or (RECORDED if scored.has(row) else defaults.grader if row.reference is not None else JUDGE)
        try:
            _stage(staged, row, _query(row, grader, defaults))
        except _Refused as exc:
            complaints.append((row.number, exc.field, str(exc)))
    refuse(table.path, complaints)


def refusal(row: QueryRow, defaults: Defaults) -> str | None:
    """Why a query whose grader is named cannot be taken; None where it can."""
    try:
        _query(row, row.grader, defaults)
    except _Refused as exc:
        return str(exc)
    return None


class _Refused(ValueError):
    """A row that cannot be taken, with the field that is at fault."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def _stage(staged: Staged, row: QueryRow, made: SourceQuery) -> None:
    """Takes the query, or finds it among those that are there; leaves it out where that one has another reference."""
    key = identity(made.text, made.choices)
    query_id = staged.by_identity.get(key)
    if query_id is None:
        query_id = _free_id(staged, made)
        staged.by_identity[key] = query_id
        staged.rows[query_id] = made.as_row() | {"query_id": query_id}
    else:
        there = staged.rows.get(query_id) or staged.pool[query_id]
        if _contradict(there, made):
            staged.contradicted[row.number] = row.query_id
            return
        staged.merged += 1
        if query_id in staged.rows and made.reference and not there["reference"]:
            staged.rows[query_id] |= {"reference": made.reference, "grader": made.grader}
    staged.links.add(query_id, own_id=row.query_id, texts=(made.text, row.text))
    if row.query_id is not None:
        staged.own_ids[row.query_id] = query_id
    if row.split is not None:
        earlier = staged.splits.get(query_id, row.split)
        if earlier != row.split:
            staged.moved.add(query_id)
        staged.splits[query_id] = max(row.split, earlier, key=list(SPLITS).index)  # the one farthest from training


def _contradict(there: Mapping[str, Any], made: SourceQuery) -> bool:
    """Whether the two cannot be graded as one: they have other references, or read them otherwise."""
    if not there["reference"] or not made.reference:
        return False
    graders = {there["grader"], made.grader} - {RECORDED}
    return there["reference"].strip() != made.reference.strip() or len(graders) > 1


def _free_id(staged: Staged, made: SourceQuery) -> str:
    """The query's id; where a query with the same text and other options has it, one with a hash of the options."""
    if made.query_id not in staged.rows and made.query_id not in staged.pool:
        return made.query_id
    return f"{made.query_id}-{hashlib.sha256(repr(made.choices).encode()).hexdigest()[:6]}"


def _query(row: QueryRow, grader: str | None, defaults: Defaults) -> SourceQuery:
    """The row as a query of the pool, its options in its text. Raises _Refused."""
    if grader is None:
        raise _Refused("grader", f"is empty while there is a reference; name one of {', '.join(ALL_GRADERS)} (or pass --grader)")
    if complaint := _unknown(grader):
        raise _Refused("grader", complaint)
    if grader in GRADERS and row.reference is None:
        raise _Refused("reference", f"is empty; grader {grader!r} needs one")
    options = [option for _, option in row.choices]
    if grader == "choice" and not 2 <= len(options) <= len(LETTERS):
        found = f"has {len(options)}" if options else "is empty"
        raise _Refused("choices", f"{found}; grader 'choice' needs the options, 2 to {len(LETTERS)} of them")
    try:
        reference = references.of_grader(grader, row.reference, row.choices)
    except ValueError as exc:
        raise _Refused("reference", str(exc)) from exc
    made = SourceQuery(
        slug(row.dataset or defaults.name) or defaults.name,
        row.domain or defaults.domain or defaults.name,
        _asked(row.text.strip(), options, grader, reference),
        grader,
        reference or "",
        tuple(options),
        row.language or "en",
        defaults.source,
        row.licence or defaults.licence,
    )
    if (reason := _ungradable(made)) is not None:
        raise _Refused("reference", reason)
    return made


def _asked(text: str, options: Sequence[str], grader: str, reference: str | None) -> str:
    """What an LLM is sent: the question and, where it does not list them itself, the options; with letters where one may be the answer."""
    if not options or shows(text, options):
        return text
    by_text = grader != "choice" and reference is not None and normalise(reference) in map(normalise, options)
    return either_or(text, options) if by_text or len(options) > len(LETTERS) else lettered(text, options)


def _unknown(grader: str) -> str | None:
    """Why there is no such grader."""
    if grader in ALL_GRADERS:
        return None
    near = near_matches(grader, ALL_GRADERS)
    return f"{grader!r} is not known; " + (f"did you mean {' or '.join(near)}" if near else f"known are {', '.join(ALL_GRADERS)}")


def _ungradable(query: SourceQuery) -> str | None:
    """Why no answer to it could be graded; unit tests, which run code, are not asked."""
    grader = GRADERS.get(query.grader)
    if grader is None or grader is unit_tests:
        return None
    try:
        grader.grade("", graded.Query.of(query.as_row()))
    except GraderFailed as exc:
        return exc.what.partition(": ")[2].rstrip(".")
    return None
