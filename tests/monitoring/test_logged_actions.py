"""Which records can be decided again for a target, and what is said of the others."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from mixture.choose.action import Explore
from mixture.choose.options import Options, Weights
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.price import Price
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from monitoring.policies import logged_actions, logged_columns
from monitoring.policies.logged_actions import Served, Target
from monitoring.policies.logged_traffic import Traffic
from monitoring.records.record import AUDIT, Outcome, Record
from tests.mixture.makers import candidate, user
from tests.monitoring.one_record import record_of

PRICES = {"small": 1.0, "middle": 2.0, "large": 9.0}
SCORES = {"small": 0.6, "middle": 0.65, "large": 0.7}


def served(number: int = 0, *, at: float = 0.9, usd: float = 0.0, explore_share: float = 0.5, **changed: Any) -> Record:
    """A record of the real engine: half of the requests are drawn."""
    options = replace(Options(k=1, max_layers=1, weights=Weights(1.0, usd, 0.0), aggregation="best"), **changed.pop("options", {}))
    candidates = [candidate(name, SCORES[name], price=price) for name, price in PRICES.items()]
    request = Request(user(), candidates, options, explore=Explore(explore_share, 1.0, at, why=""))
    decision = drive(Mixture(ScriptedClient({name: Script("42") for name in PRICES}), clock).answer(request))
    tree = decision.as_dict(texts=False)
    values = {
        "roster": tuple(SCORES),
        "scores": tuple(SCORES.values()),
        "decision": tree,
        "llm": decision.llm,
        "cost_usd": decision.cost_usd,
    }
    return record_of(f"r-{number}", **values | changed)


def one(record: Record) -> Served:
    """The record as it can be decided again."""
    found = Served.of(record)
    assert isinstance(found, Served), found
    return found


def test_a_record_is_decided_again_as_it_was() -> None:
    """From what it holds, whoever chance asked, without a word of text."""
    for at in (0.0, 0.2, 0.4, 0.9):
        again = one(served(at=at))
        assert again.action.usual == "large"
        assert again.asks(Target("same"), 0.0) is not None
        assert (again.asks(Target("same"), 0.0) or ("",))[0] == "large"
    assert one(served(at=0.2)).action.explored


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        (Target("a dear dollar", usd=1e6), "small"),
        (Target("a pool without the best", without=frozenset({"large"})), "middle"),
        (Target("nobody left", without=frozenset(PRICES)), ""),
        (Target("other prices", usd=1e6, prices={"middle": Price(0.0001, 0.0001)}), "middle"),
        (Target("another scorer", {"r-0": {"small": 0.9, "middle": 0.1, "large": 0.2}}), "small"),
        (Target("one that knows fewer", {"r-0": {"middle": 0.1}}), "middle"),
        (Target("as logged", usd=1e6, as_logged=True), "large"),
    ],
)
def test_a_target_asks_whom_its_own_reckoning_says(target: Target, asked: str) -> None:
    """By the product's own ranking."""
    found = one(served()).asks(target, 0.0)
    assert found is not None
    assert found[0] == asked


def test_a_request_that_asked_for_a_dearer_dollar_keeps_it() -> None:
    """The target's value of a dollar takes the place of the operator's, not of a request's own dearer one."""
    own = one(served(usd=1e6))
    assert (own.asks(Target("cheap", usd=0.0), 0.0) or ("",))[0] == "small"
    assert (own.asks(Target("cheap", usd=0.0), 1e6) or ("",))[0] == "large"


def test_other_prices_bill_the_answered_calls_anew() -> None:
    """By their tokens; an LLM that is not listed keeps its cost, an unknown cost stays unknown."""
    record = served()
    again = one(record)
    run = again.decision.layers[0].runs[0]
    dear = again.cost_usd(Target("dear", prices={"large": Price(1000.0, 1000.0)}))
    assert dear == pytest.approx((run.input_tokens + run.output_tokens) / 1000)
    assert again.cost_usd(Target("other", prices={"small": Price(5.0, 5.0)})) == pytest.approx(record.cost_usd)
    assert str(one(replace(record, decision=record.decision | {"unpriced": ["large"]})).cost_usd(Target("same"))) == "nan"


