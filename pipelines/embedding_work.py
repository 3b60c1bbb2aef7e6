"""What embeds a shard of texts, as an executor applies it: an encoder that may travel to another process."""

import copy
import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.types import Floats

if TYPE_CHECKING:
    from scorer.encoder import Encoder
    from scorer.runtime import OnnxEncoder


@dataclass(frozen=True, eq=False)
class InBatches:
    """Batches of texts to their vectors, as training sees them; where it arrives it takes the device that the encoder is wanted on."""

    encoder: "Encoder"

    def __call__(self, batches: Sequence[Sequence[str]]) -> Iterator[tuple[int, Floats]]:
        """Each batch's place and its vectors (B, D)."""
        for at, texts in enumerate(batches):
            yield at, self.encoder.embed_batch(texts)
            _give_back()

    def __reduce__(self) -> tuple[Callable[..., "InBatches"], tuple[Any, ...]]:
        on_cpu = self.encoder if self.encoder.on == "cpu" else copy.deepcopy(self.encoder).to("cpu")
        return _arrived, (on_cpu,)


def _give_back() -> None:
    """What is freed goes back to the system, where its C library can (glibc).

    Batches come in growing lengths, so none fits into what an earlier one left: 370 MB stayed behind in 10,000 queries.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _arrived(encoder: "Encoder") -> InBatches:
    return InBatches(encoder.moved())


@dataclass(frozen=True, eq=False)
class ServedEncoder:
    """An exported encoder: where its graph and tokenizer are, and the hash of all that decides a vector (`embeddings.identity`)."""

    graph: Path
    tokenizer: Path
    max_tokens: int
    text_features: bool
    identity: str
    loaded: "OnnxEncoder | None" = None

    @cached_property
    def encoder(self) -> "OnnxEncoder":
        """It in memory."""
        return self.loaded or _read(self.graph.read_bytes(), self.tokenizer.read_bytes(), self.max_tokens, features=self.text_features)


@dataclass(frozen=True, eq=False)
class OneByOne:
    """Texts to their vectors, as a server computes them."""

    served: ServedEncoder

    def __call__(self, texts: Sequence[str]) -> Iterator[tuple[int, Floats]]:
        """Each text's place and its vector (1, D)."""
        for at, text in enumerate(texts):
            yield at, self.served.encoder.embed([text])

    def __reduce__(self) -> tuple[Callable[..., "OneByOne"], tuple[Any, ...]]:
        of = self.served
        return _unpacked, (of.graph.read_bytes(), of.tokenizer.read_bytes(), of.max_tokens, of.text_features, of.identity)


def _unpacked(graph: bytes, tokenizer: bytes, max_tokens: int, text_features: bool, identity: str) -> OneByOne:
    loaded = _read(graph, tokenizer, max_tokens, features=text_features)
    return OneByOne(ServedEncoder(Path(), Path(), max_tokens, text_features, identity, loaded))


def _read(graph: bytes, tokenizer: bytes, max_tokens: int, *, features: bool) -> "OnnxEncoder":
    from scorer import runtime

    return runtime.OnnxEncoder(graph, tokenizer, max_tokens=max_tokens, text_features=features)
