"""The two contrastive losses of RouteMoA (arXiv 2601.18130, after RouterDC, arXiv 2409.19886) and a masked cross-entropy, all pure.

NaN in `labels_QL` is an unknown label: it makes an LLM neither positive nor negative. A batch in which nothing can be
contrasted gives 0, and still back-propagates (a gradient of zeros).
"""

import torch
from torch import Tensor


def sample_llm_loss(logits_QL: Tensor, labels_QL: Tensor, *, positives: int, negatives: int, ties_QL: Tensor) -> Tensor:
    """Mean over positives t+ of -log( e^{s+} / (e^{s+} + sum over I- of e^{s-}) ), s the similarity over its temperature.

    I+: the `positives` best LLMs of a query, label > 0. I-: the `negatives` worst, label <= .5, never one of I+.
    ties_QL: numbers in [0, 1); the larger goes first where labels are equal (most labels are 0 or 1).
    """
    labelled_QL = ~labels_QL.isnan()
    labels_QL = labels_QL.nan_to_num(0.0)
    positive_QL = _first(labels_QL, labelled_QL & (labels_QL > 0), positives, ties_QL)
    negative_QL = _first(-labels_QL, labelled_QL & (labels_QL <= 0.5) & ~positive_QL, negatives, ties_QL)
    crowd_Q = _masked_logsumexp(logits_QL, negative_QL)
    losses_QL = torch.logaddexp(logits_QL, crowd_Q.unsqueeze(1)) - logits_QL
    return _masked_mean(losses_QL, positive_QL & negative_QL.any(1, keepdim=True))


def sample_sample_loss(similarities_QQ: Tensor, groups_Q: Tensor, *, out_group: int, ties_QQ: Tensor) -> Tensor:
    """The same form between queries: one other query of the anchor's group against `out_group` queries of other groups.

    similarities_QQ: of each query (row: the anchor) with each, over the temperature. ties_QQ: numbers in [0, 1) that
    choose which: the largest first. An anchor is never its own positive.
    """
    same_QQ = groups_Q.unsqueeze(0) == groups_Q.unsqueeze(1)
    other_QQ = ~torch.eye(len(groups_Q), dtype=torch.bool, device=groups_Q.device)
    level_QQ = torch.zeros_like(similarities_QQ)
    positive_QQ = _first(level_QQ, same_QQ & other_QQ, 1, ties_QQ)
    negative_QQ = _first(level_QQ, ~same_QQ, out_group, ties_QQ)
    crowd_Q = _masked_logsumexp(similarities_QQ, negative_QQ)
    losses_QQ = torch.logaddexp(similarities_QQ, crowd_Q.unsqueeze(1)) - similarities_QQ
    return _masked_mean(losses_QQ, positive_QQ & negative_QQ.any(1, keepdim=True))


def label_loss(logits_QL: Tensor, labels_QL: Tensor, weights_QL: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of sigmoid(logit) with every known label (labels may lie between 0 and 1): what makes scores probabilities.

    weights_QL: how much each label counts; None: all the same.
    """
    labelled_QL = ~labels_QL.isnan()
    labels_QL = labels_QL.nan_to_num(0.0).to(logits_QL.dtype)
    losses_QL = torch.nn.functional.binary_cross_entropy_with_logits(logits_QL, labels_QL, reduction="none")
    if weights_QL is None:
        return _masked_mean(losses_QL, labelled_QL)
    weights_QL = torch.where(labelled_QL, weights_QL.to(logits_QL.dtype), 0.0)
    return (torch.where(labelled_QL, losses_QL, 0.0) * weights_QL).sum() / weights_QL.sum().clamp(min=torch.finfo(logits_QL.dtype).tiny)


def _first(values: Tensor, allowed: Tensor, most: int, ties: Tensor) -> Tensor:
    """Mask of the `most` largest allowed values of each row (fewer where fewer are allowed), equal values ordered by `ties`."""
    by_tie = ties.masked_fill(~allowed, -1.0).argsort(dim=1, descending=True)
    values = values.detach().masked_fill(~allowed, -torch.inf).gather(1, by_tie)
    order = by_tie.gather(1, values.argsort(dim=1, descending=True, stable=True))
    chosen = torch.zeros_like(allowed)
    chosen.scatter_(1, order[:, :most], True)
    return chosen & allowed


def _masked_logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """Per row, over the masked values; a row without any gives a very small number and no gradient."""
    smallest = torch.finfo(values.dtype).min / 2  # -inf would turn the gradient of an empty row into NaN
    return torch.where(mask, values, smallest).logsumexp(1)


def _masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, losses, 0.0).sum() / mask.sum().clamp(min=1)
