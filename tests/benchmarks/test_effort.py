"""The benchmark of families: what it changes, and nothing else."""

import numpy as np
import pytest

from benchmarks.effort import VARIANTS, drawn_together
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.ranking import Candidate
from mixture.choose.strategy import AnswersSoFar
from mixture.llm import LLM, Endpoint
from mixture.price import Price

LLMS = [LLM(name, name, Price(1, 1), Endpoint("http://x/v1", weights)) for name, weights in (("a", "one"), ("b", "one"), ("c", "two"))]


def test_only_scores_of_one_family_are_drawn_together() -> None:
    """Each LLM's mean stays; at the whole way its kin differ by those means alone; others are left as they are."""
    logits_QL = np.random.default_rng(0).normal(size=(50, 3)) + np.array([0.0, 2.0, 0.0])
    moved_QL = drawn_together(logits_QL, LLMS, 1.0)
    assert moved_QL.mean(axis=0) == pytest.approx(logits_QL.mean(axis=0))
    assert np.ptp(moved_QL[:, 0] - moved_QL[:, 1]) == pytest.approx(0.0, abs=1e-12)
    assert (moved_QL[:, 2] == logits_QL[:, 2]).all()
    assert drawn_together(logits_QL, LLMS, 0.0) == pytest.approx(logits_QL)


def test_variants_differ_in_what_they_say() -> None:
    """Other weights stand first where the variant says so, however much better the same weights are."""
    candidates = [Candidate(llm, prior) for llm, prior in zip(LLMS, (0.8, 0.7, 0.3), strict=True)]
    priors = {each.llm.id: each.prior for each in candidates}
    nobody = AnswersSoFar(candidates, {}, priors, (), 0.0)
    orders = {
        each.name: "".join(
            ranked.id for ranked in each.strategy(AgreementPosterior(kinship=0.5)).select(nobody, Options(weights=Weights(usd=0)))
        )
        for each in VARIANTS
    }
    assert orders == {each.name: "acb" if each.other_first else "abc" for each in VARIANTS}
    assert [each.strategy(AgreementPosterior(kinship=0.5)).posterior.kinship for each in VARIANTS] == [0.0, 0.5, 0.0, 0.5]
