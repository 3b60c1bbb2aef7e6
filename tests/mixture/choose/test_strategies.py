"""A strategy is a class and a line: found by name, kept in a record, and used by the engine like those that ship."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.choose.layered import Layered
from mixture.choose.options import Options, OptionsRefused
from mixture.choose.posterior import AgreementPosterior, PaperScore
from mixture.choose.ranking import Candidate, Ranked, rank
from mixture.choose.sequential import Sequential
from mixture.choose.stop_rules import StopReason
from mixture.choose.strategies import STRATEGIES, as_json, from_json, named
from mixture.choose.strategy import AnswersSoFar, Strategy
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.replay.replay import differences
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.makers import candidate, last_words, user


@dataclass(frozen=True)
class SecondOpinion:
    """Somebody else's: the best two by prior, one after the other, and no third."""

    name: ClassVar[str] = "second-opinion"
    shows_answers: ClassVar[bool] = False
    self_assessment: ClassVar[bool] = False
    cross_assessment: ClassVar[bool] = False
    opinions: int = 2
    posterior: PaperScore = field(default_factory=PaperScore)

    @classmethod
    def for_pool(cls, _: AgreementPosterior, /, **settings: Any) -> Self:
        return cls(**settings)

    def rank(self, candidates: Sequence[Candidate], options: Options) -> tuple[Ranked, ...]:
        return rank(candidates, options, order="strict")

    def select(self, so_far: AnswersSoFar, options: Options) -> tuple[Ranked, ...]:
        return self.rank(so_far.unasked, options)

    def stop(self, so_far: AnswersSoFar, upcoming: Sequence[Ranked], options: Options) -> StopReason | None:
        return "threshold" if len(so_far.observations) >= self.opinions else None

    def synthesis_gain(self, best_score: float, options: Options) -> float:
        return 0.0


def answered(strategy: Strategy, **options: Any) -> tuple[Decision, ScriptedClient]:
    client = ScriptedClient({name: Script(f"answer of {name}") for name in "abc"})
    candidates = [candidate("a", 0.3), candidate("b", 0.5), candidate("c", 0.4)]
    decision = drive(Mixture(client, clock).answer(Request(user(), candidates, Options(k=1, **options), strategy)))
    return Decision.from_dict(json.loads(json.dumps(decision.as_dict()))), client


def test_a_strategy_from_elsewhere_decides_whom_to_ask_and_when_to_stop() -> None:
    """The engine asks what it is told, one class away."""
    decision, client = answered(SecondOpinion(), max_layers=5)
    assert client.asked() == ["b", "c"]
    assert all(last_words(call) == "What is 6 x 7?" for call in client.calls)
    assert (decision.llm, decision.stopped_because) == ("b", "threshold")
    assert decision.strategy["name"] == "second-opinion"


def test_limits_hold_whatever_a_strategy_wants() -> None:
    """Layers and LLMs come to an end also for a strategy that never says stop."""
    assert answered(SecondOpinion(opinions=9), max_layers=2)[0].stopped_because == "layers"
    assert answered(SecondOpinion(opinions=9), max_layers=9)[0].stopped_because == "nobody"


def test_a_line_in_the_list_makes_it_known_by_name_and_replayable(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name it is made for a pool, read from a record, and decides again."""
    monkeypatch.setitem(STRATEGIES, SecondOpinion.name, SecondOpinion)
    assert named("second-opinion").for_pool(AgreementPosterior(), opinions=3) == SecondOpinion(opinions=3)
    assert from_json(json.loads(json.dumps(as_json(SecondOpinion(opinions=3))))) == SecondOpinion(opinions=3)
    assert differences(answered(SecondOpinion(), max_layers=5)[0]) == []


@given(st.sampled_from(["strict", "value"]), st.floats(0, 1), st.floats(0, 1), st.booleans(), st.floats(-3, 3))
def test_strategies_come_back_from_their_record(order: Any, threshold: float, gain: float, own: bool, base: float) -> None:
    """What a decision recorded can be decided with again, to the posterior's constants."""
    for strategy in (
        Layered(order, threshold, gain, own, cross_assessment=not own, posterior=PaperScore(first=(0.5, 0.5))),
        Layered(posterior=AgreementPosterior(base=base)),
        Sequential(AgreementPosterior(base=base, self_score=0.5), threshold, gain),
    ):
        assert from_json(json.loads(json.dumps(as_json(strategy)))) == strategy


def test_a_strategy_nobody_knows_is_refused_with_the_near_ones() -> None:
    """Nothing is guessed."""
    with pytest.raises(OptionsRefused, match=r"no strategy 'sequentia'. Did you mean sequential\?"):
        named("sequentia")
    with pytest.raises(OptionsRefused, match=r"no strategy 'x'. Known are sequential, layered\."):
        named("x")
    with pytest.raises(TypeError, match="threshold"):
        named("layered").for_pool(AgreementPosterior(), threshold=0.5)


def test_a_pools_own_posterior_weighs_its_answers() -> None:
    """Sequential compares by what was fitted to the pool; the paper's layers have the paper's weights for any pool."""
    fitted = AgreementPosterior(self_score=0.3)
    assert named("sequential").for_pool(fitted) == Sequential(fitted)
    assert named("sequential").for_pool(fitted).self_assessment
    assert named("layered").for_pool(fitted, stop_threshold=0.9) == Layered(stop_threshold=0.9)
