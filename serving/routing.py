"""From a request to what may answer it: scores of the query, candidates of the pool, and the options in force."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixture.choose.options import Options, restrict
from mixture.choose.posterior import query_easiness
from mixture.choose.ranking import Candidate, Ranked, rank, refusal
from mixture.choose.widening import widened
from mixture.client import request_size
from mixture.errors import NoAnswer
from mixture.llm import LLM, Message
from serving.active_scorer import Active
from serving.protocol import ChatRequest, passed_on
from serving.querytext import query_text
from serving.state import State

MIXTURE, SINGLE = "routemoa", "routemoa-single"
VIRTUAL: Mapping[str, str] = {
    MIXTURE: "a mixture of LLMs, chosen for each query",
    SINGLE: "the one LLM of best expected value for each query",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One scored request.

    active: the scorer version it was scored by. text: what of the conversation was scored. scores: by LLM id, in roster order.
    candidates: the LLMs of roster and pool that can be called; uncallable: roster id -> why it cannot. asked: fields passed on.
    """

    active: Active
    text: str
    scores: Mapping[str, float]
    query_D: NDArray[np.float32]
    candidates: tuple[Candidate, ...]
    uncallable: Mapping[str, str]
    options: Options
    messages: Sequence[Message]
    asked: Mapping[str, Any]

    @property
    def ranked(self) -> tuple[Ranked, ...]:
        """In the order in which they are asked; the first layer's are chosen."""
        ranking = rank(self.candidates, self.options)
        if self.options.single or self.options.deepen != "widen":
            return ranking
        return widened(ranking, {}, query_easiness(each.prior for each in self.candidates), self.options)

    @property
    def excluded(self) -> dict[str, str]:
        """LLM id -> why it may not answer this request."""
        reasons = {each.llm.id: refusal(each, self.options) for each in self.candidates}
        return {**self.uncallable, **{llm: why for llm, why in reasons.items() if why is not None}}


async def plan(state: State, chat: ChatRequest, written: Mapping[str, Any]) -> Plan:
    """Scores the request with the scorer version in force.

    Raises NotReady without one, NoAnswer where no LLM of its roster may answer.
    """
    active, llms = state.active, state.llms
    messages, asked = written["messages"], passed_on(written)
    text = query_text(messages, active.scorer.manifest.max_tokens)
    started = time.perf_counter()
    prediction = await asyncio.get_running_loop().run_in_executor(state.scoring, active.scorer.score, [text])
    state.metrics.scoring.observe(time.perf_counter() - started)
    scores = dict(zip(active.scorer.roster, map(float, prediction.scores_QL[0]), strict=True))
    tokens = request_size.expected_input_tokens(messages, asked)
    known = {llm.id: llm for llm in llms.llms}
    uncallable = cannot_be_called(scores, known)
    found = Plan(
        active=active,
        text=text,
        scores=scores,
        query_D=prediction.queries_QD[0],
        candidates=tuple(state.experience.candidate(known[llm], score, tokens) for llm, score in scores.items() if llm not in uncallable),
        uncallable=uncallable,
        options=_options(state, active, chat, messages, asked),
        messages=messages,
        asked=asked,
    )
    if not found.ranked:
        reasons = "; ".join(f"{llm}: {why}" for llm, why in found.excluded.items())
        raise NoAnswer(
            f"No LLM can answer this request ({reasons}).", why="nobody", next_step="Ask for less, or add an LLM that can to the pool."
        )
    return found


def cannot_be_called(roster: Iterable[str], known: Mapping[str, LLM]) -> dict[str, str]:
    """Roster id -> why it cannot be called, by the pool's LLMs."""
    return {llm: why for llm in roster if (why := why_not(known.get(llm))) is not None}


def why_not(llm: LLM | None) -> str | None:
    """Why an LLM cannot be called at all, None where it can."""
    if llm is None:
        return "not in the pool"
    if llm.status == "retired":
        return "retired"
    return "recorded, not served" if llm.endpoint is None else None


def _options(state: State, active: Active, chat: ChatRequest, messages: Sequence[Message], asked: Mapping[str, Any]) -> Options:
    """The operator's, narrowed by the request; one LLM where the request or its virtual model wants one."""
    operator = state.settings.mixture.options(active.evidence)
    wishes = chat.routemoa.requested(operator, time.monotonic())
    options = restrict(operator, replace(wishes, capabilities=request_size.abilities(messages, asked)))
    return options.as_single() if chat.model == SINGLE or request_size.one_llm_only(messages, asked) else options
