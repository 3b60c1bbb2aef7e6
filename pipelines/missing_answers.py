"""Buying answers that LLMs lack: several LLMs are asked at once, each within its own budget and limits and into its own journal."""

import asyncio
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Self

from filelock import FileLock, Timeout

from mixture.llm import LLM
from mixture.run.ledger import Ledger
from pipelines.answer_store import hashing
from pipelines.asking import Asked, Asking, Question
from pipelines.asking_progress import AskingProgress
from pipelines.errors import AskingStopped
from pipelines.journal import Journal
from pipelines.project import Project
from pipelines.tables import USAGE_PARTS
from scorer.errors import RouteMoAError


@dataclass(frozen=True, slots=True)
class Missing:
    """Questions for `llm`, asked within what `ledger` has left."""

    llm: LLM
    questions: Sequence[Question]
    ledger: Ledger

    @classmethod
    def of(cls, llm: LLM, texts: Mapping[str, str], query_ids: Iterable[str], ledger: Ledger) -> Self:
        """The queries `query_ids` as questions, in their order; `texts` by query id."""
        asked_with = hashing(llm)
        return cls(llm, [Question(query_id, texts[query_id], asked_with(texts[query_id])) for query_id in query_ids], ledger)


@contextmanager
def one_run(project: Project, llm: LLM) -> Iterator[None]:
    """Holds the lock under which `llm` is asked. Raises AskingStopped where another run holds it."""
    project.asking.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(project.asking_lock(llm.id), timeout=0):
            yield
    except Timeout as exc:
        raise AskingStopped(f"{llm.id} is being asked by another run.", next_step="Wait for it to end.") from exc


def ask(project: Project, every: Iterable[Missing], attempts: int, seconds: float | None = None) -> None:
    """Asks each LLM its questions, all LLMs at once but those of one family: they share an endpoint's limits, and take turns.

    attempts: of one call. seconds: after which asking ends well (None: when all are asked).
    Raises AskingStopped or BudgetSpent where an LLM could not be asked to the end, after the others were; AskingStopped where a signal
    came. What was answered is in the journals.
    """
    wanted = sorted((each for each in every if each.questions), key=lambda each: each.llm.family)
    if not wanted:
        return
    with ExitStack() as opened:
        shown = opened.enter_context(AskingProgress({each.llm.id: len(each.questions) for each in wanted}))
        runs: list[tuple[Asking, Missing]] = []
        for each in wanted:
            keep = partial(_keep, opened.enter_context(Journal(project.journal(each.llm.id))), shown, each.llm)
            runs.append((Asking(each.llm, each.ledger, attempts, keep), each))
        families = [list(runs_of_one) for _, runs_of_one in groupby(runs, key=lambda run: run[1].llm.family)]
        asyncio.run(_until_signal(families, seconds))


async def _until_signal(families: Sequence[Sequence[tuple[Asking, Missing]]], seconds: float | None) -> None:
    """Asks until done, until `seconds` have passed, or until SIGTERM or SIGINT, which raises AskingStopped."""
    task = asyncio.ensure_future(asyncio.gather(*map(_in_turn, families)))
    loop = asyncio.get_running_loop()
    signals: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        signals.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    timer = loop.call_later(seconds, task.cancel) if seconds is not None else None
    try:
        stopped = [error for errors in await task for error in errors]
    except asyncio.CancelledError:
        if signals:
            llms = ", ".join(each.llm.id for family in families for _, each in family)
            name = signal.Signals(signals[0]).name
            raise AskingStopped(f"{llms}: stopped by {name}.", next_step="Run the same command again: it goes on where it was.") from None
        return
    finally:
        if timer is not None:
            timer.cancel()
    if len(stopped) == 1:
        raise stopped[0]
    if stopped:
        raise AskingStopped(" ".join(map(str, stopped)))


async def _in_turn(runs: Sequence[tuple[Asking, Missing]]) -> list[RouteMoAError]:
    """Asks one LLM after the other; returns what stopped any of them."""
    stopped: list[RouteMoAError] = []
    for asking, each in runs:
        try:
            await asking.run(each.questions)
        except RouteMoAError as exc:
            stopped.append(exc)
    return stopped


def _keep(journal: Journal, shown: AskingProgress, llm: LLM, asked: Asked) -> None:
    journal.append(_row(llm, asked))
    shown.advance(llm.id)


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
        "cost_usd": 0.0 if reply is None else reply.cost_usd if reply.cost_known else None,
        "latency_s": round(reply.latency_s, 4) if reply else 0.0,
        "mean_logprob": reply.mean_logprob if reply else None,
        "error": None if reply else asked.error,
        "asked_at": datetime.now(UTC).isoformat(),
        "asked_with": asked.question.asked_with,
        **{part: getattr(reply.usage, part) if reply and reply.usage else None for part in USAGE_PARTS},
    }
