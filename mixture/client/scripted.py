"""An LLM client that answers from a script: for tests, replays and simulations; faults and timing that nothing real gives on demand."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from mixture.client.protocol import Call, Chunk, Reply
from mixture.errors import LLMFailed, LLMRefused

NO_SCRIPT = "no such call is scripted."
INPUT_TOKENS = 100


class WholeReplies(ABC):
    """A client that only says how it is asked; its streams bring the whole reply in one piece."""

    @abstractmethod
    async def ask(self, call: Call) -> Reply:
        """One complete reply. Raises LLMFailed."""

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        """The same in one piece."""
        reply = await self.ask(call)
        yield Chunk(reply.text, reply=reply)


@dataclass(frozen=True, slots=True)
class Script:
    """What one LLM does with a call.

    says: its reply, a text of that, or a function of the call that gives one. takes: seconds, or until: the loop's time at which it ends.
    fails: raised then instead, where streamed after `pieces_before_failure`. retried: whether the client tries again where it may.
    """

    says: str | Reply | Callable[[Call], str] = "an answer"
    takes: float = 1.0
    until: float | None = None
    fails: LLMFailed | None = None
    retried: bool = False
    pieces_before_failure: int = 0
    finish_reason: str = "stop"
    output_tokens: int = 10

    @property
    def wait_s(self) -> float:
        """Seconds from now."""
        return self.takes if self.until is None else max(0.0, self.until - asyncio.get_running_loop().time())

    def reply(self, call: Call) -> Reply:
        """The reply to `call`."""
        if isinstance(self.says, Reply):
            return self.says
        text = self.says(call) if callable(self.says) else self.says
        cost_usd = call.llm.price.cost(INPUT_TOKENS, self.output_tokens)
        raw = {"id": call.llm.id}
        return Reply(call.llm.id, text, self.finish_reason, INPUT_TOKENS, self.output_tokens, cost_usd, self.takes, raw=raw)


@dataclass
class ScriptedClient:
    """Implements `mixture.client.protocol.Client`; `calls` and `cancelled` say what happened.

    scripts: by LLM id, one for all its calls or a queue of one each. pause_s: between the words of a stream.
    begins_at_once: whether a stream gives a sign of life before its first word is due.
    """

    scripts: Mapping[str, Script | deque[Script]]
    pause_s: float = 0.1
    begins_at_once: bool = False
    calls: list[Call] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    running: int = 0

    def asked(self) -> list[str]:
        """Ids of the LLMs asked, in the order of the calls."""
        return [call.llm.id for call in self.calls]

    async def ask(self, call: Call) -> Reply:
        """The scripted reply, or the scripted failure."""
        script = await self._end(call)
        if script.fails is not None:
            raise script.fails
        return script.reply(call)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The scripted reply in pieces."""
        if self.begins_at_once:
            yield Chunk("")
        script = await self._end(call)
        if script.fails is not None and not script.pieces_before_failure:
            raise script.fails
        reply = script.reply(call)
        try:
            for at, word in enumerate(reply.text.split(" ")):
                if script.fails is not None and at >= script.pieces_before_failure:
                    raise script.fails
                yield Chunk(word if at == 0 else f" {word}", raw={"choices": [{"index": 0, "delta": {"content": word}}]})
                await asyncio.sleep(self.pause_s)
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled.append(call.llm.id)
            raise
        yield Chunk("", reply=reply)

    async def _end(self, call: Call) -> Script:
        """The script of this call once it is over, of its last attempt where it is tried again."""
        while True:
            script = self._next(call)
            await self._work(call, script)
            if script.fails is None or not script.retried or not call.may_retry(script.fails):
                return script

    def _next(self, call: Call) -> Script:
        script = self.scripts.get(call.llm.id, deque())
        if isinstance(script, Script):
            return script
        return script.popleft() if script else Script(takes=0.0, fails=LLMRefused(call.llm.id, NO_SCRIPT))

    async def _work(self, call: Call, script: Script) -> None:
        self.calls.append(call)
        self.running += 1
        try:
            await asyncio.sleep(script.wait_s)
        except asyncio.CancelledError:
            self.cancelled.append(call.llm.id)
            raise
        finally:
            self.running -= 1
