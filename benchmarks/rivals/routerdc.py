"""RouterDC's recipe (arXiv 2409.19886) on frozen embeddings: a projection and one random embedding per LLM, contrastive losses alone."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from scorer.initialisation import Embedded, group_centres
from scorer.losses import sample_llm_loss, sample_sample_loss
from scorer.metrics import quality
from scorer.training import tensors
from scorer.types import Floats

STEPS, BATCH, EVERY = 1000, 64, 50  # published steps and batch; the checkpoint is chosen on validation data, as it should have been
GROUPS, SPREAD = 5, 0.78  # published: groups of queries, standard deviation of an LLM's first embedding
POSITIVES = NEGATIVES = OUT_GROUP = 3
RATES = (1e-4, 1e-3, 1e-2)  # published 5e-5 is for a whole encoder; the best of these on validation data counts


class RouterDC(nn.Module):
    """cos(projected query, LLM embedding), at the published temperature of 1."""

    def __init__(self, dims: int, llms: int) -> None:
        super().__init__()
        self.projection_DK = nn.Parameter(torch.eye(dims))
        self.llms_LK = nn.Parameter(torch.randn(llms, dims) * SPREAD)

    def forward(self, queries_QD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit queries (Q, K) and cosines (Q, L)."""
        queries_QK = nn.functional.normalize(queries_QD @ self.projection_DK, dim=-1)
        return queries_QK, queries_QK @ nn.functional.normalize(self.llms_LK, dim=-1).T


def fitted(training: Embedded, validation: Embedded, seed: int) -> Callable[[Floats], Floats]:
    """From queries_QD to scores_QL, by the learning rate and checkpoint that route validation queries best."""
    _, model = max((_fitted(training, validation, seed, rate) for rate in RATES), key=lambda each: each[0])

    def scores(queries_QD: Floats) -> Floats:
        with torch.no_grad():
            return np.asarray(model(torch.tensor(queries_QD))[1].numpy())

    return scores


def _fitted(training: Embedded, validation: Embedded, seed: int, rate: float) -> tuple[float, RouterDC]:
    """The checkpoint of best quality on validation queries, with that quality."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    queries, labels = tensors(training)
    groups = torch.tensor((training.queries_QD @ group_centres(training.queries_QD, GROUPS, seed).T).argmax(axis=1))
    model = RouterDC(queries.shape[1], labels.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    best, best_model = -1.0, model
    for step in range(1, STEPS + 1):
        batch = torch.randint(len(queries), (BATCH,), generator=random)
        queries_BK, cosines_BL = model(queries[batch])
        ties_BL, ties_BB = torch.rand(cosines_BL.shape, generator=random), torch.rand(BATCH, BATCH, generator=random)
        loss = sample_llm_loss(cosines_BL, labels[batch], positives=POSITIVES, negatives=NEGATIVES, ties_QL=ties_BL)
        loss = loss + sample_sample_loss(queries_BK @ queries_BK.T, groups[batch], out_group=OUT_GROUP, ties_QQ=ties_BB)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if step % EVERY == 0:
            with torch.no_grad():
                reached = float(np.nanmean(quality(model(torch.tensor(validation.queries_QD))[1].numpy(), validation.labels_QL)))
                if reached > best:
                    best, best_model = reached, copy.deepcopy(model)
    return best, best_model
