"""What `benchmarks.mixture_live` compares: queries, the pool's LLMs, and what a scorer made of them.

They are a project's at first. The folder of calls then keeps them (`scores.json`, `pool.yaml`), since which calls a system makes hangs on
them: a record goes on, and is replayed, by the scores that its calls were bought by. Texts are not kept, for the packages they come from
are not ours to pass on: a project of the same queries has them.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calls import BoughtCalls
from benchmarks.live_systems import Situation
from mixture.llm import LLM
from mixture.posterior import Evidence
from pipelines import dataset, tables
from pipelines.errors import PipelineError
from pipelines.graders.query import Query
from pipelines.wanted import in_hash_order
from registry import pool
from scorer import runtime

SCORES = "scores.json"
POOL = "pool.yaml"
KINDS = {"in domain": True, "out of domain": False}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, where it is from, and what each LLM is thought to make of it."""

    query: Query
    domain: str
    inside: bool
    priors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is compared: queries, the pool's LLMs, their mean training labels, the posterior of the scorer's version."""

    asked: list[Asked]
    llms: list[LLM]
    means: Mapping[str, float]
    evidence: Evidence

    def situation(self, asked: Asked, calls: BoughtCalls) -> Situation:
        """`asked` as a system sees it."""
        messages = [{"role": "user", "content": asked.query.text}]
        return Situation(messages, self.llms, asked.priors, self.means, self.evidence, calls)


def read(home: Path, calls: Path) -> Bench:
    """The test queries and the out-of-domain ones that `calls` keeps, else those of the project at `home`. Raises PipelineError."""
    return _kept(home, calls) if (calls / SCORES).exists() else _scored(home)


def keep(bench: Bench, home: Path, calls: Path) -> None:
    """Lets the calls in `calls` go on by these scores, whatever `home` becomes; what is kept there already stays."""
    if (calls / SCORES).exists():
        return
    calls.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_pool(home), calls / POOL)
    priors = {kind: {one.query.query_id: one.priors for one in bench.asked if one.inside is inside} for kind, inside in KINDS.items()}
    told = {"llms": [llm.id for llm in bench.llms], "means": bench.means, "evidence": asdict(bench.evidence), "priors": priors}
    partial = calls / f"{SCORES}.{os.getpid()}.partial"  # processes that share the work start at once
    partial.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    partial.replace(calls / SCORES)


def _scored(home: Path) -> Bench:
    """By the scorer of the project at `home`, whose pipeline has run."""
    data = dataset.load(home / "build" / "dataset")
    scorer = runtime.load(home / "build" / "scorer")
    pooled = {llm.id: llm for llm in pool.load(_pool(home)).llms}
    unknown = [name for name in scorer.roster if name not in pooled or pooled[name].endpoint is None]
    if unknown or set(scorer.roster) != set(data.roster):
        raise PipelineError(f"{home}: no endpoint or no labels for {', '.join(unknown or data.roster)}.", next_step="Run its pipeline.")
    tested, strange = (in_hash_order(data.take(split).queries["query_id"]) for split in ("test", "ood"))
    rows = _rows(home, tested, strange)
    scores_QL = scorer.score([row["text"] for row, _ in rows]).scores_QL
    asked = [
        _asked(row, kind, dict(zip(scorer.roster, map(float, of_L), strict=True)))
        for (row, kind), of_L in zip(rows, scores_QL, strict=True)
    ]
    means = dict(zip(data.roster, map(float, np.nanmean(data.take("train").labels_QL, axis=0)), strict=True))
    return Bench(asked, [pooled[name] for name in scorer.roster], means, Evidence(**scorer.answers))


def _kept(home: Path, calls: Path) -> Bench:
    """By the scores on record in `calls`."""
    told = json.loads((calls / SCORES).read_text(encoding="utf-8"))
    known, strange = (told["priors"][kind] for kind in KINDS)
    rows = _rows(home, list(known), list(strange))
    asked = [_asked(row, kind, (known if kind else strange)[row["query_id"]]) for row, kind in rows]
    pooled = pool.load(calls / POOL)
    return Bench(asked, [pooled.by_id(name) for name in told["llms"]], told["means"], Evidence(**told["evidence"]))


def _rows(home: Path, inside: Sequence[str], outside: Sequence[str]) -> list[tuple[dict[Any, Any], bool]]:
    """The rows of these queries in the project at `home`, and whether each is in domain; both kinds mixed evenly."""
    path = home / "data" / "queries.parquet"
    rows = {row["query_id"]: row for row in tables.read(path, tables.QUERIES).to_dict("records")}
    lacking = [name for name in (*inside, *outside) if name not in rows]
    if lacking:
        raise PipelineError(
            f"{path}: {len(lacking)} of {len(inside) + len(outside)} queries are not there, such as {lacking[0]}.",
            next_step="Build the bundled queries: python -m pipelines.queries.",
        )
    placed = [(at / len(names), name, kind) for names, kind in ((inside, True), (outside, False)) for at, name in enumerate(names)]
    return [(rows[name], kind) for _, name, kind in sorted(placed)]


def _asked(row: Mapping[Any, Any], inside: bool, priors: Mapping[str, float]) -> Asked:
    return Asked(Query.of(row), str(row["domain"]), inside, priors)


def _pool(home: Path) -> Path:
    return home / "registry" / "pool.yaml"
