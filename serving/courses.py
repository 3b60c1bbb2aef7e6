"""The two ways a request is answered, as one: straight by the LLM it names, or by those its decision chose."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Call, Reply
from mixture.decision import Decision, Layer, Piece, Run
from mixture.errors import LLMGarbled
from mixture.llm import LLM, Message
from mixture.run.engine import Mixture
from serving.routing import Plan


class Course(Protocol):
    """One request on its way. Raises MixtureError."""

    @property
    def plan(self) -> Plan | None:
        """What the scorer said; None where it was not asked."""

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation."""

    async def run(self) -> Decision:
        """The whole answer."""

    def stream(self) -> AsyncGenerator[Piece, None]:
        """The same in pieces, the last with the decision; closing it ends the work."""


@dataclass(frozen=True, slots=True)
class PassThrough:
    """The LLM that the request names answers; no scorer, no judge."""

    client: OpenAIClient
    llm: LLM
    messages: Sequence[Message]
    asked: Mapping[str, Any]
    deadline: float | None
    plan: None = None

    async def run(self) -> Decision:
        """The whole answer."""
        return _passed(await self.client.ask(self.call))

    async def stream(self) -> AsyncGenerator[Piece, None]:
        """The endpoint's own chunks."""
        async with aclosing(self.client.stream(self.call)) as chunks:
            async for chunk in chunks:
                yield Piece(chunk.text, None if chunk.reply is None else _passed(chunk.reply), chunk.raw)
                if chunk.reply is not None:
                    return
        raise LLMGarbled(self.llm.id, "the stream ended without its reply.")

    @property
    def call(self) -> Call:
        """What the LLM is asked."""
        return Call(self.llm, self.messages, self.asked, self.deadline)


@dataclass(frozen=True, slots=True)
class Routed:
    """The LLMs that the decision chooses answer."""

    mixture: Mixture
    plan: Plan

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation."""
        return self.plan.messages

    async def run(self) -> Decision:
        """The whole answer."""
        plan = self.plan
        return await self.mixture.run(plan.messages, plan.candidates, plan.options, plan.asked)

    def stream(self) -> AsyncGenerator[Piece, None]:
        """The answer as it is written."""
        plan = self.plan
        return self.mixture.stream(plan.messages, plan.candidates, plan.options, plan.asked)


def _passed(reply: Reply) -> Decision:
    return Decision(
        text=reply.text,
        llm=reply.llm,
        finish_reason=reply.finish_reason,
        layers=(Layer((Run.of(reply, reply.text),), {}, {}, latency_s=reply.latency_s),),
        stopped_because="passed through",
        aggregation="single",
        score=0.0,  # nobody predicted one
        cost_usd=reply.cost_usd,
        latency_s=reply.latency_s,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        reply=reply,
    )
