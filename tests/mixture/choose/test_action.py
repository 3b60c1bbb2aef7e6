"""Who is asked first where chance has a share: by hand, over every draw, and never where it may not."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.choose.action import OFF, Action, Circumstances, Explore, act
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Ranked, rank
from mixture.choose.session import Session
from tests.mixture.makers import candidate

OPTIONS = Options(k=1, weights=Weights(1.0, 0.0, 0.0))
NEAR = {"best": 0.8, "next": 0.75, "third": 0.72, "far": 0.4}


def ranking(**priors: float) -> tuple[Ranked, ...]:
    """LLMs by value."""
    return rank([candidate(name, prior) for name, prior in (priors or NEAR).items()], OPTIONS)


def explore(at: float | None, share: float = 0.3, delta: float = 0.1) -> Explore:
    """Chance's part."""
    return Explore(share, delta, at, why="")


@pytest.mark.parametrize(("at", "first"), [(0.0, "best"), (0.0999, "best"), (0.1, "next"), (0.25, "third"), (0.3, "best"), (0.999, "best")])
def test_the_draw_says_who_is_asked_first(at: float, first: str) -> None:
    """Three are within .1 of the best: each a third of the share; beyond the share the best is asked."""
    moved, action = act(ranking(), OPTIONS, explore(at), Circumstances())
    assert moved[0].id == action.first == first
    assert moved[0].chosen
    assert [each.id for each in moved if each.chosen] == [first]
    assert action.usual == "best"
    assert {each.llm: round(each.propensity, 9) for each in action.candidates} == {"best": 0.8, "next": 0.1, "third": 0.1, "far": 0.0}
    assert action.propensity == pytest.approx(0.8 if first == "best" else 0.1)
    assert action.explored == (first != "best")


@pytest.mark.parametrize(("at", "first"), [(0.0, "best"), (0.0749, "best"), (0.076, "third"), (0.2999, "third"), (0.3, "best")])
def test_weights_divide_the_share(at: float, first: str) -> None:
    """By what is known and not evenly; nobody has a part who has no weight or is too far, and the propensities say so."""
    weighted = replace(explore(at), weights={"best": 1.0, "third": 3.0, "far": 9.0})
    moved, action = act(ranking(), OPTIONS, weighted, Circumstances())
    assert moved[0].id == action.first == first
    assert {each.llm: round(each.propensity, 9) for each in action.candidates} == {"best": 0.775, "next": 0.0, "third": 0.225, "far": 0.0}
    nobody_near = replace(weighted, weights={"far": 1.0})
    assert act(ranking(), OPTIONS, nobody_near, Circumstances())[1] == act(ranking(), OPTIONS, explore(at), Circumstances())[1]


def test_over_every_draw_the_frequencies_are_the_propensities() -> None:
    """A fine grid of draws."""
    asked = [act(ranking(), OPTIONS, explore((at + 0.5) / 3000), Circumstances())[1] for at in range(3000)]
    for each in asked[0].candidates:
        assert sum(one.first == each.llm for one in asked) / 3000 == pytest.approx(each.propensity, abs=0.001)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.floats(0.001, 0.5),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_propensities_sum_to_one_and_who_is_asked_has_one(priors: list[float], share: float, delta: float, at: float) -> None:
    """Whatever the LLMs, the share and the draw; nobody beyond delta is ever asked."""
    ranked = ranking(**{f"llm{number}": prior for number, prior in enumerate(priors)})
    moved, action = act(ranked, OPTIONS, explore(at, share, delta), Circumstances())
    assert sum(each.propensity for each in action.candidates) == pytest.approx(1)
    assert action.propensity > 0
    assert next(each.value for each in ranked if each.id == action.first) >= ranked[0].value - delta - 1e-12
    assert sorted(each.id for each in moved) == sorted(each.id for each in ranked)


def test_without_chance_the_best_has_propensity_one() -> None:
    """Off, and where nobody drew: the record says so all the same."""
    moved, action = act(ranking(), OPTIONS, OFF, Circumstances())
    assert (moved[0].id, action.propensity, action.why, action.at) == ("best", 1.0, "off", None)
    moved, action = act(ranking(), OPTIONS, explore(None), Circumstances())
    assert moved[0].id == "best"
    assert action.propensity == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("around", "why"),
    [
        (Circumstances(Session("s", "next")), "session"),
        (Circumstances(Session("s", "next", held="tool loop")), "session"),
        (Circumstances(in_layers=True), "layers"),
        (Circumstances(affordable=lambda llm: llm.id in {"best", "far"}), "alone"),
    ],
)
def test_where_chance_may_not_choose(around: Circumstances, why: str) -> None:
    """Never inside a session that has an LLM, among layers, or beyond the budget."""
    moved, action = act(ranking(), OPTIONS, explore(0.15), around)
    assert moved[0].id == "best"
    assert (action.why, action.propensity) == (why, 1.0)


def test_a_sessions_first_request_may_be_drawn() -> None:
    """It leaves nobody."""
    assert act(ranking(), OPTIONS, explore(0.15), Circumstances(Session("s")))[1].first == "next"


def test_several_at_once_are_not_drawn() -> None:
    """The action is one LLM."""
    several = replace(OPTIONS, k=3, weights=Weights(1.0, 0.0, 0.0))
    ranked = rank([candidate(name, prior) for name, prior in NEAR.items()], several, refine_gain=0.5)
    assert sum(each.chosen for each in ranked) > 1
    action = act(ranked, several, explore(0.15), Circumstances())[1]
    assert (action.why, action.together) == ("several", sum(each.chosen for each in ranked))


def test_silent_ones_and_unknown_prices_are_not_drawn() -> None:
    """Nor one that the ranking would not choose but as a last resort."""
    silent = [replace(candidate("best", 0.8)), replace(candidate("next", 0.79), silent=True), candidate("nan", 0.78, price=float("nan"))]
    action = act(rank(silent, OPTIONS), OPTIONS, explore(0.1), Circumstances())[1]
    assert (action.first, action.why) == ("best", "alone")


def test_what_it_costs_more_is_said() -> None:
    """The expected cost of one call beyond the usual one's."""
    dear = rank([candidate("cheap", 0.8, price=1.0), candidate("dear", 0.78, price=3.0)], OPTIONS)
    action = act(dear, OPTIONS, explore(0.29), Circumstances())[1]
    costs = {each.llm: each.cost_usd for each in action.candidates}
    assert action.first == "dear"
    assert action.extra_usd == pytest.approx(costs["dear"] - costs["cheap"])
    assert action.extra_usd > 0


def test_an_action_is_read_back() -> None:
    """As a record holds it."""
    action = act(ranking(), OPTIONS, explore(0.15), Circumstances())[1]
    assert Action.from_dict(asdict(action)) == action
