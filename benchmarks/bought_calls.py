"""LLM calls bought once: a client that answers from a record of calls, by what was sent, and asks a real LLM only what is not there.

It runs in virtual time (`mixture.replay.virtual_time`): a reply takes the seconds it took when it was bought, whenever that was, so that
a system's latency is that of its critical path. Bought calls are made one at a time, and the loop's clock stands still meanwhile.
Log-probabilities are asked for with every call, since some systems read them: they change no word, and calls can be shared. Bought cold,
llama.cpp is told to forget the prompts it has read: else a call's seconds hang on who asked the same before.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mixture.client import request_body
from mixture.client.openai import OpenAIClient
from mixture.client.protocol import LOGPROBS, Call, Client, Reply
from mixture.client.scripted import WholeReplies
from mixture.errors import LLMFailed, LLMGarbled, LLMRefused, LLMTimedOut
from pipelines.journal import Journal, rows
from scorer.errors import RouteMoAError

KEPT = {kind.__name__: kind for kind in (LLMTimedOut, LLMRefused, LLMGarbled)}  # an LLM's own failures; others say nothing about it
UNFIT = {400, 413, 422}  # of a request, such as one too long; a wrong key or name says nothing about the LLM
LEAST_CALLS = 5  # for three figures of a speed
COLD = {"cache_prompt": False}  # llama.cpp: read the whole prompt again


class EndpointMissing(RouteMoAError):
    """An endpoint is not there, or cannot take a call: no LLM's answer, and no failure of an LLM's own."""


class CallMissing(RouteMoAError):
    """A call that is not on record, where none may be bought."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of calls of LLMs on the same weights: before the first token, per input and per output token.

    error: median and relative, of each of the `calls` calls by the others.
    """

    start_s: float
    input_s: float
    output_s: float
    error: float
    calls: int

    def seconds(self, input_tokens: int, output_tokens: int) -> float:
        """Of a call of that many tokens."""
        return self.start_s + self.input_s * input_tokens + self.output_s * output_tokens

    def __str__(self) -> str:
        return (
            f"{self.start_s:.2f} s, {1e3 * self.input_s:.1f} ms per input token, {1e3 * self.output_s:.1f} ms per output token "
            f"(fitted to {self.calls} calls; median error of a call by the others {self.error:.0%})."
        )


def speeds(folder: Path, weights: Mapping[str, str]) -> dict[str, Speed]:
    """The speed of each of these weights (LLM id -> what it runs on) in the calls on record in `folder`; failed calls are left out.

    Raises CallMissing where an LLM's weights have fewer than LEAST_CALLS.
    """
    taken: dict[str, list[tuple[int, int, float]]] = {name: [] for name in weights.values()}
    for row in _recorded(folder):
        if not row["error"] and _own(row["llm"]) in weights:
            taken[weights[_own(row["llm"])]].append((row["input_tokens"], row["output_tokens"], row["latency_s"]))
    for name, calls in taken.items():
        if len(calls) < LEAST_CALLS:
            raise CallMissing(
                f"{folder}: {len(calls)} calls of {name} on record, {LEAST_CALLS} are needed.",
                next_step="Buy some there: python -m benchmarks.mixture_live HOME --cold --calls FOLDER.",
            )
    return {name: _speed(np.array(calls, dtype=float)) for name, calls in taken.items()}


def _speed(calls_C3: NDArray[np.float64]) -> Speed:
    """Non-negative least squares of relative errors: of input tokens, output tokens and seconds."""
    terms_C3 = np.column_stack([np.ones(len(calls_C3)), calls_C3[:, :2]]) / calls_C3[:, 2:]
    fitted_3 = nnls(terms_C3, np.ones(len(terms_C3)))[0]
    others = (np.delete(terms_C3, at, axis=0) for at in range(len(terms_C3)))
    errors = [abs(one_3 @ nnls(rest_C3, np.ones(len(rest_C3)))[0] - 1) for one_3, rest_C3 in zip(terms_C3, others, strict=True)]
    start_s, input_s, output_s = map(float, fitted_3)
    return Speed(start_s, input_s, output_s, float(np.median(errors)), len(calls_C3))


def _own(llm: str) -> str:
    """The LLM's id in the pool: samples of one LLM are told apart by a number after #."""
    return llm.partition("#")[0]


