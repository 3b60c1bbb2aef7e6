"""The training loop over embedded queries: contrastive losses and labels move the head off its start while validation gains."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scorer import trust
from scorer.errors import TrainingError
from scorer.head import Head
from scorer.initialisation import Embedded, Shrinkage, starting_weights
from scorer.losses import label_loss, sample_llm_loss, sample_sample_loss
from scorer.types import Floats
from scorer.weights import HeadWeights, centred


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. positives, negatives: K+, K-; out_group: H; sample_sample: lambda; labels: weight of the cross-entropy.

    temperature: of the cosine between queries; sample_llm: weight of that loss. weight_decay: pull back to the start (AdamW: a share
    lr * decay of the way a step). patience: epochs without a better validation loss before stopping. trust: whether scores far from the
    training queries are drawn towards each LLM's overall log-odds (`scorer.trust`).
    """

    seed: int = 0
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 3e-4
    weight_decay: float = 30.0
    positives: int = 3
    negatives: int = 3
    out_group: int = 3
    sample_llm: float = 1.0
    sample_sample: float = 0.2
    labels: float = 1.0
    temperature: float = 0.1
    patience: int = 8
    trust: bool = True
    shrinkage: Shrinkage = field(default_factory=Shrinkage)


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean losses of one pass; epoch 0 is the start, before any step. `validation` is the cross-entropy that decides."""

    epoch: int
    training: float
    validation: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The weights of the best epoch, the way there, and the CPU seconds it took."""

    weights: HeadWeights
    best_epoch: int
    history: tuple[Epoch, ...]
    cpu_s: float


def train(
    roster: tuple[str, ...],
    training: Embedded,
    validation: Embedded,
    plan: Plan,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """A head for `roster` from training labels; validation labels choose the epoch. The same input and seed give the same weights.

    Raises TrainingError where an LLM has no label at all, validation has none, or a loss is not a number.
    """
    _check(roster, training, validation)
    began = time.process_time()
    with torch.random.fork_rng():
        dice = torch.Generator().manual_seed(plan.seed)
        head = Head(starting_weights(roster, training, plan.shrinkage, plan.seed))
        optimizer = torch.optim.AdamW(head.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
        (queries, labels), counts = tensors(training), _counts(training)
        groups = torch.tensor(group_of(head.start, training.queries_QD))

        history = [Epoch(0, float("nan"), validation_loss(head, validation))]
        best, best_weights = history[0], head.weights()
        for epoch in range(1, plan.epochs + 1):
            losses = []
            for batch in torch.split(torch.randperm(len(queries), generator=dice), plan.batch_size):
                loss = batch_loss(head, queries[batch], labels[batch], groups[batch], plan=plan, dice=dice, weights_BL=counts[batch])
                if not torch.isfinite(loss):
                    raise TrainingError(f"epoch {epoch}: the loss is {loss.item()}.", next_step="Lower train.learning_rate.")
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                losses.append(loss.item())
            history.append(Epoch(epoch, float(np.mean(losses)), validation_loss(head, validation)))
            on_epoch(history[-1])
            if history[-1].validation < best.validation - 1e-5:
                best, best_weights = history[-1], head.weights()
            elif epoch - best.epoch >= plan.patience:
                break
    if plan.trust:
        best_weights = replace(best_weights, trust=trust.fit(best_weights, training, plan.shrinkage, plan.seed))
    return Trained(best_weights, best.epoch, tuple(history), time.process_time() - began)


def group_of(start: HeadWeights, queries_QD: Floats) -> NDArray[np.int64]:
    """The group each query belongs to most."""
    return np.asarray(start.member(centred(queries_QD, start.centre_D)).argmax(axis=1))


def batch_loss(
    head: Head,
    queries_BD: Tensor,
    labels_BL: Tensor,
    groups_B: Tensor,
    *,
    plan: Plan,
    dice: torch.Generator,
    weights_BL: Tensor | None = None,
) -> Tensor:
    """L = sample_llm * L_sample-LLM + lambda * L_sample-sample + labels * L_label of one batch; `dice` breaks ties between equal labels.

    weights_BL: how much each label counts in L_label.
    """
    queries_BK, logits_BL = head(queries_BD)
    loss = plan.sample_llm * sample_llm_loss(
        logits_BL,
        labels_BL,
        positives=plan.positives,
        negatives=plan.negatives,
        ties_QL=torch.rand(labels_BL.shape, generator=dice),
    )
    if plan.sample_sample:
        ties_BB = torch.rand(len(queries_BK), len(queries_BK), generator=dice)
        similarities_BB = queries_BK @ queries_BK.T / plan.temperature
        loss = loss + plan.sample_sample * sample_sample_loss(similarities_BB, groups_B, out_group=plan.out_group, ties_QQ=ties_BB)
    return loss + plan.labels * label_loss(logits_BL, labels_BL, weights_BL)


@torch.no_grad()
def validation_loss(head: Head, validation: Embedded) -> float:
    """The cross-entropy with known labels that decides which epoch counts. Raises TrainingError where it is not finite."""
    queries_VD, labels_VL = tensors(validation)
    _, logits_VL = head(queries_VD)
    loss = float(label_loss(logits_VL, labels_VL, _counts(validation)))
    if not np.isfinite(loss):
        raise TrainingError(f"the validation loss is {loss}.", next_step="Lower train.learning_rate.")
    return loss


def tensors(data: Embedded) -> tuple[Tensor, Tensor]:
    """Queries and labels as float32 tensors."""
    return torch.tensor(data.queries_QD), torch.tensor(data.labels_QL, dtype=torch.float32)


def _counts(data: Embedded) -> Tensor:
    """How much each label counts, as a float32 tensor."""
    return torch.ones(data.labels_QL.shape) if data.weights_QL is None else torch.tensor(data.weights_QL, dtype=torch.float32)


def _check(roster: tuple[str, ...], training: Embedded, validation: Embedded) -> None:
    labelled_L: list[bool] = np.any(~np.isnan(training.labels_QL), axis=0).tolist()
    unlabelled = [llm for llm, labelled in zip(roster, labelled_L, strict=True) if not labelled]
    if not roster or unlabelled:
        raise TrainingError(f"no training label for {', '.join(unlabelled) or 'any LLM'}.", next_step="Label some of its answers first.")
    if not (~np.isnan(validation.labels_QL)).any():
        raise TrainingError("no validation label at all.", next_step="Raise assemble.shares.validation or label more answers.")
    for name, queries_QD in (("training", training.queries_QD), ("validation", validation.queries_QD)):
        if not np.isfinite(queries_QD).all():
            raise TrainingError(f"a {name} query's embedding is not finite.", next_step="Check the encoder's weights.")
