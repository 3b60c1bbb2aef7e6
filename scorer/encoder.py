"""Query texts to vectors in training: any encoder that sentence-transformers reads, at unit norm, followed by features of the text."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from tokenizers import Tokenizer, normalizers
from torch import Tensor, nn

from scorer import text_features
from scorer.errors import EncoderUnknown
from scorer.texts import tail
from scorer.types import Floats

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

AFTER_THE_TOKENS = {"Pooling", "Dense", "LayerNorm", "Dropout", "Normalize"}  # the library's modules that go into the graph
POOLING_WORDS = {"mean": "mean", "cls": "first"}  # what these two are called in the fingerprints of embeddings that are cached


class Encoder(nn.Module):
    """Token ids in, unit-norm embeddings out; texts in, their vectors out.

    after: the library's modules that make one embedding of the tokens' states: a Pooling, perhaps a projection.
    tokenizer: truncates from the left to `max_tokens`: the end of a prompt says what is asked.
    prompt: stands before every text, as a part of the tokenizer. A text that leaves it no room is read without it.
    text_features: whether features of the text (`scorer.text_features`) follow its embedding in its vector.
    on: the device that it was wanted on, by torch's name or `auto`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        tokenizer: Tokenizer,
        after: Iterable[nn.Module],
        *,
        max_tokens: int,
        prompt: str = "",
        text_features: bool = False,
        on: str = "cpu",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.after = nn.ModuleList(after)
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        if prompt:
            before = [normalizers.Prepend(prompt), *filter(None, [self.tokenizer.normalizer])]
            self.tokenizer.normalizer = normalizers.Sequence(before)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_tokens, direction="left")
        self.max_tokens = max_tokens
        self.text_features = text_features
        self.on = on
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings (Q, D) of token ids (Q, T) under their mask (Q, T)."""
        states_QTD = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        features = {"token_embeddings": states_QTD, "attention_mask": attention_mask}
        for module in self.after:
            features = module(features)
        return nn.functional.normalize(features["sentence_embedding"], dim=-1)

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

    def embed_in_batches(self, texts: Sequence[str], *, batch_size: int = 32) -> Iterator[tuple[list[int], Floats]]:
        """Places in `texts` and their vectors, batch by batch."""
        for places in self.batches(texts, batch_size=batch_size):
            yield places, self.embed_batch([texts[place] for place in places])

    def batches(self, texts: Sequence[str], *, batch_size: int = 32) -> list[list[int]]:
        """Places in `texts`, alike lengths together (padding is paid for)."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    @torch.inference_mode()
    def embed_batch(self, texts: Sequence[str]) -> Floats:
        """Vectors (B, D) of texts that are embedded together."""
        device = next(self.parameters()).device
        vectors_BD = self(*(tensor.to(device) for tensor in self.batch(texts))).cpu().numpy().astype(np.float32)
        return text_features.beside(vectors_BD, texts) if self.text_features else vectors_BD

    def moved(self) -> "Encoder":
        """Itself, on the device that `on` names where this runs."""
        return self.to(_device(self.on))

    @property
    def dims(self) -> int:
        """The length of an embedding, without the features of the text."""
        sized = [module for module in self.after if hasattr(module, "get_embedding_dimension")]
        return int(cast("Any", sized[-1]).get_embedding_dimension())

    @property
    def pooling(self) -> str:
        """How the tokens' states become one embedding: `mean`, `first`, or the library's settings as JSON."""
        kinds = [{"kind": type(module).__name__, **cast("Any", module).get_config_dict()} for module in self.after]
        alone = kinds[0]["pooling_mode"] if len(kinds) == 1 else None
        return POOLING_WORDS.get(str(alone)) or json.dumps(kinds, sort_keys=True)

    def fingerprint(self) -> str:
        """sha256 of everything a vector depends on: weights, tokenizer with its prompt, truncation, pooling, features of the text."""
        beside = [text_features.identity()] if self.text_features else []
        digest = hashlib.sha256(json.dumps([self.tokenizer.to_str(), self.max_tokens, self.pooling, *beside]).encode())
        for part in (self.backbone, self.after):
            for name, weight in sorted(part.state_dict().items()):
                digest.update(name.encode())
                digest.update(weight.detach().contiguous().to("cpu", torch.float32).numpy().tobytes())
        return digest.hexdigest()


