"""An LLM client that answers from a script, in virtual time: faults and timing that nothing real gives on demand."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from mixture.choose.ranking import Candidate
from mixture.client.protocol import Call, Chunk, Reply
from mixture.errors import LLMFailed, LLMUnreachable
from mixture.llm import LLM, Endpoint, Price
from mixture.replay.virtual_time import clock, drive

__all__ = ["Script", "ScriptedClient", "WholeReplies", "broken", "candidate", "clock", "drive", "last_words", "llm", "user"]


class WholeReplies(ABC):
    """A client that only says how it is asked; its streams bring the whole reply in one piece."""

    @abstractmethod
    async def ask(self, call: Call) -> Reply:
        """One complete reply. Raises LLMFailed."""

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        """The same in one piece."""
        reply = await self.ask(call)
        yield Chunk(reply.text, reply=reply)


@dataclass
class Script:
    """What one LLM does. `says`: its reply, or a function of the call. fails: raised after `takes` seconds and the pieces."""

    says: str | Callable[[Call], str] = "an answer"
    takes: float = 1.0
    fails: LLMFailed | None = None
    pieces_before_failure: int = 0
    finish_reason: str = "stop"
    output_tokens: int = 10


@dataclass
class ScriptedClient:
    """Implements `mixture.client.protocol.Client`; `calls` and `cancelled` say what happened."""

    scripts: dict[str, Script]
    calls: list[Call] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    running: int = 0

    def asked(self) -> list[str]:
        """Ids of the LLMs asked, in the order of the calls."""
        return [call.llm.id for call in self.calls]

    async def ask(self, call: Call) -> Reply:
        """The scripted reply, or the scripted failure."""
        script = await self._work(call)
        if script.fails is not None:
            raise script.fails
        return self._reply(call, script)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The scripted reply in pieces."""
        script = await self._work(call)
        if script.fails is not None and not script.pieces_before_failure:
            raise script.fails
        reply = self._reply(call, script)
        words = reply.text.split(" ")
        try:
            for at, word in enumerate(words):
                if script.fails is not None and at >= script.pieces_before_failure:
                    raise script.fails
                yield Chunk(word if at == 0 else f" {word}", raw={"choices": [{"index": 0, "delta": {"content": word}}]})
                await asyncio.sleep(0.1)
        except GeneratorExit:
            self.cancelled.append(call.llm.id)
            raise
        yield Chunk("", reply=reply)

    async def _work(self, call: Call) -> Script:
        self.calls.append(call)
        script = self.scripts[call.llm.id]
        self.running += 1
        try:
            await asyncio.sleep(script.takes)
        except asyncio.CancelledError:
            self.cancelled.append(call.llm.id)
            raise
        finally:
            self.running -= 1
        return script

    @staticmethod
    def _reply(call: Call, script: Script) -> Reply:
        text = script.says(call) if callable(script.says) else script.says
        cost = call.llm.price.cost(100, script.output_tokens)
        return Reply(call.llm.id, text, script.finish_reason, 100, script.output_tokens, cost, script.takes, raw={"id": call.llm.id})


def llm(name: str, *, price: float = 1.0, **more: Any) -> LLM:
    """An LLM on weights of its own; `price` in USD per million tokens, in and out."""
    return LLM(id=name, name=name, price=Price(price, price), endpoint=Endpoint(f"http://{name}/v1", name), **more)


def candidate(name: str, prior: float, *, latency_s: float | None = None, **more: Any) -> Candidate:
    """An LLM and what is expected of it."""
    return Candidate(llm(name, **more), prior, latency_s=latency_s)


def broken(name: str) -> Script:
    """A script of an endpoint that does not take connections."""
    return Script(fails=LLMUnreachable(name, "is gone."), takes=0.1)


def user(text: str = "What is 6 x 7?") -> list[dict[str, Any]]:
    """A conversation of one user turn."""
    return [{"role": "user", "content": text}]


def last_words(call: Call) -> str:
    """The last message's text, as the LLM sees it."""
    return str(call.messages[-1]["content"])
