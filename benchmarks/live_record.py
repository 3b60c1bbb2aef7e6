"""What `benchmarks.mixture_live` compares: queries, the pool's LLMs, and what a scorer made of them.

A new record takes them from a project. A folder then keeps the LLMs and the scores (`pool.yaml`, `scores.json`), since they decide which
calls a system makes: later runs and replays use the same. Query texts are not kept, because their packages are not ours to pass on: a
project of the same queries has them. What a project's LLMs answered when they were asked for labels are calls as well, and need not be
bought again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bought_calls
from benchmarks.bought_calls import BoughtCalls
from benchmarks.rivals.live_systems import Situation
from mixture.choose.posterior import AgreementPosterior
from mixture.client.protocol import LOGPROBS, Call
from mixture.llm import LLM
from pipelines import dataset, tables
from pipelines.errors import PipelineError
from pipelines.graders.query import Query
from pipelines.journal import Journal
from pipelines.project import Project
from pipelines.query_selection import in_hash_order
from registry import pool
from scorer import runtime
from scorer.atomic_write import replacing

SCORES = "scores.json"
POOL = "pool.yaml"
IN_DOMAIN, OUT_OF_DOMAIN = 300, 100  # queries of a new record: the first by hash


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """One query, where it is from, and what each LLM is thought to make of it."""

    query: Query
    domain: str
    inside: bool
    priors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is compared: queries, the pool's LLMs, their mean training labels, the posterior of the scorer's version and its hash."""

    queries: list[LiveQuery]
    llms: list[LLM]
    means: Mapping[str, float]
    evidence: AgreementPosterior
    scorer: str

    def situation(self, query: LiveQuery, calls: BoughtCalls) -> Situation:
        """`query` as a system sees it."""
        messages = [{"role": "user", "content": query.query.text}]
        llms = [replace(llm, self_assessment="in_text") for llm in self.llms]  # as the published systems ask, whatever the pool says
        return Situation(messages, llms, query.priors, self.means, self.evidence, calls)


def read(home: Path, record: Path) -> Bench:
    """The test queries and the out-of-domain ones that `record` keeps, else the first of the project at `home`. Raises PipelineError."""
    return _recorded(home, record) if (record / SCORES).exists() else _scored(home)


def take_answers(bench: Bench, home: Path, calls: Path) -> int:
    """Adds to `calls` what the project at `home` recorded of its LLMs and is not there yet; returns how many calls that are.

    A label's answer was asked for in the same words and options; one without log-probabilities is left out.
    """
    have = bought_calls.keys(calls)
    fields = ("text", "finish_reason", "input_tokens", "output_tokens", "mean_logprob", "latency_s")
    taken = 0
    with Journal(calls / "calls.jsonl") as journal:
        for llm in bench.llms:
            answers = tables.read_if_there(Project(home).answers(llm.id), tables.ANSWERS)
            usable = answers[answers["error"].isna() & answers["mean_logprob"].notna()].to_dict("records")
            rows = {row["query_id"]: {field: row[field] for field in fields} for row in usable}
            for query in bench.queries:
                name = bought_calls.key(Call(llm, [{"role": "user", "content": query.query.text}], LOGPROBS))
                if query.query.query_id in rows and name not in have:
                    journal.append({"key": name, "llm": llm.id, "error": None, **rows[query.query.query_id]})
                    taken += 1
    return taken