def load(name: str | Path, *, max_tokens: int, text_features: bool = False, prompt: str | None = None, device: str = "cpu") -> Encoder:
    """The encoder `name`: a local folder or a Hugging Face name, of sentence-transformers or of transformers alone.

    Without settings of sentence-transformers a DeBERTa is pooled by its first token (as in the paper), any other by the mean.
    prompt: what stands before each query; None takes what the encoder's own settings say for queries. device: torch's name, or `auto`.
    Raises EncoderUnknown where the library cannot load it, it has no fast tokenizer, or its modules cannot be served.
    """
    loaded, written = _loaded(name, _device(device))
    transformer, *after = loaded
    backbone, tokenizer = getattr(transformer, "auto_model", None), getattr(transformer, "tokenizer", None)
    if backbone is None or tokenizer is None:
        raise EncoderUnknown(f"encoder {name}: it begins with a {type(transformer).__name__}.", next_step="Choose a transformer of text.")
    if not getattr(tokenizer, "is_fast", False):
        raise EncoderUnknown(f"encoder {name}: it has no fast tokenizer.", next_step="Choose one that comes with a tokenizer.json.")
    unknown = [kind for module in after if (kind := type(module).__name__) not in AFTER_THE_TOKENS]
    if unknown or not after:
        what = f"its {unknown[0]} cannot be served" if unknown else "it has no pooling"
        raise EncoderUnknown(f"encoder {name}: {what}.", next_step=f"Served are {', '.join(sorted(AFTER_THE_TOKENS))}.")
    if type(after[-1]).__name__ == "Normalize":
        after.pop()  # the embedding is brought to unit norm here, whatever the encoder does
    if not written and backbone.config.model_type.startswith("deberta"):
        after = [type(after[0])(backbone.config.hidden_size, "cls")]
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None  # unused, and where a checkpoint lacks its weights they are drawn anew, which changes the fingerprint
    if prompt is None:
        prompt = loaded.prompts.get("query") or loaded.prompts.get(loaded.default_prompt_name or "") or ""
    if prompt and not getattr(after[0], "include_prompt", True):
        raise EncoderUnknown(f"encoder {name}: it pools without its prompt.", next_step="Choose another, or set its prompt to ''.")
    limit = loaded.max_seq_length or max_tokens
    return Encoder(
        backbone,
        tokenizer.backend_tokenizer,
        after,
        max_tokens=min(max_tokens, limit),
        prompt=prompt,
        text_features=text_features,
        on=device,
    )


def _loaded(name: str | Path, device: str) -> tuple["SentenceTransformer", bool]:
    """What the library reads, and whether it found settings of its own beside the weights."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import is_sentence_transformer_model
    from transformers.utils import logging

    getLogger("sentence_transformers").setLevel(ERROR)  # it warns that it takes the mean where nothing is written, which is documented
    logging.disable_progress_bar()  # a tenth of a second of work, a line of noise in every log
    logging.set_verbosity_error()  # it warns of the pooling layer's missing weights, which we never use
    try:
        written = is_sentence_transformer_model(str(name))
        loaded = SentenceTransformer(str(name), device=device, model_kwargs={"attn_implementation": "eager", "dtype": torch.float32})
    except (OSError, ValueError, ImportError, KeyError, TypeError, RuntimeError) as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise EncoderUnknown(f"encoder {name}: {reason}", next_step="Set train.encoder to a Hugging Face name or a local folder.") from exc
    return loaded, written


def _device(name: str) -> str:
    """Torch's name of the device: for `auto` the accelerator that is here, else the CPU."""
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return "cpu" if found is None else found.type
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as exc:
        reason = str(exc).strip().splitlines()[0]
        raise EncoderUnknown(f"device {name!r}: {reason}", next_step="Set train.device to auto, cpu, cuda or cuda:0.") from exc
    return name
