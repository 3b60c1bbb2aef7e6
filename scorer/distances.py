"""A DeBERTa without the distances between tokens that no text of the allowed length has."""

from torch import nn
from transformers import DebertaV2Model


def within(backbone: nn.Module, max_tokens: int) -> None:
    """Leaves a DeBERTa v2 or v3 only the distances below `max_tokens`; other encoders are not touched.

    Each layer compares every token with every distance there is, 512 of them in mDeBERTa-v3, whatever the text's length. A text of at most
    `max_tokens` looks the longer ones up nowhere: its embedding stays the same, but for rounding. Nothing is left out where distances of
    that length share a bucket.
    """
    if not isinstance(backbone, DebertaV2Model) or not backbone.config.relative_attention:
        return
    encoder = backbone.encoder
    apart = encoder.position_buckets // 2 if encoder.position_buckets > 0 else encoder.max_relative_positions
    if max_tokens > apart:
        return
    weight = encoder.rel_embeddings.weight
    middle = len(weight) // 2
    encoder.rel_embeddings.weight = nn.Parameter(weight.detach()[middle - max_tokens : middle + max_tokens].clone())
    encoder.rel_embeddings.num_embeddings = 2 * max_tokens
    attentions = [layer.attention.self for layer in encoder.layer]
    for part in (backbone.config, encoder, *attentions):
        part.max_relative_positions, part.position_buckets = max_tokens, -1
    for attention in attentions:
        attention.pos_ebd_size = max_tokens
