"""The benchmarks of promises: a bound is broken as rarely as it says where the rule without one often is; a what-if meets the truth."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import certificate, what_if
from benchmarks.certificate import Population
from benchmarks.monitor import World
from mixture.llm import LLM
from mixture.price import Price
from pipelines.dataset import Dataset, RosterLLM
from registry.certificate import Promise


def population(random: np.random.Generator, settings: int = 12, queries: int = 4_000) -> Population:
    """Settings that lose ever more, up to a tenth, and cost ever less."""
    lost_S = np.linspace(0, 0.1, settings)
    dice_N, won_N = random.random(queries), random.random(queries) < 0.04
    difference_SN = np.array([np.where(dice_N < lost, -1.0, won_N) for lost in lost_S], dtype=np.float64)
    return Population(difference_SN, np.linspace(1, 0.2, settings))


def test_a_bound_holds_where_no_bound_does_not() -> None:
    """At most one draw in twenty violates the floor; the cheapest that was not measured below it does in a third, and pays less."""
    populations = [population(np.random.default_rng(seed)) for seed in range(4)]
    found = certificate.resplits(populations, labels=600, draws=400, floor=0.03)
    assert found["certified"]["violated"] <= 0.05
    assert found["no bound"]["violated"] > 0.3
    assert found["by Hoeffding"]["served"] < found["certified"]["served"]
    assert found["no bound"]["cost"] < found["certified"]["cost"] < found["by Hoeffding"]["cost"]


def test_testing_ends_at_the_first_that_fails() -> None:
    """The setting before it is served; none where the first fails."""
    good, bad = np.zeros(600), np.full(600, -0.5)
    rule = certificate.RULES["certified"]
    assert rule(np.array([good, good, bad, good]), Promise(0.01)) == 1
    assert rule(np.array([bad, good]), Promise(0.01)) is None
    assert rule(np.array([good, good]), Promise(0.01)) == 1


@pytest.fixture(scope="module")
def recorded() -> what_if.Recorded:
    """1,500 queries of three kinds, each with its own good LLM; one dear LLM is good at all of them."""
    random = np.random.default_rng(0)
    kinds_Q = random.integers(3, size=1_500)
    queries_QD = (np.eye(8, dtype=np.float32)[kinds_Q] + 0.2 * random.normal(size=(1_500, 8))).astype(np.float32)
    queries_QD /= np.linalg.norm(queries_QD, axis=1, keepdims=True)
    rates_KL = np.array([[0.9, 0.4, 0.9], [0.4, 0.9, 0.9], [0.5, 0.5, 0.9]])
    labels_QL = (random.random((1_500, 3)) < rates_KL[kinds_Q]).astype(np.float64)
    names, prices = ("maths", "code", "dear"), (0.1, 0.2, 5.0)
    output_QL = np.rint(random.uniform(50, 150, (1_500, 3)))
    llms = tuple(LLM(name, name, Price(price, price)) for name, price in zip(names, prices, strict=True))
    frame = pd.DataFrame({"text": [f"question {'x' * int(size)} {at}" for at, size in enumerate(random.integers(10, 200, 1_500))]})
    frame = frame.assign(query_id=[f"q{at}" for at in range(1_500)], dataset=[f"kind {kind}" for kind in kinds_Q])
    inputs_Q = np.ceil(what_if.recorded_set.tokens(frame))
    cost_QL = (inputs_Q[:, None] + output_QL) * np.array(prices) / 1e6
    roster = tuple(RosterLLM(name, name, "active", price, price) for name, price in zip(names, prices, strict=True))
    unknown_QL = np.full(labels_QL.shape, np.nan)
    data = Dataset(frame, roster, labels_QL, cost_QL, unknown_QL, np.full(1_500, "train"))
    return what_if.Recorded(data, queries_QD, cost_QL, output_QL, llms)


def test_a_what_if_meets_the_truth(recorded: what_if.Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its intervals cover the recorded truth about as often as they say, and the cost is close."""
    monkeypatch.setattr(what_if, "WORLDS", 4)
    monkeypatch.setattr(what_if, "CALLS", 150)
    found = what_if.resampled(recorded, 24, "same kinds")
    assert found["covered"] > 0.85
    assert found["graded: covered"] > 0.85
    assert found["cost off, median"] < 0.05
    assert found["unlike"] < 0.05
    assert what_if.resampled(recorded, 8, "one of them")["unlike"] < 0.05
    nobody = what_if.resampled(recorded, 8, "another kind")  # every one of its texts is far, so none is judged
    assert np.isnan([nobody["covered"], nobody["cost off, median"]]).all()
    assert World(recorded.data, recorded.queries_QD, 0).roster == ("maths", "code", "dear")
