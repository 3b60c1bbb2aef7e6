"""The losses, on points at known angles, against a naive loop."""

import math

import pytest
import torch

from scorer.losses import label_loss, sample_llm_loss, sample_sample_loss

NAN = float("nan")


def ties(*shape: int) -> torch.Tensor:
    """Any order among equals, always the same."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def cosines(degrees: list[list[float]]) -> torch.Tensor:
    """Similarities of points that many degrees apart."""
    return torch.tensor(degrees).deg2rad().cos()


def naive_sample_llm(logits: list[list[float]], labels: list[list[float]], positives: int, negatives: int) -> float:
    """The formula of docs/method.md as a loop, for labels without ties."""
    losses = []
    for row, known in zip(logits, labels, strict=True):
        order = sorted((place for place, label in enumerate(known) if not math.isnan(label)), key=lambda place: -known[place])
        best = [place for place in order[:positives] if known[place] > 0]
        worst = [place for place in order[::-1] if known[place] <= 0.5 and place not in best][:negatives]
        if worst:
            for place in best:
                crowd = sum(math.exp(row[other]) for other in worst)
                losses.append(-math.log(math.exp(row[place]) / (math.exp(row[place]) + crowd)))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("temperature", [1.0, 0.1])
@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (2, 2), (3, 3)])
def test_sample_llm_loss_is_the_papers_formula(positives: int, negatives: int, temperature: float) -> None:
    """On angles 0, 30, 60, 90, 180 the loss equals a naive loop, at each K+, K- and temperature."""
    logits = cosines([[0.0, 30.0, 60.0, 90.0, 180.0], [180.0, 90.0, 60.0, 30.0, 0.0]]) / temperature
    labels = torch.tensor([[0.9, 0.8, 0.3, 0.2, 0.0], [0.9, 0.4, NAN, 0.1, 0.0]])
    found = sample_llm_loss(logits, labels, positives=positives, negatives=negatives, ties_QL=ties(2, 5))
    assert found.item() == pytest.approx(naive_sample_llm(logits.tolist(), labels.tolist(), positives, negatives), abs=1e-5)


def test_sample_llm_loss_known_value() -> None:
    """One positive at 0 degrees, one negative at 180, temperature 1: log(1 + e^-2)."""
    found = sample_llm_loss(cosines([[0.0, 180.0]]), torch.tensor([[1.0, 0.0]]), positives=3, negatives=3, ties_QL=ties(1, 2))
    assert found.item() == pytest.approx(math.log(1 + math.exp(-2)), abs=1e-6)


def test_missing_labels_are_neither_positive_nor_negative() -> None:
    """An unlabelled LLM's logit gets no gradient."""
    logits = torch.zeros(1, 3, requires_grad=True)
    sample_llm_loss(logits, torch.tensor([[1.0, NAN, 0.0]]), positives=3, negatives=3, ties_QL=ties(1, 3)).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0] < 0 < logits.grad[0, 2]


def test_an_llm_is_never_positive_and_negative_at_once() -> None:
    """A label of .4 that is among the top K+ is not among the bottom K-."""
    logits = torch.zeros(1, 2, requires_grad=True)
    found = sample_llm_loss(logits, torch.tensor([[0.4, 0.3]]), positives=1, negatives=2, ties_QL=ties(1, 2))
    assert found.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("labels", [[[1.0, 1.0]], [[0.0, 0.0]], [[NAN, NAN]], [[1.0, NAN]]])
def test_nothing_to_contrast_gives_zero_and_backpropagates(labels: list[list[float]]) -> None:
    """All right, all wrong, unlabelled: loss 0, gradient 0, no NaN."""
    logits = torch.randn(1, 2, requires_grad=True)
    found = sample_llm_loss(logits, torch.tensor(labels), positives=3, negatives=3, ties_QL=ties(1, 2))
    found.backward()
    assert found.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros(1, 2))


def test_ties_choose_among_equal_labels() -> None:
    """With K+ = 1 and two right LLMs, the tie-breaker decides which is pulled."""
    for favoured in (0, 1):
        logits = torch.zeros(1, 3, requires_grad=True)
        order = torch.tensor([[0.9 if place == favoured else 0.1 for place in range(3)]])
        sample_llm_loss(logits, torch.tensor([[1.0, 1.0, 0.0]]), positives=1, negatives=1, ties_QL=order).backward()
        assert logits.grad is not None
        assert logits.grad[0, favoured] < 0
        assert logits.grad[0, 1 - favoured] == 0


def test_sample_sample_loss_is_the_papers_formula() -> None:
    """Queries at 0, 30 (one group) and 90, 150 degrees (another): equals a naive loop with the one positive there is."""
    angles = torch.tensor([0.0, 30.0, 90.0, 150.0])
    similarities = (angles[None] - angles[:, None]).deg2rad().cos() / 0.5
    groups = torch.tensor([0, 0, 1, 1])
    rows = similarities.tolist()
    expected = []
    for anchor in range(4):
        positive = next(other for other in range(4) if other != anchor and groups[other] == groups[anchor])
        crowd = sum(math.exp(rows[anchor][other]) for other in range(4) if groups[other] != groups[anchor])
        expected.append(-math.log(math.exp(rows[anchor][positive]) / (math.exp(rows[anchor][positive]) + crowd)))
    found = sample_sample_loss(similarities, groups, out_group=3, ties_QQ=ties(4, 4))
    assert found.item() == pytest.approx(sum(expected) / 4, abs=1e-5)


def test_an_anchor_is_never_its_own_positive() -> None:
    """A query alone in its group is no anchor: nothing on the diagonal gets a gradient, whatever the tie-breaker wants."""
    similarities = torch.eye(3, requires_grad=True)
    found = sample_sample_loss(similarities, torch.tensor([0, 1, 2]), out_group=2, ties_QQ=torch.eye(3) * 0.9)
    found.backward()
    assert found.item() == 0
    assert similarities.grad is not None
    assert torch.equal(similarities.grad, torch.zeros(3, 3))


def test_too_few_out_of_group_queries_use_those_there_are() -> None:
    """H = 5 with one query outside the group contrasts with that one."""
    similarities = torch.zeros(3, 3)
    found = sample_sample_loss(similarities, torch.tensor([0, 0, 1]), out_group=5, ties_QQ=ties(3, 3))
    assert found.item() == pytest.approx(math.log(2))


def test_one_group_gives_zero_and_backpropagates() -> None:
    """Without any other group there is nothing to contrast."""
    similarities = torch.randn(4, 4, requires_grad=True)
    found = sample_sample_loss(similarities, torch.zeros(4, dtype=torch.long), out_group=3, ties_QQ=ties(4, 4))
    found.backward()
    assert found.item() == 0
    assert similarities.grad is not None
    assert not similarities.grad.any()


def test_label_loss_skips_missing_labels() -> None:
    """Mean cross-entropy over known labels; a label may lie between 0 and 1."""
    found = label_loss(torch.tensor([[0.0, 2.0, 5.0]]), torch.tensor([[0.5, 1.0, NAN]]))
    assert found.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(-2))) / 2, abs=1e-6)
    assert label_loss(torch.zeros(1, 1), torch.tensor([[NAN]])).item() == 0
