"""What a request may change of the operator's settings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.choose.options import Options, OptionsRefused, Weights
from mixture.choose.restrict import Requested, restrict

counts = st.integers(1, 9)
amounts = st.none() | st.floats(0, 100)
tags = st.none() | st.frozensets(st.sampled_from(["local", "eu", "hosted"]))
weights = st.builds(Weights, *[st.floats(0, 100)] * 3)
ways = st.sampled_from(["auto", "best", "vote", "synthesise"])
operators = st.builds(
    Options, k=counts, max_layers=counts, weights=weights, budget_usd=amounts, deadline=amounts, aggregation=ways, data_policy=tags,
)  # fmt: skip
wishes = st.builds(
    Requested, k=st.none() | counts, max_layers=st.none() | counts, weights=st.none() | weights, budget_usd=amounts, deadline=amounts,
    aggregation=st.none() | ways, data_policy=tags,
)  # fmt: skip


def _at_most(found: float | None, limit: float | None) -> bool:
    return limit is None or (found is not None and found <= limit)


@given(operators, wishes)
def test_a_request_narrows_and_never_widens(operator: Options, wish: Requested) -> None:
    """Whatever a request wishes, nothing it gets goes beyond the operator's setting, nor beyond the wish's own limits."""
    got = restrict(operator, wish)
    assert got.k <= operator.k
    assert got.max_layers <= operator.max_layers
    assert _at_most(got.budget_usd, operator.budget_usd)
    assert _at_most(got.budget_usd, wish.budget_usd)
    assert _at_most(got.deadline, operator.deadline)
    assert _at_most(got.deadline, wish.deadline)
    assert operator.data_policy is None or (got.data_policy is not None and got.data_policy <= operator.data_policy)
    assert got.capabilities >= operator.capabilities
    assert got.weights.usd >= operator.weights.usd


@given(operators, wishes)
def test_narrowing_twice_changes_nothing_more(operator: Options, wish: Requested) -> None:
    """A narrowed setting already satisfies its wish."""
    once = restrict(operator, wish)
    assert restrict(once, wish) == once


def test_no_wish_leaves_the_operators_settings() -> None:
    """A request without options is answered as the operator configured."""
    operator = Options(k=2, budget_usd=0.5)
    assert restrict(operator, Requested()) == operator


def test_a_request_cannot_have_a_synthesis_where_the_operator_only_votes() -> None:
    """Ways of aggregation that cost more than the operator's are not to be had."""
    assert restrict(Options(aggregation="vote"), Requested(aggregation="synthesise")).aggregation == "vote"
    assert restrict(Options(aggregation="auto"), Requested(aggregation="best")).aggregation == "best"
    assert restrict(Options(aggregation="auto"), Requested(aggregation="synthesise"), synthesis=False).aggregation == "auto"


@pytest.mark.parametrize(
    ("wrong", "message"), [({"k": 0}, "k must be at least 1, got 0"), ({"budget_usd": -1.0}, "got -1.0"), ({"aggregation": "sum"}, "'sum'")]
)
def test_options_out_of_range_are_refused_by_name(wrong: dict[str, object], message: str) -> None:
    """An impossible option is an error that names it, not a guess."""
    with pytest.raises(OptionsRefused, match=message):
        Options(**wrong)


def test_negative_weights_are_refused() -> None:
    """Nobody is paid for waiting."""
    with pytest.raises(OptionsRefused, match="negative"):
        Weights(second=-1)


@pytest.mark.parametrize(
    "options",
    [Options(), Options(data_policy=frozenset({"local"}), budget_usd=0.1)],
)
def test_options_come_back_from_their_record(options: Options) -> None:
    """What a decision recorded can be decided with again."""
    assert Options.from_dict(json.loads(json.dumps(options.as_dict()))) == options
