"""Grades what one LLM answered: `python -m pipelines.label LLM` -> build/labels/LLM.parquet.

A label exists only where there is an answer to grade: a call that failed (`error` set) is a missing label, never a 0, because it says
nothing about the LLM's skill. An answer cut off at the token limit is graded as it stands. Labels made elsewhere
(data/recorded/LLM.labels.parquet) stand beside ours under their own grader's name.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import structlog
from rich.progress import Progress

from mixture.llm import LLM
from mixture.openai_client import OpenAIClient
from pipelines import params, tables
from pipelines.graders import judge, registry
from pipelines.graders.query import Query
from pipelines.graders.registry import Graded, Task
from pipelines.graders.workers import grade_all
from registry import pool
from registry.settings import Settings
from scorer.errors import RouteMoAError

QUERIES = Path("data/queries.parquet")
RECORDED = Path("data/recorded")
ANSWERS = Path("build/answers")
LABELS = Path("build/labels")
JUDGEMENTS = Path("build/judgements")
log = structlog.get_logger()


def label(llm: LLM, queries: pd.DataFrame, timeout_s: float, judging: LLM | None) -> pd.DataFrame:
    """The LABELS table of `llm`: its answers graded, and the labels that came from elsewhere."""
    by_id = {query.query_id: query for query in map(Query.of, queries.to_dict("records"))}
    answers = to_grade(tables.read_if_there(ANSWERS / f"{llm.id}.parquet", tables.ANSWERS), by_id)
    judged = [(query, text) for query, text in answers if query.grader == registry.JUDGE]
    tasks = [Task(query, text, timeout_s) for query, text in answers if query.grader not in {registry.JUDGE, registry.RECORDED}]
    with Progress(disable=not sys.stdout.isatty()) as progress:
        shown = progress.add_task(f"label {llm.id}", total=len(tasks) + (len(judged) if judging else 0))
        graded = grade_all(tasks, lambda: progress.advance(shown))
        graded += _judge(judging, judged, lambda: progress.advance(shown)) if judging and judged else []
    if judged and judging is None:
        log.warning("open_questions_unlabelled", llm=llm.id, answers=len(judged), next_step="Set label.judge in params.yaml.")
    for failure in (result for result in graded if result.score is None):
        log.warning("answer_unlabelled", llm=llm.id, query=failure.query_id, why=failure.failure)
    recorded = tables.read_if_there(RECORDED / f"{llm.id}.labels.parquet", tables.LABELS)
    parts = [_frame(llm, graded, by_id), recorded[recorded["query_id"].isin(list(by_id))]]
    labels = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return labels.drop_duplicates(["query_id", "grader"], keep="first").sort_values(["query_id", "grader"], ignore_index=True)


def to_grade(answers: pd.DataFrame, queries: Mapping[str, Query]) -> list[tuple[Query, str]]:
    """The answers that can be graded: to a query of the pool, and not a failed call."""
    usable = answers[answers["error"].isna() & answers["query_id"].isin(list(queries))]
    pairs = zip(usable["query_id"], usable["text"].fillna(""), strict=True)
    return [(queries[query_id], text) for query_id, text in pairs]


def _judge(judging: LLM, judged: Sequence[tuple[Query, str]], advance: Callable[[], None]) -> list[Graded]:
    async def ask() -> list[Graded]:
        async with OpenAIClient() as client:
            return await judge.Judge(judging, client, JUDGEMENTS / f"{judging.id}.jsonl").grade(judged, advance)

    return asyncio.run(ask())


def _frame(llm: LLM, graded: Sequence[Graded], queries: Mapping[str, Query]) -> pd.DataFrame:
    rows = [
        {
            "query_id": result.query_id,
            "llm": llm.id,
            "score": result.score,
            "grader": queries[result.query_id].grader,
            "grader_version": version_of(queries[result.query_id].grader),
        }
        for result in graded
        if result.score is not None
    ]
    return pd.DataFrame(rows, columns=tables.LABELS.names).astype({"score": "float64"})


def version_of(grader: str) -> str:
    """The version a label of `grader` carries."""
    return judge.VERSION if grader == registry.JUDGE else registry.find(grader).VERSION


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, pool and parameters; says at the end what was labelled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", help="an id of registry/pool.yaml")
    given = parser.parse_args(arguments)
    try:
        entries = pool.load(Settings().pool_file)
        settings = params.load().label
        llm = entries.by_id(given.llm)
        judging = entries.by_id(settings.judge) if settings.judge else None
        labels = label(llm, tables.read(QUERIES, tables.QUERIES), settings.timeout_s, judging)
        tables.write(LABELS / f"{llm.id}.parquet", labels, tables.LABELS)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    graders = ", ".join(f"{count} {name}" for name, count in sorted(Counter(labels["grader"]).items()))
    mean = f", mean score {labels['score'].mean():.3f}" if len(labels) else ""
    print(f"{llm.id}: {len(labels)} labels ({graders or 'nothing to grade'}){mean} -> {LABELS / f'{llm.id}.parquet'}")


if __name__ == "__main__":
    main()
