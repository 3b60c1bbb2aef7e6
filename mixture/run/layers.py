"""The layer loop: rank, ask, judge, update, and go on or stop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mixture.choose.final_answers import said
from mixture.choose.options import Options
from mixture.choose.posterior import Observation, query_easiness
from mixture.choose.ranking import Candidate, Ranked, rank, with_quality
from mixture.choose.stopping import Reason, stop_reason
from mixture.choose.widening import widened
from mixture.client.protocol import Reply
from mixture.client.request_size import expected_input_tokens
from mixture.decision import Layer, Run
from mixture.errors import Why
from mixture.judge.assessment import Questions
from mixture.judge.in_text import opaque_ids
from mixture.llm import LLM, Message, SelfAssessment
from mixture.run.ledger import Ledger, Reservation
from mixture.run.parallel_calls import ParallelCalls

LOGPROBS = {"logprobs": True, "top_logprobs": 1}  # as the pipeline asks, whose answers the posterior was fitted to


@dataclass(slots=True)
class LayerLoop:
    """One request's layers so far. `run()` fills it.

    answers: each LLM's latest answer. scores: s_l of every candidate. out: LLMs that failed and are not asked again.
    """

    desk: Ledger
    messages: Sequence[Message]
    candidates: Sequence[Candidate]
    layers: list[Layer] = field(default_factory=list)
    answers: dict[str, Run] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    stopped_because: Reason = "layers"
    out: set[str] = field(default_factory=set)
    _cross_scores: dict[str, float] = field(default_factory=dict)
    _ease: float = 0.0

    async def run(self) -> None:
        """Runs layers until a reason to stop. Raises NoAnswer where not one LLM answered."""
        self.scores = {each.llm.id: each.prior for each in self.candidates if math.isfinite(each.prior)}
        self._ease = query_easiness(self.scores.values())
        ranking = self._rank()
        if not ranking:
            raise self.desk.no_answer("nobody")
        while True:
            reason = await self._layer(ranking)
            if reason is not None:
                self.stopped_because = reason
                return
            ranking = self._rank()
            reason = self._stop_reason(ranking)
            if reason is None and self.desk.remaining_s <= self.layers[-1].latency_s:
                reason = "deadline"  # another layer would not end in time, and would be paid for
            if reason is not None:
                self.stopped_because = reason
                return

    def _stop_reason(self, ranking: Sequence[Ranked]) -> Reason | None:
        last, before_it = self.layers[-1], self.layers[-2:-1]
        return stop_reason(
            {run.llm: run.text for run in last.runs},
            {run.llm: run.text for layer in before_it for run in layer.runs},
            scores={llm: self.scores[llm] for llm in self.answers},
            ranking=ranking,
            layers_run=len(self.layers),
            options=self.desk.options,
        )

    async def _layer(self, ranking: Sequence[Ranked]) -> Reason | None:
        """Asks one layer and takes in its answers; a reason to stop where it brought none."""
        shown = shown_after(self.layers, self.desk.options)
        started = self.desk.clock()
        number = len(self.layers) + 1
        asked = ParallelCalls(
            self.desk, number, lambda llm: self._hold(llm, shown), lambda llm, reply: self._read(llm, reply, shown), ranking
        )
        await asked.ask()
        self.out |= {failure.llm for failure in asked.failures}
        runs = tuple(asked.runs[each.id] for each in ranking if each.id in asked.runs)
        if not runs:
            return self._nothing(asked)
        before = dict(self.scores)
        judge, cross = self._judge(runs, before)
        self._cross_scores |= cross
        self.answers |= {run.llm: run for run in runs}
        self._update()
        self.layers.append(Layer(runs, before, dict(self.scores), judge, cross, self.desk.clock() - started))
        return None

    def _rank(self) -> tuple[Ranked, ...]:
        options = self.desk.options
        shown = shown_after(self.layers, options)
        asked = self._questions("in_text", shown).ask(self.messages, _texts(shown))
        tokens = expected_input_tokens(asked, {})
        known = [replace(each, input_tokens=tokens) for each in self.candidates if each.llm.id not in self.out]
        if options.deepen == "refine":
            return rank(with_quality(known, self.scores), options)
        fresh = [each for each in known if each.llm.id not in self.answers]
        return widened(rank(fresh, options), self._heard(), self._ease, options)

    def _hold(self, llm: LLM, shown: Mapping[str, Run]) -> Reservation | None:
        questions = self._questions(llm.self_assessment, shown)
        logprobs = LOGPROBS if self.desk.options.posterior.reads_logprobs and not questions.structured else {}  # a form has its own tokens
        return self.desk.hold(llm, questions.ask(self.messages, _texts(shown)), {**logprobs, **questions.fields})

    def _questions(self, judges: SelfAssessment, shown: Mapping[str, Run]) -> Questions:
        return Questions.to(judges, shown, self.desk.options)

    def _read(self, llm: LLM, reply: Reply, shown: Mapping[str, Run]) -> Run:
        """The reply of `llm` as a run."""
        judged = self._questions(llm.self_assessment, shown).read(reply.text)
        given = {shown[opaque].llm: score for opaque, score in judged.scores.items()}
        return Run.of(reply, judged.text, judged.self_score, given, at_s=self.desk.elapsed_s)

    @staticmethod
    def _judge(runs: Sequence[Run], before: Mapping[str, float]) -> tuple[str | None, Mapping[str, float]]:
        """The highest-scoring LLM of the layer that gave readable scores, and those scores; none for its own earlier answer."""
        judges = [run for run in runs if run.given]
        if not judges:
            return None, {}
        judge = min(judges, key=lambda run: (-before[run.llm], run.llm))
        return judge.llm, {llm: score for llm, score in judge.given.items() if llm != judge.llm}

    def _update(self) -> None:
        """Scores of the LLMs that answered by the posterior; the others keep their prior."""
        self.scores |= self.desk.options.posterior.scores(self._heard())

    def _heard(self) -> dict[str, Observation]:
        """What is known of each answer so far."""
        says = said({llm: run.text for llm, run in self.answers.items()})
        return {
            each.llm.id: Observation(
                each.prior,
                says[each.llm.id],
                each.family,
                run.self_score,
                self._cross_scores.get(each.llm.id),
                run.mean_logprob,
                self._ease,
            )
            for each in self.candidates
            if (run := self.answers.get(each.llm.id)) is not None
        }

    def _nothing(self, asked: ParallelCalls) -> Reason:
        """Why a layer brought nothing. Raises NoAnswer where it was the first."""
        late = self.desk.remaining_s <= 0
        reason: Why = "deadline" if late else "failed" if asked.failures else "budget"
        if self.layers:
            return reason
        raise self.desk.no_answer(reason)


def shown_after(layers: Sequence[Layer], options: Options) -> dict[str, Run]:
    """What a layer after these is shown: the last one's answers by opaque id; nothing where it gets the bare question."""
    if not layers or options.deepen == "widen":
        return {}
    runs = {run.llm: run for run in layers[-1].runs}
    return {opaque: runs[llm] for opaque, llm in opaque_ids(_texts(runs)).items()}


def _texts(runs: Mapping[str, Run]) -> dict[str, str]:
    return {key: run.text for key, run in runs.items()}
