"""The layer loop: select, ask, judge, update, and go on or stop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mixture.choose.action import Action
from mixture.choose.final_answers import final_answers
from mixture.choose.posterior import Observation, query_easiness
from mixture.choose.ranking import Ranked
from mixture.choose.stop_rules import StopReason, exhausted
from mixture.choose.strategy import AnswersSoFar, Strategy
from mixture.client.protocol import LOGPROBS, Reply
from mixture.client.request_size import expected_input_tokens
from mixture.decision import Layer, Run
from mixture.judge.assessment import Questions
from mixture.judge.text_reply import opaque_ids
from mixture.llm import LLM, SelfAssessment
from mixture.reading.thinking import spoken
from mixture.run.calls import Calls
from mixture.run.ledger import Reservation
from mixture.run.parallel_calls import ParallelCalls
from mixture.run.request import Request


@dataclass(slots=True)
class LayerLoop:
    """One request's layers so far. `run()` fills it.

    answers: each LLM's latest answer. scores: s_l of every candidate. failed: LLMs that failed and are not asked again. action: who was
    asked first.
    """

    calls: Calls
    request: Request
    layers: list[Layer] = field(default_factory=list)
    answers: dict[str, Run] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    stopped_because: StopReason = "layers"
    failed: set[str] = field(default_factory=set)
    action: Action | None = None
    _cross_scores: dict[str, float] = field(default_factory=dict)
    _easiness: float = 0.0

    async def run(self) -> None:
        """Runs layers until a reason to stop. Raises NoAnswer where not one LLM answered."""
        self.scores = {each.llm.id: each.prior for each in self.request.candidates if math.isfinite(each.prior)}
        self._easiness = query_easiness(self.scores.values())
        strategy, options = self.request.strategy, self.request.options
        ranking, self.action = self.request.opened(strategy.select(self._so_far(), options))
        while (reason := await self._layer(ranking)) is None:
            so_far = self._so_far()
            ranking = strategy.select(so_far, options)
            if (reason := self._stop_reason(so_far, ranking)) is not None:
                break
        self.stopped_because = reason

    def _stop_reason(self, so_far: AnswersSoFar, upcoming: Sequence[Ranked]) -> StopReason | None:
        options = self.request.options
        reason = self.request.strategy.stop(so_far, upcoming, options) or exhausted(len(so_far.layers), upcoming, options)
        if reason is None and self.calls.remaining_s <= self.layers[-1].latency_s:
            return "deadline"  # another layer would not end in time, and would be paid for
        return reason

    async def _layer(self, ranking: Sequence[Ranked]) -> StopReason | None:
        """Asks one layer and takes in its answers; a reason to stop where it brought none."""
        shown = shown_after(self.layers, self.request.strategy)
        started = self.calls.clock()
        layer = ParallelCalls(
            self.calls,
            len(self.layers) + 1,
            lambda llm: self._reserve(llm, shown),
            lambda llm, reply: self._read(llm, reply, shown),
            ranking,
        )
        await layer.ask()
        self.failed |= {each.error.llm for each in layer.failed}
        runs = tuple(layer.runs[each.id] for each in ranking if each.id in layer.runs)
        if not runs:
            return self._nothing(layer)
        before = dict(self.scores)
        judge, cross = _judge(runs, before)
        self._cross_scores |= cross
        self.answers |= {run.llm: run for run in runs}
        self.scores |= self.request.strategy.posterior.scores(self._observations())
        self.layers.append(Layer(runs, before, dict(self.scores), judge, cross, self.calls.clock() - started))
        return None

    def _so_far(self) -> AnswersSoFar:
        shown = shown_after(self.layers, self.request.strategy)
        tokens = expected_input_tokens(self._questions("in_text", shown).ask(self.request.messages, _texts(shown)), {})
        candidates = [each.reading(tokens) for each in self.request.candidates if each.llm.id not in self.failed]
        layers = [{run.llm: run.text for run in layer.runs} for layer in self.layers]
        return AnswersSoFar(candidates, self._observations(), self.scores, layers, self._easiness)

    def _reserve(self, llm: LLM, shown: Mapping[str, Run]) -> Reservation | None:
        questions = self._questions(llm.self_assessment, shown)
        wanted = self.request.strategy.posterior.reads_logprobs and not questions.structured  # a form has tokens of its own
        fields = {**(LOGPROBS if wanted else {}), **questions.fields}
        return self.calls.reserve(llm, questions.ask(self.request.messages, _texts(shown)), fields)

    def _questions(self, how: SelfAssessment, shown: Mapping[str, Run]) -> Questions:
        return Questions.to(how, shown, self.request.strategy)

    def _read(self, llm: LLM, reply: Reply, shown: Mapping[str, Run]) -> Run:
        """The reply of `llm` as a run, without its thinking: neither its peers nor an aggregator get to see that."""
        judged = self._questions(llm.self_assessment, shown).read(spoken(reply.text))
        peer_scores = {shown[opaque].llm: score for opaque, score in judged.scores.items()}
        return Run.of(reply, judged.text, judged.self_score, peer_scores, at_s=self.calls.elapsed_s)

    def _observations(self) -> dict[str, Observation]:
        """What is known of each answer so far."""
        stated = final_answers({llm: run.text for llm, run in self.answers.items()})
        return {
            each.llm.id: Observation(
                each.prior,
                stated[each.llm.id],
                each.family,
                run.self_score,
                self._cross_scores.get(each.llm.id),
                run.mean_logprob,
                self._easiness,
            )
            for each in self.request.candidates
            if (run := self.answers.get(each.llm.id)) is not None
        }

    def _nothing(self, layer: ParallelCalls) -> StopReason:
        """Why a layer brought nothing. Raises NoAnswer where it was the first."""
        late = self.calls.remaining_s <= 0
        reason: Literal["deadline", "failed", "budget"] = "deadline" if late else "failed" if layer.failed else "budget"
        if self.layers:
            return reason
        raise self.calls.no_answer(reason)


def shown_after(layers: Sequence[Layer], strategy: Strategy) -> dict[str, Run]:
    """What a layer after these is shown: the last one's answers by opaque id; nothing where it gets the bare question."""
    if not layers or not strategy.shows_answers:
        return {}
    runs = {run.llm: run for run in layers[-1].runs}
    return {opaque: runs[llm] for opaque, llm in opaque_ids(_texts(runs)).items()}


def _judge(runs: Sequence[Run], before: Mapping[str, float]) -> tuple[str | None, Mapping[str, float]]:
    """The highest-scoring LLM of the layer that gave readable scores, and those scores; none for its own earlier answer."""
    judges = [run for run in runs if run.peer_scores]
    if not judges:
        return None, {}
    judge = min(judges, key=lambda run: (-before[run.llm], run.llm))
    return judge.llm, {llm: score for llm, score in judge.peer_scores.items() if llm != judge.llm}


def _texts(runs: Mapping[str, Run]) -> dict[str, str]:
    return {key: run.text for key, run in runs.items()}
