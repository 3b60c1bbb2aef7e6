"""The systems of `benchmarks.mixture_live`: each a small composition of the mixture's own parts over one client.

MoA: Wang et al. 2024 (arXiv 2406.04692). SMoA: Li et al. 2024 (2411.03284). Self-MoA: Li et al. 2025 (2502.00674). RouteMoA: 2601.18130.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.rivals.strategies import AllAtOnce, MoA
from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import AgreementPosterior, Observation, PaperScore
from mixture.choose.ranking import Candidate
from mixture.choose.sequential import Sequential
from mixture.choose.strategy import Strategy
from mixture.client.protocol import Call, Client, Reply
from mixture.decision import Decision
from mixture.errors import LLMCutOff, LLMFailed, LLMTimedOut, NoAnswer
from mixture.judge.assessment import Questions
from mixture.judge.text_reply import opaque_ids, quoted
from mixture.llm import LLM, Message, Prompt
from mixture.replay.virtual_time import clock
from mixture.run.aggregation import synthesis_messages
from mixture.run.engine import Mixture
from mixture.run.request import Request

SAMPLES = 3  # of Self-MoA's one LLM
WARM = 0.7  # temperature of these samples
SELECTED = 3  # answers that SMoA's judge passes on
LAYERS = 2  # of MoA and SMoA; with the aggregator, the three of the published MoA
UNREAD = 0.8  # what the released code takes for a self-assessment that it cannot read

JUDGE = Prompt(system="You judge answers that others gave to a request. You never answer the request yourself.")
SELECT = (
    "Request:\n{request}\n\nAnswers:\n\n{answers}\n\n"
    "Which {count} answers are best? Is the best one right beyond doubt? Reply with exactly two lines:\n"
    "BEST: names of {count} answers, best first\n"
    "DONE: yes or no"
)
_BEST = re.compile(r"^\W*BEST\W*:((?:[^\w\n]*\bA\d+\b)+)\W*$", re.MULTILINE)
TOO_LATE = frozenset({LLMTimedOut.__name__, LLMCutOff.__name__})
_DONE = re.compile(r"^\W*DONE\W*:\W*(yes|no)\W*$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a system did with one query; cost in USD, latency in seconds along the critical path.

    layers: rounds of LLMs before the end. time_outs: calls that were too late. text is None where nobody answered in time.
    unread: replies of a judge in which nothing could be read.
    """

    text: str | None
    cost_usd: float
    latency_s: float
    calls: int
    layers: int
    tokens: int
    time_outs: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """One query before the pool. priors: the scorer's scores, means: of the training labels, by LLM id."""

    messages: Sequence[Message]
    llms: Sequence[LLM]
    priors: Mapping[str, float]
    means: Mapping[str, float]
    evidence: AgreementPosterior
    client: Client

    @property
    def best(self) -> LLM:
        """The LLM that is best overall by the training labels."""
        return max(self.llms, key=lambda llm: self.means[llm.id])


System = Callable[[Situation], Coroutine[Any, Any, Answered]]


@dataclass(frozen=True, slots=True)
class Released(PaperScore):
    """The published posterior as the released code has it: an unread self-assessment is .8, an LLM that never ran has cross = 1.

    priors: of every LLM of the pool.
    """

    priors: Mapping[str, float] = field(default_factory=dict)

    def scores(self, observations: Mapping[str, Observation]) -> dict[str, float]:
        """s_l of the LLMs that ran and, once there are cross-assessments, of those that did not."""
        filled = {
            llm: replace(each, self_score=UNREAD if each.self_score is None else each.self_score) for llm, each in observations.items()
        }
        found = PaperScore.scores(self, filled)
        if any(each.cross_score is not None for each in observations.values()):
            found |= {llm: self.score(prior, None, 1.0) for llm, prior in self.priors.items() if llm not in observations}
        return found


BARE = Options(weights=Weights(usd=0, second=0), spares=0)
PUBLISHED = Options(aggregation="synthesise", quorum=3, spares=0)  # k and layers are the defaults


def alone(priors: Callable[[Situation], Mapping[str, float]]) -> System:
    """The LLM with the highest of `priors`, asked the bare question."""
    return lambda situation: _mixture(situation, priors(situation), AllAtOnce(), BARE.as_single())


def everyone(situation: Situation) -> Options:
    """All LLMs asked the bare question, the most frequent answer."""
    size = len(situation.llms)
    return replace(BARE, k=size, quorum=size, max_layers=1, aggregation="vote")


async def vote_of_all(situation: Situation) -> Answered:
    """Everyone asked the bare question, the most frequent answer; ties and prose to the best overall."""
    return await _mixture(situation, situation.means, AllAtOnce(), everyone(situation))


async def moa(situation: Situation) -> Answered:
    """All LLMs in each layer, shown all answers of the one before; the best LLM overall writes the answer."""
    size = len(situation.llms)
    dense = replace(BARE, k=size, quorum=size, max_layers=LAYERS, aggregation="synthesise")
    return await _mixture(situation, situation.means, MoA(), dense)


async def self_moa(situation: Situation) -> Answered:
    """Samples of the best LLM overall, made into one answer by itself."""
    best = situation.best
    samples = [
        replace(best, id=f"{best.id}#{at}", decoding=replace(best.decoding, temperature=WARM, seed=at)) for at in range(1, SAMPLES + 1)
    ]
    began, asked = clock(), [Call(sample, situation.messages) for sample in samples]
    replies, late = await _together(situation.client, asked)
    return await _aggregated(situation, replies, late, began, calls=SAMPLES, layers=1)


