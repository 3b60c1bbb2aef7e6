"""Grades what one LLM answered: `python -m pipelines.label LLM` -> build/labels/LLM.parquet.

A label exists only where there is an answer to grade: a call that failed (`error` set) is a missing label, never a 0, because it says
nothing about the LLM's skill. An answer cut off at the token limit is graded as it stands. Open questions get a label of the judge and of
the reward model, whichever params.yaml names. Labels made elsewhere (data/recorded/LLM.labels.parquet) stand beside ours under their own
grader's name.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import structlog
from rich.progress import Progress

from mixture.llm import LLM
from pipelines import params, query_pool, tables
from pipelines.executor import door
from pipelines.graders import judge, kept, kinds, names, reward_model
from pipelines.graders.kinds import Graded, Task
from pipelines.graders.query import Query, answered
from pipelines.project import Project, stage_settings
from registry import pool
from scorer.errors import RouteMoAError

log = structlog.get_logger()


def label(
    project: Project,
    llm: LLM,
    queries: pd.DataFrame,
    *,
    timeout_s: float,
    judging: LLM | None = None,
    rewarding: reward_model.RewardModel | None = None,
) -> pd.DataFrame:
    """The LABELS table of `llm`: its answers graded, and the labels that came from elsewhere."""
    by_id = {query.query_id: query for query in map(Query.of, queries.to_dict("records"))}
    answers = answered(tables.read_if_there(project.answers(llm.id), tables.ANSWERS), by_id)
    open_ones = [(query, text) for query, text in answers if query.grader in names.OPEN]
    tasks = [Task(query, text, timeout_s) for query, text in answers if query.grader not in {*names.OPEN, names.RECORDED}]
    with Progress(disable=not sys.stdout.isatty()) as progress:
        opinions = (judging is not None) + (rewarding is not None)
        bar = progress.add_task(f"label {llm.id}", total=len(tasks) + len(open_ones) * opinions)

        def advance() -> None:
            progress.advance(bar)

        graded = {names.REWARD_MODEL: _reward(project, llm, rewarding, open_ones, advance)} if rewarding and open_ones else {}
        graded |= {names.JUDGE: _judge(project, llm, judging, open_ones, advance)} if judging and open_ones else {}
        for result in kept.grade(tasks, project.grades(llm.id), advance):
            graded.setdefault(by_id[result.query_id].grader, []).append(result)
    if open_ones and judging is None and rewarding is None:
        next_step = "Set label.judge or label.reward_model in params.yaml."
        log.warning("open_questions_unlabelled", llm=llm.id, answers=len(open_ones), next_step=next_step)
    for failure in (result for results in graded.values() for result in results if result.score is None):
        log.warning("answer_unlabelled", llm=llm.id, query=failure.query_id, why=failure.failure)
    recorded = tables.read_if_there(project.recorded_labels(llm.id), tables.LABELS)
    frames = [_frame(llm, results, grader, version_of(grader, rewarding)) for grader, results in graded.items() if _exists(grader)]
    parts = [*frames, recorded[recorded["query_id"].isin(list(by_id))]]
    labels = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return labels.drop_duplicates(["query_id", "grader"], keep="first").sort_values(["query_id", "grader"], ignore_index=True)


def _judge(project: Project, llm: LLM, judging: LLM, answers: Sequence[tuple[Query, str]], advance: Callable[[], None]) -> list[Graded]:
    """The judge's labels; logs how many judgements had no score, and how far apart its two verdicts are."""

    async def ask() -> list[Graded]:
        async with door.chosen().client() as client:
            return await judge.Judge(judging, client, project.judgements(judging.id)).grade(answers, advance)

    graded = asyncio.run(ask())
    apart = [result.apart for result in graded if result.apart is not None]
    log.info(
        "judged",
        llm=llm.id,
        judge=judging.id,
        answers=len(graded),
        without_score=len(graded) - len(apart),
        verdicts_apart=round(float(np.mean(apart)), 3) if apart else None,
    )
    return graded


def _reward(
    project: Project, llm: LLM, rewarding: reward_model.RewardModel, answers: Sequence[tuple[Query, str]], advance: Callable[[], None]
) -> list[Graded]:
    """The reward model's labels; logs how many answers were cut to fit it."""
    rewards = reward_model.grade(rewarding, answers, project.judgements(f"reward-{rewarding.version}"), advance)
    log.info("rewarded", llm=llm.id, version=rewarding.version, answers=len(answers), cut=rewards.cut, max_tokens=rewarding.max_tokens)
    return rewards.graded


def _frame(llm: LLM, graded: Sequence[Graded], grader: str, version: str) -> pd.DataFrame:
    scored = [result for result in graded if result.score is not None]
    rows = {"query_id": [result.query_id for result in scored], "score": [result.score for result in scored]}
    frame: pd.DataFrame = pd.DataFrame(rows).assign(llm=llm.id, grader=grader, grader_version=version)[tables.LABELS.names]
    return frame.astype({"score": "float64"})


def _exists(grader: str) -> bool:
    """Whether a grader of this name exists: answers to a query that names another are unlabelled, and have been named."""
    return grader in names.OPEN or grader in kinds.GRADERS


def version_of(grader: str, rewarding: reward_model.RewardModel | None = None) -> str:
    """The version a label of `grader` carries."""
    if grader == names.REWARD_MODEL and rewarding is not None:
        return rewarding.version
    return judge.VERSION if grader == names.JUDGE else kinds.find(grader).VERSION


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, pool and parameters; prints what was labelled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", help="an id of registry/pool.yaml")
    command_line = parser.parse_args(arguments)
    settings = stage_settings()
    project = Project(settings.home)
    try:
        entries = pool.load(settings.pool_file)
        parsed = params.load(project.params).label
        llm = entries.by_id(command_line.llm)
        judging = entries.by_id(parsed.judge) if parsed.judge else None
        rewarding = reward_model.load(parsed.reward_model) if parsed.reward_model else None
        queries = query_pool.read(project)
        labels = label(project, llm, queries, timeout_s=parsed.timeout_s, judging=judging, rewarding=rewarding)
        tables.write(project.labels(llm.id), labels, tables.LABELS)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    graders = ", ".join(f"{count} {name}" for name, count in sorted(Counter(labels["grader"]).items()))
    mean = f", mean score {labels['score'].mean():.3f}" if len(labels) else ""
    print(f"{llm.id}: {len(labels)} labels ({graders or 'nothing to grade'}){mean} -> {project.name_of(project.labels(llm.id))}")


if __name__ == "__main__":
    main()
