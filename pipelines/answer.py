"""Asks one LLM the queries it has not answered yet: `python -m pipelines.answer LLM [--limit N] [--deadline-minutes M]`."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from mixture.llm import LLM
from pipelines import params, query_selection, second_round, tables
from pipelines.answer_store import AnswerStore, asked_with
from pipelines.asking import Asked, Asking, Question
from pipelines.errors import AskingStopped
from pipelines.journal import Journal
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
        with Journal(project.journal(llm.id)) as journal:
            asking = Asking(llm, limits.budget_usd, limits.attempts, lambda asked: journal.append(_row(llm, asked)))
            left, until = limits.count, None if limits.seconds is None else time.monotonic() + limits.seconds
            for what, missing in _rounds(store, llm, table, settings):
                answered, todo = len(store.current(queries)), missing[:left]
                print(f"{llm.id}: {answered} answered, {len(missing)} missing{what}, asking {len(todo)}.", flush=True)
                if todo:
                    questions = [Question(query_id, queries[query_id], asked_with(llm, queries[query_id])) for query_id in todo]
                    asyncio.run(_until_signal(asking, questions, None if until is None else until - time.monotonic()))
                left = None if left is None else left - len(todo)
                if left == 0:
                    break
    finally:
        answers = store.write(queries)
    return answers


def _rounds(store: AnswerStore, llm: LLM, table: pd.DataFrame, settings: Params) -> Iterator[tuple[str, list[str]]]:
    """What each round asks about, in words, and the ids of its queries; the second is picked by what the first brought."""
    queries = dict(zip(table["query_id"], table["text"], strict=True))

    def answered() -> pd.DataFrame:
        current = store.current(queries)
        return current[current["error"].isna()]

    first = second_round.first_round(llm, store.project)
    yield "", query_selection.missing(store.project, first, table, settings, set(answered()["query_id"]))
    if first is not llm:
        yield " where it may be chosen", second_round.wanted(store.project, llm, table, settings, answered())


async def _until_signal(asking: Asking, questions: list[Question], seconds: float | None) -> None:
    """Asks until done, until `seconds` have passed, or until SIGTERM or SIGINT, which raises AskingStopped."""
    task = asyncio.create_task(asking.run(questions))
    loop = asyncio.get_running_loop()
    signals: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        signals.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    timer = loop.call_later(seconds, task.cancel) if seconds is not None else None
    try:
        await task
    except asyncio.CancelledError:
        if signals:
            name = signal.Signals(signals[0]).name
            raise AskingStopped(
                f"{asking.llm.id}: stopped by {name}.", next_step="Run the same command again: it goes on where it was."
            ) from None
    finally:
        if timer is not None:
            timer.cancel()


def _row(llm: LLM, asked: Asked) -> dict[str, Any]:
    """One answer, or one failure, as a row of the ANSWERS table."""
    reply = asked.reply
    return {
        "query_id": asked.question.query_id,
        "llm": llm.id,
        "sample": 0,
        "text": reply.text if reply else "",
        "finish_reason": reply.finish_reason if reply else "error",
        "input_tokens": reply.input_tokens if reply else 0,
        "output_tokens": reply.output_tokens if reply else 0,
        "cost_usd": reply.cost_usd if reply else 0.0,
        "latency_s": round(reply.latency_s, 4) if reply else 0.0,
        "mean_logprob": reply.mean_logprob if reply else None,
        "error": None if reply else asked.error,
        "asked_at": datetime.now(UTC).isoformat(),
        "asked_with": asked.question.asked_with,
    }


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
        table = tables.read(project.queries, tables.QUERIES)
        seconds = None if command_line.deadline_minutes is None else 60 * command_line.deadline_minutes
        limits = RunLimits(command_line.limit, parsed.answer.budget_usd, parsed.answer.retries + 1, seconds)
        started = time.monotonic()
        project.asking.mkdir(parents=True, exist_ok=True)
        with FileLock(project.asking_lock(llm.id), timeout=0):
            answers = answer(project, llm, table, parsed, limits)
    except Timeout:
        sys.exit(f"{command_line.llm} is being asked by another run.\nWait for it to end.")
    except RouteMoAError as exc:
        sys.exit(str(exc))
    failed = int(answers["error"].notna().sum())
    print(
        f"{llm.id}: {len(answers) - failed} answers, {failed} failed, {answers['cost_usd'].sum():.4f} USD in all, "
        f"{time.monotonic() - started:.0f} s in this run -> {project.name_of(project.answers(llm.id))}"
    )


if __name__ == "__main__":
    main()