def test_what_cannot_be_judged_is_counted_by_reason() -> None:
    """Failures, named LLMs, old records, sets asked at once, other strategies, records that are decided otherwise now."""
    whole = served()
    action = whole.decision["action"]
    other = replace(whole, id="r-8", decision=whole.decision | {"action": {**action, "usual": "small"}})
    records = [
        *(served(number) for number in range(3)),
        served(4, options={"max_layers": 3}),
        served(5, status="error"),
        served(7, at=0.2, status="error"),
        served(6, roster=(), scores=()),
        replace(whole, decision={name: value for name, value in whole.decision.items() if name != "action"}),
        replace(whole, decision=whole.decision | {"action": {**action, "together": 3}}),
        replace(whole, decision=whole.decision | {"snapshot": None}),
        other,
    ]
    found = Traffic.of(records, None)
    assert (len(found), found.strategy) == (3, "single")
    assert dict(found.not_judged) == {
        logged_actions.NO_ANSWER: 1,
        logged_actions.NO_ANSWER_DRAWN: 1,
        logged_actions.NAMED: 1,
        logged_actions.OLD: 1,
        logged_actions.SEVERAL: 1,
        logged_actions.UNREADABLE: 1,
        logged_actions.CHANGED: 1,
        logged_actions.STRATEGY.format("sequential"): 1,
    }
    assert [each.record.id for each in found] == ["r-0", "r-1", "r-2"]
    assert [each.record.id for each in Traffic.of(records, "sequential")] == ["r-4"]


def test_arrays_are_of_the_target() -> None:
    """Propensities, overlap, promises, grades with the audit's probability, money; who cannot be scored is left out."""
    records = [served(number, at=at) for number, at in enumerate((0.0, 0.2, 0.4, 0.9))]
    records[1] = replace(records[1], outcome=Outcome(1.0, AUDIT, 0.0), drawn_with=0.25)
    records[2] = replace(records[2], outcome=Outcome(1.0, "user", 0.0))
    found = Traffic.of(records, None)
    scores = {record.id: {"small": 0.1, "middle": 0.9, "large": 0.2} for record in records[:3]}
    (seen,) = logged_columns.seen(found, [Target("middle", scores)], usual_usd=found.summary.usual_usd, delta=1.0)
    assert seen.kept_M.tolist() == [True, True, True, False]
    assert [each.action.first for each in found] == ["large", "middle", "small", "large"]
    assert seen.quality.propensity_N == pytest.approx([0.5 + 0.5 / 3, 0.5 / 3, 0.5 / 3])
    assert seen.quality.target_N.tolist() == [0, 1, 0]
    assert seen.quality.supported_N.tolist() == [1, 1, 1]
    assert seen.quality.differs_N.tolist() == [True, True, True]
    assert seen.quality.forecast_N == pytest.approx([0.65] * 3)
    assert seen.quality.logged_N == pytest.approx([0.7, 0.65, 0.6])
    assert str(seen.quality.outcome_N.tolist()) == "[nan, 1.0, nan]"
    assert seen.quality.observed_N[1] == 0.25
    assert seen.money.outcome_N == pytest.approx([record.cost_usd for record in records[:3]])
    assert seen.column("chance_N") == pytest.approx([1 / 3] * 3)
    assert seen.column("gap_N") == pytest.approx([0.05] * 3)


def test_an_action_survives_a_record() -> None:
    """As JSON and back."""
    record = served(at=0.2)
    decision = Decision.from_dict(record.decision)
    assert decision.action is not None
    assert asdict(decision.action)["first"] == record.decision["action"]["first"]
    assert record.explored
