"""Asks one LLM the queries it has not answered yet: `python -m pipelines.answer LLM [--limit N] [--deadline-minutes M]`."""

import argparse
import asyncio
import dataclasses
import hashlib
import json
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from mixture.llm import LLM
from pipelines import params, query_selection, tables
from pipelines.asking import Asked, Asking, Question
from pipelines.errors import AskingStopped, PipelineError
from pipelines.journal import Journal, rows
from registry import pool
from registry.settings import Settings
from scorer.errors import RouteMoAError

QUERIES = Path("data/queries.parquet")
RECORDED = Path("data/recorded")  # answers brought from elsewhere
ANSWERS = Path("build/answers")
JOURNALS = Path("build/asking")  # beside the answers, not among them: stages depend on that folder


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may do: how many queries to ask, USD to spend, attempts a call, seconds from now (None: no end)."""

    count: int | None
    budget_usd: float
    attempts: int
    seconds: float | None = None


def asked_with(llm: LLM, text: str) -> str:
    """Hash of everything that decides what the LLM was sent; an answer is bought once for each."""
    sent = {
        "text": text,
        "prompt": dataclasses.asdict(llm.prompt),
        "decoding": dataclasses.asdict(llm.decoding),
        "served_name": llm.endpoint.served_name if llm.endpoint else None,
    }
    return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()[:16]


def known(llm: LLM) -> pd.DataFrame:
    """Every answer of `llm` there is, however it was asked: brought from elsewhere, of earlier runs, of a run that was killed.

    Without the superseded ones where `llm` has no endpoint: which of them are still wanted cannot be told then.
    """
    superseded = [_superseded(llm)] if llm.endpoint else []
    paths = (RECORDED / f"{llm.id}.parquet", *superseded, ANSWERS / f"{llm.id}.parquet")
    return _joined(*(tables.read_if_there(path, tables.ANSWERS) for path in paths), _frame(rows(JOURNALS / f"{llm.id}.jsonl")))


def fold(llm: LLM, queries: Mapping[str, str]) -> pd.DataFrame:
    """One row a query: its newest answer to the present text, prompt and decoding; else one brought from elsewhere, for how it was asked is
    not ours to know; a failure only where there is no answer.
    """
    every = known(llm)
    if llm.endpoint is None:
        current = every[every["query_id"].isin(list(queries))].assign(own=False)
    else:
        expected = every["query_id"].map({query_id: asked_with(llm, text) for query_id, text in queries.items()})
        own = every["asked_with"] == expected
        current = every.assign(own=own)[own | (expected.notna() & (every["asked_with"] == tables.ELSEWHERE))]
    answered_last = current.assign(answered=current["error"].isna()).sort_values(["answered", "own", "asked_at"], kind="stable")
    newest: pd.DataFrame = answered_last.drop_duplicates("query_id", keep="last").sort_values("query_id")[tables.ANSWERS.names]
    return newest.reset_index(drop=True)


def answer(llm: LLM, table: pd.DataFrame, at_most: int | None, limits: Limits) -> pd.DataFrame:
    """Asks what is missing of the queries in `table` and writes `build/answers/LLM.parquet`, also when stopped half-way. A retired LLM is
    asked nothing.

    Raises AskingStopped where the endpoint does not answer, the budget is spent or a signal came: what was answered is kept.
    """
    queries = dict(zip(table["query_id"], table["text"], strict=True))
    if llm.endpoint is None:
        _require_recorded(llm)
        return _written(llm, queries)
    if llm.status == "retired":
        print(f"{llm.id}: retired, it is asked nothing.", flush=True)
        return _written(llm, queries)
    done = fold(llm, queries)
    answered = set(done.loc[done["error"].isna(), "query_id"])
    try:
        missing = query_selection.missing(llm, table, at_most, answered)
        chosen = [Question(query_id, queries[query_id], asked_with(llm, queries[query_id])) for query_id in missing[: limits.count]]
        print(f"{llm.id}: {len(answered)} answered, {len(missing)} missing, asking {len(chosen)}.", flush=True)
        if chosen:
            with Journal(JOURNALS / f"{llm.id}.jsonl") as journal:
                asking = Asking(llm, limits.budget_usd, limits.attempts, lambda asked: journal.append(_row(llm, asked)))
                asyncio.run(_until_signal(asking, chosen, limits.seconds))
    finally:
        frame = _written(llm, queries)
    return frame


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


def _superseded(llm: LLM) -> Path:
    """Answers to another prompt, decoding or text, or to queries that left the pool: bought once, wanted again after a revert."""
    return JOURNALS / f"{llm.id}.superseded.parquet"


def _joined(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([part for part in parts if len(part)] or parts[-1:], ignore_index=True)


def _keep_superseded(llm: LLM, current: pd.DataFrame) -> None:
    """Adds the answers that `current` leaves out; takes none away, so that being killed between the two files loses nothing."""
    key = ["query_id", "asked_with"]
    every = known(llm)
    answered = every[every["error"].isna()]
    left_out = answered[~pd.MultiIndex.from_frame(answered[key]).isin(pd.MultiIndex.from_frame(current[key]))]
    if left_out.empty:
        return
    kept = _joined(tables.read_if_there(_superseded(llm), tables.ANSWERS), left_out)
    newest = kept.sort_values("asked_at", kind="stable").drop_duplicates(key, keep="last").sort_values(key)
    tables.write(_superseded(llm), newest, tables.ANSWERS)


def _frame(journalled: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(journalled, columns=tables.ANSWERS.names)
    return frame.assign(
        asked_at=pd.to_datetime(frame["asked_at"], utc=True, format="ISO8601"),
        mean_logprob=pd.to_numeric(frame["mean_logprob"]),
    )


def _written(llm: LLM, queries: Mapping[str, str]) -> pd.DataFrame:
    """Folds everything known into the output, what was superseded beside it; only then is the journal no longer needed."""
    frame = fold(llm, queries)
    if llm.endpoint:
        _keep_superseded(llm, frame)
    tables.write(ANSWERS / f"{llm.id}.parquet", frame, tables.ANSWERS)
    (JOURNALS / f"{llm.id}.jsonl").unlink(missing_ok=True)
    return frame


def _require_recorded(llm: LLM) -> None:
    """A recorded LLM has its answers, or at least its labels, in data/recorded."""
    if not any((RECORDED / f"{llm.id}{ending}").exists() for ending in (".parquet", ".labels.parquet")):
        raise PipelineError(
            f"{llm.id} has no endpoint, and {RECORDED} holds neither {llm.id}.parquet nor {llm.id}.labels.parquet.",
            next_step="Import its answers or labels, or give it an endpoint in pool.yaml.",
        )


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, pool and parameters; says at the end what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("llm", help="an id of registry/pool.yaml")
    parser.add_argument("--limit", type=int, help="ask at most this many queries in this run")
    parser.add_argument("--deadline-minutes", type=float, help="end this run after so many minutes")
    given = parser.parse_args(arguments)
    try:
        llm = pool.load(Settings().pool_file).by_id(given.llm)
        settings = params.load().answer
        table = tables.read(QUERIES, tables.QUERIES)
        seconds = None if given.deadline_minutes is None else 60 * given.deadline_minutes
        limits = Limits(given.limit, settings.budget_usd, settings.retries + 1, seconds)
        started = time.monotonic()
        JOURNALS.mkdir(parents=True, exist_ok=True)
        with FileLock(JOURNALS / f"{llm.id}.lock", timeout=0):
            frame = answer(llm, table, settings.max_queries, limits)
    except Timeout:
        sys.exit(f"{given.llm} is being asked by another run.\nWait for it to end.")
    except RouteMoAError as exc:
        sys.exit(str(exc))
    failed = int(frame["error"].notna().sum())
    print(
        f"{llm.id}: {len(frame) - failed} answers, {failed} failed, {frame['cost_usd'].sum():.4f} USD in all, "
        f"{time.monotonic() - started:.0f} s in this run -> {ANSWERS / f'{llm.id}.parquet'}"
    )


if __name__ == "__main__":
    main()