def _recorded(folder: Path) -> Iterable[dict[str, Any]]:
    return (row for path in sorted(folder.glob("*.jsonl")) for row in rows(path))


class Live:
    """A real client on an event loop of its own, asked from outside it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client: Client = OpenAIClient(attempts=1)

    def ask(self, call: Call) -> Reply:
        """One reply, waited for. Raises LLMFailed."""
        return asyncio.run_coroutine_threadsafe(self._client.ask(call), self._loop).result()

    def close(self) -> None:
        """Ends the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class BoughtCalls(WholeReplies):
    """A client that answers from the record. `bought`: calls made in this process; `journal` and `live` are None where none may.

    paces: by weights (`served_name`), seconds of calls by their tokens; other calls take the seconds they took. cold: servers are told to
    forget the prompts they have read.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal | None = None,
        live: Live | None = None,
        *,
        paces: Mapping[str, Speed] | None = None,
        cold: bool = False,
    ) -> None:
        self._rows = {row["key"]: row for row in _recorded(folder)}
        self._journal, self._live, self._paces = journal, live, paces or {}
        self._options = COLD if cold else {}
        self.bought = 0

    def __len__(self) -> int:
        return len(self._rows)

    async def ask(self, call: Call) -> Reply:
        """The reply, after the seconds it takes.

        Raises LLMFailed as it was raised then, CallMissing where the call may not be bought, EndpointMissing where it cannot be.
        """
        call = replace(call, options={**call.options, **LOGPROBS})
        name = key(call)
        if name not in self._rows:
            self._rows[name] = self._buy(name, call)
        row = self._rows[name]
        tokens = row["input_tokens"], row["output_tokens"]
        pace = None if row["error"] else self._paces.get(request_body.endpoint(call.llm).served_name)
        latency_s = row["latency_s"] if pace is None else pace.seconds(*tokens)
        await asyncio.sleep(latency_s)
        if row["error"]:
            raise KEPT[row["error"]](call.llm.id, row["text"])
        cost_usd = call.llm.price.cost(*tokens)
        return Reply(call.llm.id, row["text"], row["finish_reason"], *tokens, cost_usd, latency_s, row["mean_logprob"])

    def _buy(self, name: str, call: Call) -> dict[str, Any]:
        if self._live is None or self._journal is None:
            raise CallMissing(f"A call of {call.llm.id} is not on record.", next_step="Run again without --offline.")
        row: dict[str, Any] = {"key": name, "llm": call.llm.id, "error": None, "mean_logprob": None, "finish_reason": ""}
        began = time.monotonic()
        try:
            reply = self._live.ask(replace(call, options={**call.options, **self._options}))
        except LLMFailed as failed:
            if not _own_failure(failed):
                raise EndpointMissing(f"{failed.what}", next_step=failed.next_step) from failed
            waited_s = round(time.monotonic() - began, 4)
            row |= {"error": type(failed).__name__, "text": failed.what, "input_tokens": 0, "output_tokens": 0, "latency_s": waited_s}
        else:
            for field in ("text", "finish_reason", "input_tokens", "output_tokens", "mean_logprob"):
                row[field] = getattr(reply, field)
            row["latency_s"] = round(reply.latency_s, 4)
        self._journal.append(row)
        self.bought += 1
        return row


def _own_failure(failed: LLMFailed) -> bool:
    return failed.status in UNFIT if isinstance(failed, LLMRefused) else type(failed).__name__ in KEPT


def keys(folder: Path) -> set[str]:
    """Of the calls on record in `folder`."""
    return {row["key"] for row in _recorded(folder)}


def key(call: Call) -> str:
    """Hash of everything the endpoint was sent; where it listens is no part of it."""
    return hashlib.sha256(json.dumps(request_body.body(call, stream=False), sort_keys=True).encode()).hexdigest()[:24]


@contextmanager
def buying(folder: Path, *, cold: bool = False, paces: Mapping[str, Speed] | None = None) -> Iterator[BoughtCalls]:
    """Calls on record in `folder`, and new ones bought into it. Raises EndpointMissing where an endpoint is not there."""
    live = Live()
    try:
        with Journal(folder / "calls.jsonl") as journal:
            yield BoughtCalls(folder, journal, live, paces=paces, cold=cold)
    finally:
        live.close()
