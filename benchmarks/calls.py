"""LLM calls bought once: a client that answers from a record of calls, by what was sent, and asks a real LLM only what is not there.

It runs in virtual time (`mixture.virtual_time`): a reply takes the seconds it took when it was bought, however long that is ago, so that
a system's latency is that of its critical path. Bought calls are made one at a time, and the loop's clock stands still meanwhile.
Log-probabilities are asked for with every call, since some systems read them: they change no word, and calls can be shared. llama.cpp is
told to forget the prompts it has read: else a call's seconds would hang on who asked the same before.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixture import wire
from mixture.client import Call, Chunk, Client, Reply
from mixture.errors import LLMFailed, LLMGarbled, LLMRefused, LLMTimedOut
from mixture.layers import LOGPROBS
from mixture.openai_client import OpenAIClient
from pipelines.journal import Journal, rows
from scorer.errors import RouteMoAError

KEPT = {kind.__name__: kind for kind in (LLMTimedOut, LLMRefused, LLMGarbled)}  # an LLM's own failures; others say nothing about it


FORGETFUL = {"cache_prompt": False}


class EndpointMissing(RouteMoAError):
    """An endpoint is not there, or cannot take a call: no LLM's answer, and no failure of an LLM's own."""


class CallMissing(RouteMoAError):
    """A call that is not on record, where none may be bought."""


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


class BoughtCalls:
    """Implements `mixture.client.Client`. `bought`: calls made in this process; `journal` and `live` are None where none may be made."""

    def __init__(self, folder: Path, journal: Journal | None = None, live: Live | None = None) -> None:
        self._rows = {row["key"]: row for path in sorted(folder.glob("*.jsonl")) for row in rows(path)}
        self._journal, self._live = journal, live
        self.bought = 0

    def __len__(self) -> int:
        return len(self._rows)

    async def ask(self, call: Call) -> Reply:
        """The reply, after the seconds it took.

        Raises LLMFailed as it was raised then, CallMissing where the call may not be bought, EndpointMissing where it cannot be.
        """
        call = replace(call, options={**call.options, **LOGPROBS})
        name = key(call)
        if name not in self._rows:
            self._rows[name] = self._buy(name, call)
        row = self._rows[name]
        await asyncio.sleep(row["latency_s"])
        if row["error"]:
            raise KEPT[row["error"]](call.llm.id, row["text"])
        tokens = row["input_tokens"], row["output_tokens"]
        cost_usd = call.llm.price.cost(*tokens)
        return Reply(call.llm.id, row["text"], row["finish_reason"], *tokens, cost_usd, row["latency_s"], row["mean_logprob"])

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        """The same in one piece."""
        reply = await self.ask(call)
        yield Chunk(reply.text, reply=reply)

    def _buy(self, name: str, call: Call) -> dict[str, Any]:
        if self._live is None or self._journal is None:
            raise CallMissing(f"A call of {call.llm.id} is not on record.", next_step="Run again without --offline.")
        row: dict[str, Any] = {"key": name, "llm": call.llm.id, "error": None, "mean_logprob": None, "finish_reason": ""}
        began = time.monotonic()
        try:
            reply = self._live.ask(replace(call, options={**call.options, **FORGETFUL}))
        except tuple(KEPT.values()) as failed:
            waited_s = round(time.monotonic() - began, 4)
            row |= {"error": type(failed).__name__, "text": failed.what, "input_tokens": 0, "output_tokens": 0, "latency_s": waited_s}
        except LLMFailed as failed:
            raise EndpointMissing(f"{failed.what}", next_step=failed.next_step) from failed
        else:
            for field in ("text", "finish_reason", "input_tokens", "output_tokens", "mean_logprob"):
                row[field] = getattr(reply, field)
            row["latency_s"] = round(reply.latency_s, 4)
        self._journal.append(row)
        self.bought += 1
        return row


def key(call: Call) -> str:
    """Hash of everything the endpoint was sent; where it listens is no part of it."""
    return hashlib.sha256(json.dumps(wire.body(call, stream=False), sort_keys=True).encode()).hexdigest()[:24]


@contextmanager
def buying(folder: Path, part: str) -> Iterator[BoughtCalls]:
    """Calls on record in `folder`, and new ones bought into its file `part`. Raises EndpointMissing where an endpoint is not there."""
    live = Live()
    try:
        with Journal(folder / f"{part}.jsonl") as journal:
            yield BoughtCalls(folder, journal, live)
    finally:
        live.close()
