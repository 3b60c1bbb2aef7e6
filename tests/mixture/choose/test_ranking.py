"""Who is asked: the properties of the ranking that any prices, priors and pools must keep."""

import math
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate, Order, Ranked, expected_quality, refusal
from mixture.choose.ranking import rank as rank_with
from mixture.llm import Endpoint
from tests.mixture.makers import candidate, llm

rank = partial(rank_with, refine_gain=0.15)
LETTERS = "abcdefghijklmno"


@st.composite
def pools(draw: st.DrawFn) -> list[Candidate]:
    """Up to fifteen LLMs on weights of their own: more than are compared set by set."""
    size = draw(st.integers(1, len(LETTERS)))
    priors = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))
    prices = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))
    latencies = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))
    rows = zip(LETTERS, priors, prices, latencies, strict=False)
    return [candidate(name, prior / 20, price=float(price), latency_s=float(latency)) for name, prior, price, latency in rows]


options_ = st.builds(
    Options,
    k=st.integers(1, 3),
    weights=st.builds(Weights, usd=st.sampled_from([0.0, 1.0, 30.0, 1000.0]), second=st.sampled_from([0.0, 0.01])),
)


def chosen(ranking: tuple[Ranked, ...]) -> list[str]:
    return [each.id for each in ranking if each.chosen]


def spent(ranking: tuple[Ranked, ...]) -> float:
    return math.fsum(each.cost_usd for each in ranking if each.chosen)


@given(pools(), options_, st.sampled_from([1.5, 10.0, 1000.0]))
def test_more_weight_on_price_never_picks_a_dearer_set(pool: list[Candidate], options: Options, times: float) -> None:
    """Who cares more for money never pays more: of equal quality or not, the chosen set is no dearer."""
    heavier = replace(options, weights=replace(options.weights, usd=options.weights.usd * times + 1.0))
    assert spent(rank(pool, heavier)) <= spent(rank(pool, options)) + 1e-12


@given(pools(), options_)
def test_a_dominated_llm_is_never_chosen_instead_of_its_better(pool: list[Candidate], options: Options) -> None:
    """An LLM that is worse, dearer and slower than another is not asked unless the other is."""
    names = chosen(rank(pool, options))
    for worse in pool:
        for better in pool:
            dominated = better.prior > worse.prior and better.cost_usd < worse.cost_usd and (better.latency_s or 0) < (worse.latency_s or 0)
            assert not (dominated and worse.llm.id in names and better.llm.id not in names)


@st.composite
def families(draw: st.DrawFn) -> list[Candidate]:
    """A pool in which some LLMs are on the same weights."""
    pool = draw(pools())
    weights = draw(st.lists(st.sampled_from(["", "", "x", "y"]), min_size=len(pool), max_size=len(pool)))
    shared = zip(pool, weights, strict=True)
    return [replace(each, llm=replace(each.llm, endpoint=Endpoint("http://one/v1", on))) if on else each for each, on in shared]


@given(families(), options_)
def test_a_dominated_llm_is_never_chosen(pool: list[Candidate], options: Options) -> None:
    """No better in anything and worse in something than one that is not asked: never, whatever a weight of nothing leaves out.

    The better one's place is free only where it does not repeat weights that are asked already, or the dominated one is on them too.
    """
    asked = [each.candidate for each in rank(pool, options) if each.chosen]
    for worse in asked:
        others = {each.family for each in asked if each is not worse}
        for better in pool:
            if better.llm.id in {each.llm.id for each in asked} or (better.family in others and better.family != worse.family):
                continue
            differences = (better.prior - worse.prior, worse.cost_usd - better.cost_usd, (worse.latency_s or 0) - (better.latency_s or 0))
            assert min(differences) < 0 or max(differences) == 0


@given(pools(), options_, st.sampled_from(["value", "strict"]), st.randoms(use_true_random=False))
def test_the_order_of_the_pool_changes_nothing(pool: list[Candidate], options: Options, order: Order, random: object) -> None:
    """A permuted pool gives the same ranking, ties included."""
    shuffled = list(pool)
    random.shuffle(shuffled)
    assert rank(shuffled, options, order=order) == rank(pool, options, order=order)


@given(pools(), options_)
def test_every_eligible_llm_stands_in_the_ranking_once(pool: list[Candidate], options: Options) -> None:
    """The chosen come first, at least one and at most k; the others stand by."""
    ranking = rank(pool, options)
    assert sorted(each.id for each in ranking) == sorted(each.llm.id for each in pool)
    assert 1 <= len(chosen(ranking)) <= options.k
    assert [each.chosen for each in ranking] == sorted((each.chosen for each in ranking), reverse=True)


