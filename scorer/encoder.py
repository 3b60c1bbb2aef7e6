"""Query texts to vectors in training: any transformers encoder by name or folder, pooled to unit norm, followed by features of the text."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from scorer import text_features
from scorer.errors import EncoderUnknown
from scorer.texts import tail
from scorer.types import Floats

Pooling = Literal["mean", "first"]


class Encoder(nn.Module):
    """Token ids in, unit-norm embeddings out; texts in, their vectors out.

    text_features: whether features of the text (`scorer.text_features`) follow its embedding in its vector.
    pooling: `mean` over real tokens (sentence-transformers) or the `first` token's state (RouteMoA's mDeBERTa).
    tokenizer: truncates from the left to `max_tokens`: the end of a prompt says what is asked.
    """

    def __init__(
        self, backbone: nn.Module, tokenizer: Tokenizer, *, max_tokens: int, pooling: Pooling, text_features: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens, direction="left")
        self.max_tokens = max_tokens
        self.pooling: Pooling = pooling
        self.text_features = text_features
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings (Q, D) of token ids (Q, T) under their mask (Q, T)."""
        states_QTD = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.pooling == "first":
            pooled_QD = states_QTD[:, 0]
        else:
            mask_QT1 = attention_mask.unsqueeze(-1).to(states_QTD.dtype)
            pooled_QD = (states_QTD * mask_QT1).sum(1) / mask_QT1.sum(1).clamp(min=1.0)
        return nn.functional.normalize(pooled_QD, dim=-1)

    def batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and mask (Q, T), padded on the right."""
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch([tail(text, self.max_tokens) for text in texts])]
        longest = max(1, *map(len, encoded))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in encoded], dtype=torch.long)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in encoded], dtype=torch.long)
        return ids, mask

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], *, batch_size: int = 32) -> Floats:
        """Vectors (Q, D) of `texts`, in their order."""
        rows: dict[int, Floats] = {}
        for places, vectors_BD in self.embed_in_batches(texts, batch_size=batch_size):
            rows.update(zip(places, vectors_BD, strict=True))
        return np.stack([rows[place] for place in range(len(texts))])

    @torch.inference_mode()
    def embed_in_batches(self, texts: Sequence[str], *, batch_size: int = 32) -> Iterator[tuple[list[int], Floats]]:
        """Places in `texts` and their vectors, batch by batch, alike lengths together (padding is paid for)."""
        device = next(self.parameters()).device
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            chosen = [texts[place] for place in places]
            vectors_BD = self(*(tensor.to(device) for tensor in self.batch(chosen))).cpu().numpy().astype(np.float32)
            yield places, text_features.beside(vectors_BD, chosen) if self.text_features else vectors_BD

    @property
    def dims(self) -> int:
        """The length of an embedding, without the features of the text."""
        return int(cast("int", self.backbone.config.hidden_size))  # type: ignore[union-attr]

    def fingerprint(self) -> str:
        """sha256 of everything a vector depends on: weights, tokenizer, truncation, pooling, features of the text."""
        beside = [text_features.identity()] if self.text_features else []
        digest = hashlib.sha256(json.dumps([self.tokenizer.to_str(), self.max_tokens, self.pooling, *beside]).encode())
        for name, weight in sorted(self.backbone.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().contiguous().to(torch.float32).numpy().tobytes())
        return digest.hexdigest()


def load(name: str | Path, *, max_tokens: int, text_features: bool = False) -> Encoder:
    """The encoder `name`: a local folder or a Hugging Face name. text_features: see `Encoder`.

    Raises EncoderUnknown where transformers cannot load it, or it has no fast tokenizer.
    """
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # a tenth of a second of work, a line of noise in every log
    logging.set_verbosity_error()  # it warns of the pooling layer's missing weights, which we never use
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(name), use_fast=True)
        backbone = AutoModel.from_pretrained(str(name), attn_implementation="eager", dtype=torch.float32)
    except (OSError, ValueError, ImportError) as exc:
        reason = str(exc).strip().splitlines()[0]
        raise EncoderUnknown(f"encoder {name}: {reason}", next_step="Set train.encoder to a Hugging Face name or a local folder.") from exc
    if not getattr(tokenizer, "is_fast", False):
        raise EncoderUnknown(f"encoder {name}: it has no fast tokenizer.", next_step="Choose one that comes with a tokenizer.json.")
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None  # unused, and where a checkpoint lacks its weights they are drawn anew, which changes the fingerprint
    limit = getattr(backbone.config, "max_position_embeddings", max_tokens) or max_tokens
    pooling = pooling_of(Path(name), backbone.config.model_type)
    return Encoder(backbone, tokenizer.backend_tokenizer, max_tokens=min(max_tokens, limit), pooling=pooling, text_features=text_features)


def pooling_of(folder: Path, architecture: str) -> Pooling:
    """What sentence-transformers wrote beside the weights; else the first token for DeBERTa (as in the paper), the mean for others."""
    written = folder / "1_Pooling" / "config.json"
    if written.is_file():
        return "first" if json.loads(written.read_text())["pooling_mode_cls_token"] else "mean"
    return "first" if architecture.startswith("deberta") else "mean"
