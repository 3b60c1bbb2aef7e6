"""What a certificate rests on: choices as they are served, queries that every LLM answered, a best LLM chosen on other data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate, rank
from mixture.client.request_size import expected_input_tokens
from mixture.llm import LLM, Endpoint
from mixture.price import UNKNOWN, Price
from pipelines import certify
from pipelines.certify import Choosable, HeldOut
from pipelines.dataset import Dataset, RosterLLM
from pipelines.params import GateParams
from registry.pool import Pool
from scorer.recorded_calls import RecordedCalls

RULES = GateParams(margin=0.03, floor="2pt", domain_floor="5pt", confidence=0.95)
LLMS = tuple(LLM(name, name, Price(price, 2 * price), Endpoint("http://x/v1", name)) for name, price in (("dear", 10.0), ("cheap", 0.1)))
RECORDED = {llm.id: RecordedCalls(10, 50.0, 100.0, None) for llm in LLMS}


def data(labels_QL: np.ndarray, split: str) -> Dataset:
    """A dataset of `LLMS` with these labels."""
    count = len(labels_QL)
    queries = pd.DataFrame(
        {"query_id": [f"q{at}" for at in range(count)], "text": [f"what is {at}?" for at in range(count)], "domain": "maths"}
    )
    unknown_QL = np.full(labels_QL.shape, np.nan)
    roster = tuple(RosterLLM(llm.id, llm.id, "active", llm.price.input, llm.price.output) for llm in LLMS)
    return Dataset(queries, roster, labels_QL, unknown_QL, unknown_QL, np.array([split] * count))


def held_out(test_QL: np.ndarray, train_QL: np.ndarray | None = None) -> HeldOut:
    """In training `dear` is right and `cheap` mostly; the scorer thinks both equally good."""
    train_QL = np.tile([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]], (20, 1)) if train_QL is None else train_QL
    return HeldOut(data(train_QL, "train"), data(test_QL, "test"), np.full(test_QL.shape, 0.8), RECORDED)


def test_choices_are_what_the_server_ranks_first() -> None:
    """At every value of a dollar, ties included."""
    rng = np.random.default_rng(0)
    llms = tuple(LLM(f"l{at}", "", Price(float(10 ** rng.uniform(-2, 1)), float(10 ** rng.uniform(-2, 1)))) for at in range(6))
    recorded = {llm.id: RecordedCalls(5, 40.0, float(rng.integers(20, 400)), None) for llm in llms}
    texts = [f"question {'x' * int(rng.integers(1, 900))}" for _ in range(40)]
    scores_QL = np.round(rng.random((40, 6)), 1)
    usd_S = np.array([0.001, 1.0, 30.0, 1e5])
    chosen_SQ = certify.choices(scores_QL, certify.expected_costs(texts, llms, recorded), usd_S)
    for usd, chosen_Q in zip(usd_S, chosen_SQ, strict=True):
        options = Options(k=1, max_layers=1, weights=Weights(1.0, float(usd), 0.0))
        for text, scores_L, chosen in zip(texts, scores_QL, chosen_Q, strict=True):
            size = expected_input_tokens([{"role": "user", "content": text}], {})
            candidates = [
                Candidate(llm, float(score), input_tokens=size, output_tokens=round(recorded[llm.id].output_tokens))
                for llm, score in zip(llms, scores_L, strict=True)
            ]
            assert rank(candidates, options)[0].candidate.llm.id == llms[chosen].id


def test_a_cheap_llm_that_is_as_good_saves_what_it_saves() -> None:
    """600 queries that both answer: certified, at a hundredth of the cost."""
    found = certify.judge(held_out(np.ones((600, 2))), Choosable(LLMS, (0, 1)), RULES)
    assert found.baseline == "dear"
    assert found.certified
    assert found.cost_share == pytest.approx(0.01)


def test_the_best_llm_is_chosen_on_training_queries() -> None:
    """On test queries the other happens to be better: that changes nothing."""
    found = certify.judge(held_out(np.tile([[0.0, 1.0]], (300, 1))), Choosable(LLMS, (0, 1)), RULES)
    assert found.baseline == "dear"
    assert found.difference == pytest.approx(1.0)


def test_only_queries_that_everybody_answered_count() -> None:
    """A query where one LLM lacks a label is left out, whoever would be chosen."""
    test_QL = np.ones((600, 2))
    test_QL[:500, 0] = np.nan
    found = certify.judge(held_out(test_QL), Choosable(LLMS, (0, 1)), RULES)
    assert found.queries == 100
    assert not found.certified


def test_what_no_label_would_mend_is_said() -> None:
    """An unknown price, a single LLM, an LLM without training labels."""
    given = held_out(np.ones((600, 2)))
    unpriced = Choosable((replace(LLMS[0], price=UNKNOWN), LLMS[1]), (0, 1))
    assert certify.judge(given, unpriced, RULES).sentence() == "Not certifiable: the price of dear is unknown."
    assert "fewer than two LLMs" in certify.judge(given, Choosable(LLMS[:1], (0,)), RULES).sentence()
    unlabelled = held_out(np.ones((600, 2)), np.array([[1.0, np.nan]]))
    assert "no training query is labelled for cheap" in certify.judge(unlabelled, Choosable(LLMS, (0, 1)), RULES).sentence()


def test_who_cannot_be_asked_is_no_choice() -> None:
    """Retired and recorded LLMs count only where nobody has an endpoint."""
    recorded, retired = replace(LLMS[0], id="tape", endpoint=None), replace(LLMS[0], id="old", status="retired")
    found = Choosable.of(("tape", "old", "dear", "gone", "cheap"), Pool((*LLMS, recorded, retired)))
    assert ([llm.id for llm in found.llms], found.columns) == (["dear", "cheap"], (2, 4))
    alone = Choosable.of(("tape",), Pool((recorded,)))
    assert [llm.id for llm in alone.llms] == ["tape"]
