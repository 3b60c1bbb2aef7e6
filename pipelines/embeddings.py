"""Embeddings of queries: by the encoder that is trained on, or as a server has it; none is computed twice (`pipelines.vector_cache`)."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import scorer.text_features
from pipelines import vector_cache
from pipelines.embedding_work import InBatches, OneByOne, ServedEncoder
from pipelines.executor import door
from pipelines.params import EncoderChoice, Train
from scorer.errors import EncoderUnknown
from scorer.types import Floats

if TYPE_CHECKING:
    from scorer.encoder import Encoder
    from scorer.manifest import Manifest
    from scorer.runtime import OnnxEncoder, Precision

PACKAGED = "packaged:"
BATCHES, TEXTS = 4, 64  # of a shard, where embedding is spread: half a second of work


def load_encoder(settings: Train, choice: EncoderChoice | None = None) -> "Encoder":
    """An encoder that `train.encoder` names, the first where `choice` names none; `packaged:NAME` is one of pipelines/packages.yaml.

    Its vectors hold text features unless they are switched off: where they are chosen by training, training leaves them out again.
    Raises EncoderUnknown, at once where it lies on a hub that cannot be reached.
    """
    from scorer import encoder

    choice = choice or settings.encoders[0]
    features = settings.text_features is not False
    place = _place(choice.name)
    return encoder.load(place, max_tokens=settings.max_tokens, text_features=features, prompt=choice.prompt, device=settings.device)


def _place(name: str) -> str | Path:
    """Where an encoder's files are: in the cache of packages, in a folder, in the hub's cache, or on the hub."""
    from pipelines import hub, packages

    if name.startswith(PACKAGED):
        return packages.encoder_folder(name.removeprefix(PACKAGED))
    if Path(name).is_dir():
        return name
    if reason := hub.out_of_reach():
        kept = hub.kept(name)
        if kept is None:
            packaged = ", ".join(f"{PACKAGED}{each}" for each in packages.encoder_names())
            raise EncoderUnknown(
                f"encoder {name}: no folder of that name, nothing of it in the hub's cache, and the hub is out of reach ({reason}).",
                next_step=f"Set train.encoder to one that comes out of a package ({packaged}) or to a local folder, or name a mirror of "
                "the hub with HF_ENDPOINT.",
            )
        return kept
    return name


def trained_on(encoder: "Encoder", texts: Sequence[str], cache: Path) -> Floats:
    """Embeddings of `texts` by the encoder that training sees (fp32)."""

    def in_batches(missing: list[str]) -> Iterator[tuple[Sequence[int], Floats]]:
        batches = encoder.batches(missing)
        as_texts = [[missing[place] for place in places] for places in batches]
        for at, vectors_BD in door.chosen().map(InBatches(encoder), as_texts, size=BATCHES, gpu=encoder.on != "cpu"):
            yield batches[at], vectors_BD

    return vector_cache.vectors(cache / encoder.fingerprint()[:16] / "fp32", texts, in_batches, "embedding queries")


def served(encoder: ServedEncoder, texts: Sequence[str], cache: Path) -> Floats:
    """Embeddings of `texts` as a server computes them."""

    def one_by_one(missing: list[str]) -> Iterator[tuple[Sequence[int], Floats]]:
        for place, vector_1D in door.chosen().map(OneByOne(encoder), missing, size=TEXTS):
            yield [place], vector_1D

    return vector_cache.vectors(cache / "served" / encoder.identity[:16], texts, one_by_one, "embedding queries as served")


def identity(graph: str, tokenizer: str, max_tokens: int, *, text_features: bool) -> str:
    """A hash of all that decides a served embedding: the sha256 of graph and tokenizer, the cut, the version of the text features."""
    return hashlib.sha256(
        f"{graph} {tokenizer} {max_tokens} {scorer.text_features.identity() if text_features else ''}".encode()
    ).hexdigest()


def int8_encoder(encoder: "Encoder", folder: Path) -> ServedEncoder:
    """The encoder as a server has it, read from the `folder` that `exported` made."""
    from scorer.manifest import ENCODERS, TOKENIZER, sha256

    graph, tokenizer = folder / ENCODERS["int8"], folder / TOKENIZER
    known_by = identity(sha256(graph), sha256(tokenizer), encoder.max_tokens, text_features=encoder.text_features)
    return ServedEncoder(graph, tokenizer, encoder.max_tokens, encoder.text_features, known_by)


def as_served(
    folder: Path, manifest: "Manifest", precision: "Precision", cache: Path, *, loaded: "OnnxEncoder | None" = None
) -> Callable[[Sequence[str]], Floats]:
    """Embeds texts as a server of the verified artifact in `folder` would, at that precision. `loaded`: its encoder, if in memory."""
    from scorer import runtime
    from scorer.manifest import ENCODERS, TOKENIZER

    graph, tokenizer = (manifest.files[name] for name in (ENCODERS[precision], TOKENIZER))
    known_by = identity(graph, tokenizer, manifest.max_tokens, text_features=manifest.text_features)
    encoder = ServedEncoder(
        folder / ENCODERS[precision],
        folder / TOKENIZER,
        manifest.max_tokens,
        manifest.text_features,
        known_by,
        loaded or runtime.load_encoder(folder, manifest, precision=precision),
    )
    return lambda texts: served(encoder, texts, cache)


def exported(encoder: "Encoder", cache: Path) -> Path:
    """Folder of `encoder` exported to ONNX, made once per encoder and exporter."""
    from scorer import export

    folder = cache / encoder.fingerprint()[:16] / f"onnx-{export.identity()}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            export.export_encoder(encoder, Path(temporary) / "made")
            shutil.move(Path(temporary) / "made", folder)
    return folder
