"""What asking an LLM for a self-assessment is worth, and what it does to its answers: `python -m benchmarks.assessment HOME LLM`.

HOME is a project whose pipeline has run; the LLM's server must be up (`python -m local.llama NAME`; `--base-url` where it listens
elsewhere). Its recorded answers to test queries were given without being asked for a score; the same queries are asked again with
`mixture.questions`' words, and graded by the same verifiable graders. `--judges json_schema`: by structured output, whatever its pool
entry says; one that never judges is asked in text. Printed: how often a score could be read, how well it tells right
from wrong (AUROC, beside the scorer's prior on the same answers), and the paired difference in quality.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks import machine
from benchmarks.figures import auroc, bootstrapped
from mixture.client import Call
from mixture.errors import LLMFailed
from mixture.judging import Judged
from mixture.llm import LLM, Judges
from mixture.openai_client import OpenAIClient
from mixture.questions import Questions
from pipelines import dataset, tables
from pipelines.errors import PipelineError
from pipelines.graders import registry, workers
from pipelines.graders.query import Query
from pipelines.posterior import RIGHT
from registry import pool
from scorer import metrics, runtime
from scorer.errors import RouteMoAError

RESAMPLES = 2000
MORE_TOKENS = 24  # beyond the LLM's own limit, for the judgement that it is asked to add


@dataclass(frozen=True, slots=True)
class Assessed:
    """One answer given with a self-assessment (None: none could be read), its label and that of the answer given without."""

    prior: float
    self_score: float | None
    label: float
    without: float


async def ask(llm: LLM, queries: list[Query]) -> list[Judged | None]:
    """Each query's answer with its self-assessment; None where the call failed."""
    found: list[Judged | None] = []
    questions = Questions(self_score=True, structured=llm.judges == "json_schema")
    options = {"max_tokens": llm.decoding.max_tokens + MORE_TOKENS, **questions.fields}
    async with OpenAIClient() as client:
        for query in track(queries, description=llm.id, disable=not sys.stderr.isatty()):
            asked = questions.ask([{"role": "user", "content": query.text}], {})
            try:
                found.append(questions.read((await client.ask(Call(llm, asked, options))).text))
            except LLMFailed as failure:
                print(failure, file=sys.stderr)
                found.append(None)
    return found


def measure(home: Path, llm: LLM, most: int) -> list[Assessed]:
    """At most `most` test queries (by id) that the LLM has a label for by a verifiable grader. Raises PipelineError where there is none."""
    data = dataset.load(home / "build" / "dataset").take("test")
    if llm.id not in data.roster:
        raise PipelineError(f"{llm.id} has no labels in {home}.", next_step=f"Name one of {', '.join(data.roster)}.")
    column = data.roster.index(llm.id)
    labelled = ~np.isnan(data.labels_QL[:, column]) & data.queries["grader"].isin(list(registry.GRADERS)).to_numpy()
    data = data.where(labelled)
    data = data.where(np.arange(len(data.queries)) < most)
    if not len(data.queries):
        raise PipelineError(f"No test query of {home} has a checked label of {llm.id}.", next_step="Label its answers first.")
    scorer = runtime.load(home / "build" / "scorer")
    priors_Q = scorer.score(data.queries["text"].tolist()).scores_QL[:, scorer.roster.index(llm.id)]
    queries = [Query.of(row) for row in data.queries[tables.QUERIES.names].to_dict("records")]
    answers = asyncio.run(ask(llm, queries))
    graded = workers.grade_all(
        [registry.Task(query, answer.text if answer else "", 10.0) for query, answer in zip(queries, answers, strict=True)]
    )
    return [
        Assessed(float(prior), answer.self_score, float(result.score), float(without))
        for prior, answer, result, without in zip(priors_Q, answers, graded, data.labels_QL[:, column], strict=True)
        if answer is not None and result.score is not None
    ]


def main() -> None:
    """Asks, grades, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("llm")
    parser.add_argument("--base-url")
    parser.add_argument("--judges", choices=("in_text", "json_schema"))
    parser.add_argument("--most", type=int, default=100)
    parser.add_argument("--out", type=Path, help="default: build/benchmarks/assessment-LLM")
    given = parser.parse_args()
    try:
        llm = pool.load(given.home / "registry" / "pool.yaml").by_id(given.llm)
        judges: Judges = given.judges or llm.judges
        llm = replace(llm, judges="in_text" if judges == "never" else judges)
        if given.base_url and llm.endpoint:
            llm = replace(llm, endpoint=replace(llm.endpoint, base_url=given.base_url))
        rows = measure(given.home, llm, given.most)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    told = [row for row in rows if row.self_score is not None]
    right_N = np.array([row.label > RIGHT for row in told], dtype=bool)
    assessed_N, prior_N = np.array([row.self_score for row in told], dtype=float), np.array([row.prior for row in told])
    labels, without = np.array([row.label for row in rows]), np.array([row.without for row in rows])
    figures = {
        "asked": llm.judges,
        "answers": len(rows),
        "with a readable score": len(told),
        "quality without being asked": str(metrics.interval(without, resamples=RESAMPLES)),
        "quality when asked": str(metrics.interval(labels, resamples=RESAMPLES)),
        "difference": str(metrics.difference(labels, without, resamples=RESAMPLES)),
        "AUROC of the self-assessment": str(bootstrapped(auroc, assessed_N, right_N)),
        "AUROC of the scorer's prior on the same": str(bootstrapped(auroc, prior_N, right_N)),
        "mean self-assessment where right / wrong": [
            round(float(part_N.mean()), 3) if len(part_N) else None for part_N in (assessed_N[right_N], assessed_N[~right_N])
        ],
    }
    shown = [f"`{machine.command()}`", "\n".join(f"- {name}: {value}" for name, value in figures.items())]
    folder = given.out or Path("build/benchmarks") / f"assessment-{llm.id}"
    machine.write(folder, shown, figures)
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
