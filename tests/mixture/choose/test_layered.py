"""RouteMoA's layers: when another one runs, by the paper's threshold and by value."""

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import Observation
from mixture.choose.stop_rules import StopReason
from mixture.choose.strategy import AnswersSoFar
from tests.mixture.makers import candidate

OPTIONS = Options(weights=Weights(usd=10, second=0))
BY_VALUE = Layered(order="value")
DIFFER = {"a": "41", "b": "42"}


def reason(
    texts: dict[str, str] = DIFFER,
    best: float = 0.5,
    *,
    price: float = 1.0,
    layers_run: int = 1,
    previous: dict[str, str] | None = None,
    upcoming: bool = True,
    strategy: Layered = BY_VALUE,
) -> StopReason | None:
    candidates = [candidate("a", best, price=price)] if upcoming else []
    layers = [{}] * (layers_run - 1) + [texts] if previous is None else [previous, texts]
    so_far = AnswersSoFar(candidates, {llm: Observation(0.5) for llm in "ab"}, {"a": best, "b": 0.1}, layers, 0.0)
    return strategy.stop(so_far, strategy.select(so_far, OPTIONS), OPTIONS)


def test_doubt_and_disagreement_go_on() -> None:
    """Where answers differ, none is good enough and a layer is cheap, the next layer runs."""
    assert reason() is None


def test_a_good_enough_answer_stops() -> None:
    """At the threshold no further layer runs."""
    assert reason(best=0.85) == "threshold"
    assert reason(best=0.84) is None


def test_agreement_stops_whatever_the_scores() -> None:
    """Answers that say the same leave nothing to combine."""
    assert reason({"a": "42", "b": "The answer is 42."}, best=0.1) == "agreement"


def test_one_answer_agrees_with_nobody() -> None:
    """A single answer is no agreement."""
    assert reason({"a": "42"}) is None


def test_a_layer_that_costs_more_than_it_brings_is_not_run() -> None:
    """Expected gain: refine_gain x what is missing; at 10 units a dollar a call of 0.06 USD outweighs a gain of 0.075."""
    assert reason(price=100.0) == "gain"


def test_the_last_allowed_layer_stops() -> None:
    """max_layers is a limit."""
    assert reason(layers_run=3) == "layers"


def test_a_layer_that_changed_nothing_is_the_last() -> None:
    """The next layer would be shown the same answers again."""
    assert reason(previous=DIFFER) == "unchanged"


def test_with_nobody_left_it_stops() -> None:
    """Where all have failed, what there is is returned."""
    assert reason(upcoming=False) == "nobody"


def test_the_papers_layers_stop_at_the_threshold_only() -> None:
    """Neither agreement nor price ends them: the next layer runs until an answer is good enough, or k layers have."""
    published = Layered()
    assert (published.order, published.stop_threshold, published.self_assessment, published.cross_assessment) == (
        "strict",
        0.85,
        True,
        True,
    )
    assert reason({"a": "42", "b": "42"}, strategy=published) is None
    assert reason(price=1e6, strategy=published) is None
    assert reason(previous=DIFFER, strategy=published) is None
    assert reason(best=0.85, strategy=published) == "threshold"
    assert reason(best=0.85, strategy=Layered(stop_threshold=0.9)) is None
    assert reason(layers_run=3, strategy=published) == "layers"


def test_the_papers_priority_chooses_the_next_layer() -> None:
    """Performance before output price, by the scores now; those that answered may be asked again."""
    candidates = [candidate("dear", 0.5, price=9.0), candidate("cheap", 0.5, price=1.0), candidate("weak", 0.4, price=0.1)]
    so_far = AnswersSoFar(candidates, {"weak": Observation(0.4)}, {"dear": 0.5, "cheap": 0.5, "weak": 0.7}, [{"weak": "42"}], 0.0)
    ranking = Layered().select(so_far, Options(k=2))
    assert [(each.id, each.chosen) for each in ranking] == [("weak", True), ("cheap", True), ("dear", False)]
