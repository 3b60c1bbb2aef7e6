"""Asks one LLM the queries it has not answered yet: `python -m pipelines.answer LLM [--limit N] [--deadline-minutes M]`."""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from mixture.llm import LLM
from mixture.run.ledger import Ledger
from pipelines import params, query_pool, query_selection, second_round
from pipelines.answer_store import AnswerStore
from pipelines.missing_answers import Missing, ask, one_run
from pipelines.params import Params
from pipelines.project import Project, stage_settings
from registry import pool
from scorer.errors import RouteMoAError


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may do: queries to ask (None: all that are missing), USD to spend, attempts a call, seconds (None: no end)."""

    count: int | None
    budget_usd: float
    attempts: int
    seconds: float | None = None


def answer(project: Project, llm: LLM, table: pd.DataFrame, settings: Params, limits: RunLimits) -> pd.DataFrame:
    """Asks what is missing of the queries in `table` and writes the answers, also when stopped half-way. A retired LLM is asked nothing.

    Raises AskingStopped where the endpoint does not answer, the budget is spent or a signal came: what was answered is kept.
    """
    store = AnswerStore(project, llm)
    queries = dict(zip(table["query_id"], table["text"], strict=True))
    if llm.endpoint is None:
        store.require_recorded()
        return store.write(queries)
    if llm.status == "retired":
        print(f"{llm.id}: retired, it is asked nothing.", flush=True)
        return store.write(queries)
    try:
        ledger, left = Ledger(limits.budget_usd), limits.count
        until = None if limits.seconds is None else time.monotonic() + limits.seconds
        for what, missing in _rounds(store, llm, table, settings):
            answered, todo = len(store.current(queries)), missing[:left]
            print(f"{llm.id}: {answered} answered, {len(missing)} missing{what}, asking {len(todo)}.", flush=True)
            seconds = None if until is None else until - time.monotonic()
            ask(project, [Missing.of(llm, queries, todo, ledger)], limits.attempts, seconds)
            left = None if left is None else left - len(todo)
            if left == 0:
                break
    finally:
        answers = store.write(queries)
    if unasked := query_selection.left_out(table, settings.label):
        print(unasked)
    return answers


def _rounds(store: AnswerStore, llm: LLM, table: pd.DataFrame, settings: Params) -> Iterator[tuple[str, list[str]]]:
    """What each round asks about, in words, and the ids of its queries."""
    queries = dict(zip(table["query_id"], table["text"], strict=True))

    def answered() -> pd.DataFrame:
        current = store.current(queries)
        return current[current["error"].isna()]

    return second_round.rounds(store.project, llm, table, settings, answered)


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, pool and parameters; prints what there is at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", help="an id of registry/pool.yaml")
    parser.add_argument("--limit", type=int, help="ask at most this many queries in this run")
    parser.add_argument("--deadline-minutes", type=float, help="end this run after so many minutes")
    command_line = parser.parse_args(arguments)
    settings = stage_settings()
    project = Project(settings.home)
    try:
        llm = pool.load(settings.pool_file).by_id(command_line.llm)
        parsed = params.load(project.params)
        table = query_pool.read(project)
        seconds = None if command_line.deadline_minutes is None else 60 * command_line.deadline_minutes
        limits = RunLimits(command_line.limit, parsed.answer.budget_usd, parsed.answer.retries + 1, seconds)
        started = time.monotonic()
        with one_run(project, llm):
            answers = answer(project, llm, table, parsed, limits)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    failed = int(answers["error"].notna().sum())
    print(
        f"{llm.id}: {len(answers) - failed} answers, {failed} failed, {answers['cost_usd'].sum():.4f} USD in all, "
        f"{time.monotonic() - started:.0f} s in this run -> {project.name_of(project.answers(llm.id))}"
    )


if __name__ == "__main__":
    main()
