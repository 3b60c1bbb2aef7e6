"""The mixture's own engine over recorded answers: the bare question's answers are known, so whatever asks only it can be replayed.

What shows LLMs each other's answers (refining, synthesis, cross-assessment) makes new text, which no record holds: it raises here.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rivals.strategies import AllAtOnce
from mixture.choose.options import Options
from mixture.choose.ranking import Candidate
from mixture.choose.strategy import Strategy
from mixture.client.protocol import Call, Reply
from mixture.client.scripted import WholeReplies
from mixture.decision import Decision
from mixture.errors import LLMGarbled
from mixture.llm import LLM
from mixture.run.engine import Mixture
from mixture.run.request import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENS_A_CHARACTER = 0.25
ROUTED = AllAtOnce(order="value")


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One LLM's answer; cost in USD, latency in seconds."""

    text: str
    output_tokens: int
    cost_usd: float
    latency_s: float = 0.0
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class RecordedQuery:
    """One query of a replay: its text, and by LLM id the recorded answers and their labels in [0, 1]."""

    text: str
    answers: Mapping[str, RecordedAnswer]
    labels: Mapping[str, float]


class RecordedClient(WholeReplies):
    """Answers one query's bare question from the record; an LLM without an answer there fails as garbled."""

    def __init__(self, question: RecordedQuery) -> None:
        self._question = question

    async def ask(self, call: Call) -> Reply:
        """The recorded reply. Raises ValueError for any other question."""
        if len(call.messages) != 1 or call.messages[0].get("content") != self._question.text:
            raise ValueError("Only the bare question can be replayed; switch assessments, refining and synthesis off.")
        answer = self._question.answers.get(call.llm.id)
        if answer is None:
            raise LLMGarbled(call.llm.id, "no answer is on record.")
        tokens = round(len(self._question.text) * TOKENS_A_CHARACTER)
        cost_usd, latency_s = answer.cost_usd, answer.latency_s
        return Reply(call.llm.id, answer.text, "stop", tokens, answer.output_tokens, cost_usd, latency_s, answer.mean_logprob)


def replay(
    questions: Sequence[RecordedQuery],
    priors_QL: "NDArray[np.floating]",
    llms: Sequence[LLM],
    options: Options,
    strategy: Strategy = ROUTED,
    *,
    only: Collection[str] = (),
) -> list[Decision]:
    """One decision a question; `priors_QL` in the order of `llms`. only: ids of those that may be asked, where one of them is on record."""

    def candidate(question: RecordedQuery, llm: LLM, prior: float) -> Candidate:
        barred = llm.id not in only and any(each in question.answers for each in only)
        return Candidate(replace(llm, status="retired") if barred else llm, prior)

    async def answer(question: RecordedQuery, priors: Mapping[str, float]) -> Decision:
        candidates = [candidate(question, llm, priors[llm.id]) for llm in llms if llm.id in question.answers]
        messages = [{"role": "user", "content": question.text}]
        return await Mixture(RecordedClient(question)).answer(Request(messages, candidates, options, strategy))

    async def run() -> list[Decision]:
        ids = [llm.id for llm in llms]
        asked = zip(questions, priors_QL, strict=True)
        return [await answer(question, dict(zip(ids, map(float, priors_L), strict=True))) for question, priors_L in asked]

    return asyncio.run(run())


def quality(questions: Iterable[RecordedQuery], decisions: Iterable[Decision]) -> "NDArray[np.float64]":
    """quality_Q: the label of the LLM whose answer was returned."""
    return np.array([question.labels[str(made.llm)] for question, made in zip(questions, decisions, strict=True)])


def calls(decisions: Iterable[Decision]) -> "NDArray[np.float64]":
    """calls_Q: LLMs asked for each query."""
    return np.array([float(sum(len(layer.runs) for layer in made.layers)) for made in decisions])


def cost(decisions: Iterable[Decision]) -> "NDArray[np.float64]":
    """cost_Q: USD of all calls of each query."""
    return np.array([made.cost_usd for made in decisions])


def latency(decisions: Iterable[Decision]) -> "NDArray[np.float64]":
    """latency_Q: seconds of recorded latency along each query's critical path, the slowest call of every layer."""
    return np.array([sum(max(run.latency_s for run in layer.runs) for layer in made.layers) for made in decisions])