async def smoa(situation: Situation) -> Answered:
    """All LLMs answer; a judge that sees the question keeps the best answers and says when to stop; the best LLM writes the answer."""
    began, shown = clock(), dict[str, str]()
    spent: list[Reply] = []
    late = calls = unread = layers = 0
    for layer in range(1, LAYERS + 1):
        asked = Questions(self_score=False).ask(situation.messages, shown)
        replies, too_late = await _together(situation.client, [Call(llm, asked) for llm in situation.llms])
        spent, late, calls, layers = spent + replies, late + too_late, calls + len(situation.llms), layer
        answers = _by_opaque_id(replies)
        if not answers:
            break
        judge = replace(situation.best, prompt=JUDGE)  # in its own, an LLM may be told to do nothing but answer
        judged, too_late = await _together(situation.client, [Call(judge, selection(situation.messages, answers))])
        kept, done = selected(judged[0].text if judged else "", answers)
        spent, late, calls, unread = spent + judged, late + too_late, calls + 1, unread + (done is None or kept is None)
        shown = answers if kept is None else {opaque: answers[opaque] for opaque in kept}
        if done:
            break
    return await _aggregated(situation, spent, late, began, calls=calls, layers=layers, shown=shown, unread=unread)


def route_moa(*, mended: bool) -> System:
    """RouteMoA with its published settings (k = 3, three layers, weights, threshold); `mended`: without the released code's faults."""

    async def system(situation: Situation) -> Answered:
        posterior = PaperScore() if mended else Released(priors=situation.priors)
        return await _mixture(situation, situation.priors, Layered(posterior=posterior), PUBLISHED)

    return system


def ours(served: Options) -> System:
    """What the server does by default, at what a dollar is worth in `served`; no latency is known yet, as after its start."""
    return lambda situation: _mixture(situation, situation.priors, Sequential(situation.evidence), replace(served, deadline=None))


def selection(messages: Sequence[Message], answers: Mapping[str, str]) -> list[Message]:
    """What SMoA's judge is asked: the request (its last turn) and the answers by opaque id."""
    request = messages[-1]["content"]
    return [{"role": "user", "content": SELECT.format(request=request, answers=quoted(answers), count=min(SELECTED, len(answers)))}]


def selected(reply: str, answers: Mapping[str, str]) -> tuple[list[str] | None, bool | None]:
    """The answers the judge keeps and whether it says to stop; None for what cannot be read, which nobody guesses."""
    best, done = _BEST.findall(reply), _DONE.findall(reply)
    named = list(dict.fromkeys(re.findall(r"A\d+", best[-1]))) if best else []
    kept = named[:SELECTED] if named and set(named) <= set(answers) else None
    return kept, done[-1].casefold() == "yes" if done else None


async def decided(situation: Situation, priors: Mapping[str, float], strategy: Strategy, options: Options) -> Decision:
    """The engine's decision. Raises NoAnswer."""
    candidates = [Candidate(llm, float(priors[llm.id])) for llm in situation.llms]
    return await Mixture(situation.client, clock).answer(Request(situation.messages, candidates, options, strategy))


async def _mixture(situation: Situation, priors: Mapping[str, float], strategy: Strategy, options: Options) -> Answered:
    """The engine's decision; None as its text where every LLM was too late."""
    began = clock()
    try:
        made = await decided(situation, priors, strategy, options)
    except NoAnswer as nothing:
        late = sum(isinstance(failure, LLMTimedOut) for failure in nothing.failures)
        cost_usd, tokens = sum(each.paid[0] for each in nothing.failures), sum(sum(each.paid[1:]) for each in nothing.failures)
        return Answered(None if late else "", cost_usd, clock() - began, len(nothing.failures), 1, tokens, late)
    return Answered(
        made.text,
        made.cost_usd,
        made.latency_s,
        sum(len(layer.runs) for layer in made.layers) + len(made.failures) + (made.synthesis is not None),
        len(made.layers),
        made.input_tokens + made.output_tokens,
        sum(failure.error in TOO_LATE for failure in made.failures),
        _unread(made),
    )


def _unread(made: Decision) -> int:
    """Answers without the self-assessment that was asked for."""
    return sum(run.self_score is None for layer in made.layers for run in layer.runs) if made.strategy.get("self_assessment") else 0


async def _together(client: Client, calls: Sequence[Call]) -> tuple[list[Reply], int]:
    """The replies to calls made at once, and how many were too late."""
    outcomes = await asyncio.gather(*(client.ask(call) for call in calls), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, LLMFailed):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Reply)], sum(isinstance(outcome, LLMTimedOut) for outcome in outcomes)


def _by_opaque_id(replies: Sequence[Reply]) -> dict[str, str]:
    """What the replies say, those that say something."""
    texts = {reply.llm: reply.text for reply in replies if reply.text.strip()}
    return {opaque: texts[llm] for opaque, llm in opaque_ids(texts).items()}


async def _aggregated(
    situation: Situation,
    spent: Sequence[Reply],
    late: int,
    began: float,
    *,
    calls: int,
    layers: int,
    shown: Mapping[str, str] | None = None,
    unread: int = 0,
) -> Answered:
    """One answer written by the best LLM overall from `shown` (all of `spent` where None)."""
    shown = _by_opaque_id(spent) if shown is None else shown
    final: list[Reply] = []
    if shown:
        final, too_late = await _together(situation.client, [Call(situation.best, synthesis_messages(situation.messages, shown))])
        late, calls = late + too_late, calls + 1
    replies = [*spent, *final]
    return Answered(
        final[0].text if final and final[0].text.strip() else next(iter(shown.values()), None if late else ""),
        sum(reply.cost_usd for reply in replies),
        clock() - began,
        calls,
        layers,
        sum(reply.input_tokens + reply.output_tokens for reply in replies),
        late,
        unread,
    )
