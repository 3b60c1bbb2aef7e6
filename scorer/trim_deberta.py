"""A DeBERTa without the distances between tokens that no text of the allowed length has."""

import copy
from typing import TYPE_CHECKING, Any, cast

from torch import nn

if TYPE_CHECKING:
    from scorer.encoder import Encoder


def without_unused(encoder: "Encoder") -> "Encoder":
    """A DeBERTa v2 or v3 that reads texts of `max_tokens` alone, a copy; any other encoder as it is.

    Each layer compares every token with every distance there is, 512 of them in mDeBERTa-v3, whatever the text's length. A text of at most
    `max_tokens` looks the longer ones up nowhere: without them its embedding is the same, but for rounding. Nothing is left out where
    distances of that length share a bucket.
    """
    config = cast("Any", encoder.backbone).config
    if config.model_type != "deberta-v2" or not config.relative_attention:
        return encoder
    layers, longest = cast("Any", encoder.backbone).encoder, encoder.max_tokens
    alone = layers.position_buckets // 2 if layers.position_buckets > 0 else layers.max_relative_positions
    if longest > alone:
        return encoder
    cut = copy.deepcopy(encoder)
    layers = cast("Any", cut.backbone).encoder
    weight = layers.rel_embeddings.weight
    middle = len(weight) // 2
    layers.rel_embeddings.weight = nn.Parameter(weight.detach()[middle - longest : middle + longest].clone())
    attentions = [layer.attention.self for layer in layers.layer]
    for part in (layers, *attentions):
        part.max_relative_positions, part.position_buckets = longest, -1
    for attention in attentions:
        attention.pos_ebd_size = longest
    return cut