def keep(bench: Bench, home: Path, record: Path) -> None:
    """Writes scores and pool into `record`, unless they are there already."""
    if (record / SCORES).exists():
        return
    record.mkdir(parents=True, exist_ok=True)
    scored = {
        "scorer": bench.scorer,
        "llms": [llm.id for llm in bench.llms],
        "means": bench.means,
        "evidence": asdict(bench.evidence),
        "in_domain": {one.query.query_id: one.priors for one in bench.queries if one.inside},
        "out_of_domain": {one.query.query_id: one.priors for one in bench.queries if not one.inside},
    }
    _write(record / POOL, _pool(home).read_text(encoding="utf-8"))
    _write(record / SCORES, json.dumps(scored, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    """At once: processes that share the work start together."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _scored(home: Path) -> Bench:
    """By the scorer of the project at `home`, whose pipeline has run."""
    data = dataset.load(Project(home).dataset)
    scorer = runtime.load(Project(home).scorer)
    pooled = {llm.id: llm for llm in pool.load(_pool(home)).llms}
    unknown = [name for name in scorer.roster if name not in pooled or pooled[name].endpoint is None]
    if unknown or set(scorer.roster) != set(data.roster):
        raise PipelineError(f"{home}: no endpoint or no labels for {', '.join(unknown or data.roster)}.", next_step="Run its pipeline.")
    tested, strange = (in_hash_order(data.take(split).queries["query_id"]) for split in ("test", "ood"))
    rows = _rows(home, tested[:IN_DOMAIN], strange[:OUT_OF_DOMAIN])
    scores_QL = scorer.score([row["text"] for row, _ in rows]).scores_QL
    priors = [dict(zip(scorer.roster, map(float, scores_L), strict=True)) for scores_L in scores_QL]
    queries = [_query(row, inside, each) for (row, inside), each in zip(rows, priors, strict=True)]
    means = dict(zip(data.roster, map(float, np.nanmean(data.take("train").labels_QL, axis=0)), strict=True))
    evidence = _evidence(Project(home).scorer, scorer.answers)
    return Bench(queries, [pooled[name] for name in scorer.roster], means, evidence, scorer.manifest.content_hash)


def _recorded(home: Path, record: Path) -> Bench:
    """By the scores in `record`."""
    scored = json.loads((record / SCORES).read_text(encoding="utf-8"))
    priors = scored["in_domain"] | scored["out_of_domain"]
    rows = _rows(home, list(scored["in_domain"]), list(scored["out_of_domain"]))
    queries = [_query(row, inside, priors[row["query_id"]]) for row, inside in rows]
    pooled = pool.load(record / POOL)
    llms = [pooled.by_id(name) for name in scored["llms"]]
    return Bench(queries, llms, scored["means"], _evidence(record / SCORES, scored["evidence"]), scored["scorer"])


def _evidence(path: Path, constants: Mapping[str, float]) -> AgreementPosterior:
    try:
        return AgreementPosterior(**constants)
    except TypeError as exc:
        raise PipelineError(
            f"{path}: these constants weigh answers by another rule than this code's ({exc}).",
            next_step="Train with this code; of a record, put the new constants in the place of the old ones.",
        ) from exc


def _rows(home: Path, inside: Sequence[str], outside: Sequence[str]) -> list[tuple[dict[Any, Any], bool]]:
    """The rows of these queries in the project at `home`, and whether each is in domain; both kinds mixed evenly."""
    path = Project(home).queries
    rows = {row["query_id"]: row for row in tables.read(path, tables.QUERIES).to_dict("records")}
    lacking = [name for name in (*inside, *outside) if name not in rows]
    if lacking:
        raise PipelineError(
            f"{path}: {len(lacking)} of {len(inside) + len(outside)} queries are not there, such as {lacking[0]}.",
            next_step="Name a project of the queries the calls were bought for; `python -m pipelines.queries` builds the bundled ones.",
        )
    placed = [(at / len(names), name, within) for names, within in ((inside, True), (outside, False)) for at, name in enumerate(names)]
    return [(rows[name], within) for _, name, within in sorted(placed)]


def _query(row: Mapping[Any, Any], inside: bool, priors: Mapping[str, float]) -> LiveQuery:
    return LiveQuery(Query.of(row), str(row["domain"]), inside, priors)


def _pool(home: Path) -> Path:
    return home / "registry" / "pool.yaml"
