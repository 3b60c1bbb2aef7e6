"""Takes served queries that can be graded back into the query pool, deduplicated and redacted: `routemoa harvest`.

Only records whose text was kept count (the operator turns that on). A new query comes in where an answer to it will get a label:

- by the reference that an outcome brought (the one reported last): every LLM's answer is graded by it, and a query harvested before
  is graded by it from then on;
- else by opinion, where `label.judge` or `label.reward_model` names one.

Of any other query nobody is asked, so it stays out: the score of the one LLM that was chosen to answer it would compare it with no
other, and there are such scores only where that LLM was thought good. A reported score is a label for the LLM that answered wherever
its query came in by one of these ways.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from monitoring.drift import named_domains
from monitoring.records.redaction import has_secrets, redact
from monitoring.records.reference import Reference
from monitoring.records.store import Record, RecordStore
from pipelines import query_pool, query_selection, tables
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.names import JUDGE, OPEN
from pipelines.graders.query import Query
from pipelines.params import Label
from pipelines.project import Project
from pipelines.query_pool import Identity
from registry.settings import Settings

DATASET = query_selection.HARVESTED
GRADER = "outcome"
GRADER_VERSION = "1"
SOURCE = "served traffic"
LICENCE = "not for publication"
UNKNOWN = "unknown"  # the domain of queries that nobody tagged or named
EVER = 1e12  # seconds since the epoch, far from now
ADVICE = "Report references with their outcomes (POST /v1/feedback), or set label.judge in params.yaml."
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Harvest:
    """What the records would bring: rows of QUERIES that are `new`, and `regraded` ones that now have another reference.

    seen: records. with_text: those of them that count. ungradable: new queries whose answers nothing would grade.
    beyond_limit: new queries left for later. labels: rows of LABELS, new or changed, by LLM.
    """

    seen: int = 0
    with_text: int = 0
    new: Sequence[Row] = ()
    regraded: Sequence[Row] = ()
    ungradable: Sequence[Row] = ()
    beyond_limit: int = 0
    labels: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def brings_something(self) -> bool:
        """Whether data/ would be another one."""
        return bool(self.new or self.regraded or self.labels)

    def __str__(self) -> str:
        if self.seen and not self.with_text:
            return f"{self.seen} records, none with text: nothing to harvest. Set ROUTEMOA_STORE_TEXT=true for the server to keep texts."
        counts = sorted(Counter(row["domain"] for row in self.new).items())
        domains = f" ({', '.join(f'{domain} {count}' for domain, count in counts)})" if counts else ""
        labels = sum(map(len, self.labels.values()))
        said = f"{self.seen} records, {self.with_text} with text: {len(self.new)} new queries{domains}, {labels} new labels."
        if self.regraded:
            said += f" {len(self.regraded)} queries of earlier harvests have a reference now."
        if self.beyond_limit:
            said += f" {self.beyond_limit} more are left for later, beyond the limit."
        return f"{said} Left out: {len(self.ungradable)} that nothing would grade. {ADVICE}" if self.ungradable else said


def look(project: Project, settings: Label, limit: int | None = None, *, of: Collection[str] | None = None) -> Harvest:
    """What the project's records would bring, at most `limit` new queries: those with a reference, then a sample by hash of the rest.

    of: these decisions alone, and others that ask the same.
    """
    records = _served(project)
    records = records if of is None else _asking_the_same(records, of)
    asked_as = _by_query([record for record in records if record.status == "ok" and record.text and redact(record.text).strip()])
    pool = query_pool.rows(project)
    harvested = {row["query_id"]: row for row in pool if row["source"] == SOURCE}
    there = _There.of(pool)
    rows, unknown = {}, {}
    for query, asked in asked_as.items():
        row = _row(query, asked, settings)
        known = there.find(query)
        rows[query] = row | {"query_id": known} if known is not None else row
        if known is None:
            unknown[row["query_id"]] = row
    by_hash = [unknown[query_id] for query_id in query_selection.in_hash_order(unknown)]
    wanted = [row for row in by_hash if row["grader"] not in query_selection.without_label(settings)]
    new = sorted(wanted, key=lambda row: row["grader"] in OPEN)[:limit]
    ours = {*harvested, *(row["query_id"] for row in new)}  # a query that was in the pool before has its own grader
    return Harvest(
        seen=len(records),
        with_text=sum(map(len, asked_as.values())),
        new=new,
        regraded=[row for row in rows.values() if row["grader"] not in OPEN and _differs(row, harvested.get(row["query_id"]))],
        ungradable=[row for row in by_hash if row["grader"] in query_selection.without_label(settings)],
        beyond_limit=len(wanted) - len(new),
        labels=_labels(project, [(rows[query]["query_id"], asked) for query, asked in asked_as.items() if rows[query]["query_id"] in ours]),
    )


def _served(project: Project) -> list[Record]:
    """Everything that was served, on this host or on all that share its database."""
    settings = Settings(home=project.home)
    if not settings.database_url.get_secret_value() and not project.records.exists():
        return []
    return _with_named_domains(RecordStore.of(settings))


def take(project: Project, harvest: Harvest) -> None:
    """Writes `harvest` into data/harvested.parquet, data/queries.parquet and data/recorded/LLM.labels.parquet."""
    if harvest.new or harvest.regraded:
        better = {row["query_id"]: row for row in harvest.regraded}
        kept = [dict(better.get(row["query_id"], row)) for row in _read(project.harvested)]
        query_pool.write(query_pool.merged([*kept, *map(dict, harvest.new)]), project.harvested)
        query_pool.write(query_pool.rows(project), project.queries)
    for llm, rows in harvest.labels.items():
        path = project.recorded_labels(llm)
        every = _recorded(path) | {(row["query_id"], row["grader"]): row for row in rows}
        tables.write(path, pd.DataFrame([every[key] for key in sorted(every)]), tables.LABELS)


def _with_named_domains(store: RecordStore) -> list[Record]:
    """Every record; one that nobody tagged is of the domain that a person named its like (`monitoring.drift.named_domains`)."""
    named = {each: domain.name for domain in named_domains.load(store).domains if domain.state == "named" for each in domain.members}
    of_later = "SELECT records.id, draws.domain FROM draws JOIN records USING (number) JOIN named_domains ON name = draws.domain"
    named |= dict(store.ask(f"{of_later} WHERE state = 'named'"))
    return [replace(each, domain=named[each.id]) if each.domain is None and each.id in named else each for each in store.scan(0, EVER)]


def _asking_the_same(records: Sequence[Record], of: Collection[str]) -> list[Record]:
    """The records of these decisions, and those of the same text."""
    texts = {query_pool.identity(redact(record.text))[0] for record in records if record.id in of and record.text}
    return [record for record in records if record.text and query_pool.identity(redact(record.text))[0] in texts]


def _by_query(records: Iterable[Record]) -> dict[Identity, list[Record]]:
    """The records by the query that they are of: redacted text, and the options that a reported reference names.

    Where no reference came with options the text is the query; where all that came name the same ones, the text is of these.
    """
    by_text: dict[str, dict[tuple[str, ...], list[Record]]] = {}
    for record in records:
        text, _ = query_pool.identity(redact(record.text or ""))
        reference = record.outcome.reference if record.outcome is not None else None
        options = reference.choices if reference is not None and not any(map(has_secrets, reference.choices)) else ()
        by_text.setdefault(text, {}).setdefault(options, []).append(record)
    asked: dict[Identity, list[Record]] = {}
    for text, by_options in by_text.items():
        if len(by_options) == 2 and () in by_options:
            asked[text, max(by_options)] = [record for each in by_options.values() for record in each]
        else:
            asked |= {(text, options): each for options, each in by_options.items()}
    return asked


@dataclass(frozen=True, slots=True)
class _There:
    """The queries of the pool by identity, those of a text, and the harvested ones that came without options."""

    by_identity: Mapping[Identity, str]
    by_text: Mapping[str, str]
    open_by_text: Mapping[str, str]

    @classmethod
    def of(cls, pool: Iterable[Row]) -> "_There":
        """Those of these rows."""
        by_identity = {query_pool.identity(row["text"], row["choices"]): row for row in pool}
        return cls(
            {query: row["query_id"] for query, row in by_identity.items()},
            {text: row["query_id"] for (text, _), row in by_identity.items()},
            {text: row["query_id"] for (text, options), row in by_identity.items() if not options and row["source"] == SOURCE},
        )

    def find(self, query: Identity) -> str | None:
        """The id of the pool's query that `query` is.

        A text whose options nobody has named is the pool's of that text; options that come later are those of a harvested text.
        """
        text, options = query
        return self.by_identity.get(query) or (self.open_by_text if options else self.by_text).get(text)


def _row(query: Identity, asked: Sequence[Record], settings: Label) -> dict[str, Any]:
    """A row of QUERIES for records of the same query, whoever asked it."""
    text, options = query
    row: dict[str, Any] = {
        "query_id": f"{DATASET}-{hashlib.sha256(repr(query).encode() if options else text.encode()).hexdigest()[:12]}",
        "dataset": DATASET,
        "domain": asked[0].domain or UNKNOWN,
        "language": "und",  # undetermined, as BCP 47 says it
        "text": text,
        "choices": list(options),
        "reference": None,
        "grader": JUDGE,
        "source": SOURCE,
        "licence": LICENCE,
    }
    audited = [(record.outcome, record) for record in asked if record.outcome is not None]
    for outcome, record in sorted(audited, key=lambda pair: pair[0].reported_at, reverse=True):
        if outcome.reference is not None:
            graded = row | _grading(outcome.reference) | {"domain": record.domain or UNKNOWN}
            if _can_grade(outcome.reference, graded, settings):
                return graded
    return row


def _grading(reference: Reference) -> dict[str, Any]:
    return {"grader": reference.grader, "reference": reference.text, "choices": list(reference.choices)}


def _can_grade(reference: Reference, row: Row, settings: Label) -> bool:
    """Whether its grader reads the reference, and nothing in it must be kept out of data/ or was when it was stored."""
    if any(has_secrets(part) for part in (reference.text, *reference.choices)):
        return False
    return kinds.grade(Task(Query.of(row), answer="", timeout_s=settings.timeout_s)).score is not None


def _differs(row: Row, before: Row | None) -> bool:
    """Whether a query that was harvested `before` is graded otherwise by `row`."""
    return before is not None and any(row[name] != before[name] for name in ("grader", "reference", "choices"))


def _labels(project: Project, served: Iterable[tuple[str, Iterable[Record]]]) -> dict[str, list[Row]]:
    """The mean outcome of each LLM on each query, by LLM, where it is new or another than before. `served`: query ids with records."""
    scores: dict[str, dict[str, list[float]]] = {}
    for query_id, records in served:
        for record in records:
            if record.llm is not None and record.outcome is not None:
                scores.setdefault(record.llm, {}).setdefault(query_id, []).append(record.outcome.score)
    changed: dict[str, list[Row]] = {}
    for llm, by_query in scores.items():
        before = _recorded(project.recorded_labels(llm))
        for query_id, outcomes in by_query.items():
            score = sum(outcomes) / len(outcomes)
            row = {"query_id": query_id, "llm": llm, "score": score, "grader": GRADER, "grader_version": GRADER_VERSION}
            if before.get((query_id, GRADER)) != row:
                changed.setdefault(llm, []).append(row)
    return changed


def _recorded(path: Path) -> dict[tuple[str, str], Row]:
    rows = pq.read_table(path).to_pylist() if path.exists() else []
    return {(row["query_id"], row["grader"]): row for row in rows}


def _read(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path, schema=tables.QUERIES).to_pylist()) if path.exists() else []