@given(pools(), st.integers(1, 3))
def test_strict_priority_is_the_papers_order(pool: list[Candidate], k: int) -> None:
    """Strict: performance > output price > input price > latency, whatever the weights."""
    ranking = rank(pool, Options(k=k), order="strict")
    expected = sorted(pool, key=lambda each: (-each.prior, each.llm.price.output, each.llm.price.input, each.latency_s, each.llm.id))
    assert [each.id for each in ranking] == [each.llm.id for each in expected]
    assert len(chosen(ranking)) == min(k, len(pool))


def test_price_decides_between_llms_of_nearly_equal_quality() -> None:
    """Price is not inert: a slightly better LLM that costs a hundred times as much is not asked."""
    pool = [candidate("dear", 0.80, price=100.0), candidate("cheap", 0.78, price=1.0)]
    assert chosen(rank(pool, Options(k=1))) == ["cheap"]
    assert chosen(rank(pool, Options(k=1, weights=Weights(usd=0)))) == ["dear"]


def test_latency_decides_where_a_second_is_worth_much() -> None:
    """Latency is not inert either."""
    pool = [candidate("slow", 0.80, latency_s=30.0), candidate("fast", 0.78, latency_s=1.0)]
    assert chosen(rank(pool, Options(k=1))) == ["fast"]
    assert chosen(rank(pool, Options(k=1, weights=Weights(second=0)))) == ["slow"]


def test_what_is_expected_grows_with_the_prompt() -> None:
    """1,000 tokens of prompt are the work of 100 written ones: seconds grow by work, none where no length was known before."""
    known = replace(candidate("a", 0.8, latency_s=3.0), input_tokens=100, output_tokens=10, usual_s=1.5, patience_s=6.0)
    longer = known.reading(1100)
    assert (longer.input_tokens, longer.output_tokens) == (1100, 10)
    assert (longer.latency_s, longer.usual_s, longer.patience_s) == pytest.approx((13.0, 6.5, 26.0))  # work 130 instead of 30
    assert longer.reading(100) == known
    assert candidate("a", 0.8, latency_s=3.0).reading(1100).latency_s == 3.0


def test_a_call_is_late_by_those_that_were_answered() -> None:
    """Calls that were given up make an LLM's expected latency longer, not what it is waited for."""
    assert replace(candidate("a", 0.8, latency_s=30.0), usual_s=3.0).late_after_s == 6.0
    assert candidate("a", 0.8, latency_s=30.0).late_after_s == 60.0


def test_a_set_prefers_other_weights_over_a_second_prompt_of_the_same() -> None:
    """Two LLMs on the same weights err together: a slightly worse one on other weights complements better."""
    same = Endpoint("http://one/v1", "weights")
    direct = Candidate(replace(llm("direct"), endpoint=same), 0.60)
    steps = Candidate(replace(llm("steps"), endpoint=same), 0.58)
    other = candidate("other", 0.50)
    assert chosen(rank([direct, steps, other], Options(k=2, weights=Weights(usd=0, second=0)))) == ["direct", "other"]
    assert expected_quality([direct, other], 0.15) > expected_quality([direct, steps], 0.15) > expected_quality([direct], 0.15)


def test_each_filter_names_its_reason() -> None:
    """An LLM that may not answer is out of the ranking, and `refusal` says why."""
    able = Candidate(
        llm("able", capabilities=frozenset({"tools"}), data_policy=frozenset({"eu"}), context_window=8192), 0.1, input_tokens=5000
    )
    options = Options(capabilities=frozenset({"tools"}), data_policy=frozenset({"eu", "local"}))
    wrong = {
        "calls no tools": replace(able, llm=replace(able.llm, id="unable", capabilities=frozenset())),
        "none of ['eu', 'local']": replace(able, llm=replace(able.llm, id="elsewhere", data_policy=frozenset({"hosted"}))),
        "context window of 4096": replace(able, llm=replace(able.llm, id="small", context_window=4096)),
        "retired": replace(able, llm=replace(able.llm, id="old", status="retired")),
        "no score (nan)": replace(able, llm=replace(able.llm, id="unscored"), prior=math.nan),
    }
    assert [each.id for each in rank([*wrong.values(), able], options)] == ["able"]
    for reason, refused in wrong.items():
        assert reason in (refusal(refused, options) or "")


def test_nobody_eligible_gives_an_empty_ranking() -> None:
    """No LLM is forced into an answer it may not give."""
    assert rank([candidate("a", 0.9)], Options(capabilities=frozenset({"vision"}))) == ()


def test_a_pool_of_two_hundred_is_ranked() -> None:
    """Sets are searched among the best few, so a large pool stays affordable; the best LLM is still chosen."""
    pool = [candidate(f"m{at:03}", at / 200, price=1.0) for at in range(200)]
    assert "m199" in chosen(rank(pool, Options(k=3)))
