"""Embeddings of queries, cached by content: a text is embedded once per encoder, whatever splits or labels change.

One file per encoder state and precision: text hashes and their vectors, replaced whole by atomic rename, so it is never half written.
"""

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import scorer.text_features
from pipelines.params import EncoderChoice, Train
from scorer.atomic_write import replacing
from scorer.errors import EncoderUnknown
from scorer.types import Floats

if TYPE_CHECKING:
    from scorer.encoder import Encoder
    from scorer.manifest import Manifest
    from scorer.runtime import OnnxEncoder, Precision

PACKAGED = "packaged:"
SAVE_EVERY_S = 60.0  # a killed run loses at most this much embedding
Batches = Callable[[list[str]], Iterable[tuple[Sequence[int], Floats]]]  # places in the texts, and their vectors


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
    return _cached(cache / encoder.fingerprint()[:16] / "fp32.npz", texts, encoder.embed_in_batches, "embedding queries")


def served(encoder: "OnnxEncoder", identity: str, texts: Sequence[str], cache: Path) -> Floats:
    """Embeddings of `texts` as a server computes them; `identity` is that of its encoder."""

    def one_by_one(missing: list[str]) -> Iterator[tuple[Sequence[int], Floats]]:
        for place, text in enumerate(missing):
            yield [place], encoder.embed([text])

    return _cached(cache / "served" / f"{identity[:16]}.npz", texts, one_by_one, "embedding queries as served")


def identity(graph: str, tokenizer: str, max_tokens: int, *, text_features: bool) -> str:
    """A hash of all that decides a served embedding: the sha256 of graph and tokenizer, the cut, the version of the text features."""
    return hashlib.sha256(
        f"{graph} {tokenizer} {max_tokens} {scorer.text_features.identity() if text_features else ''}".encode()
    ).hexdigest()


def int8_encoder(encoder: "Encoder", folder: Path) -> tuple["OnnxEncoder", str]:
    """The encoder as a server has it, read from the `folder` that `exported` made, and its identity for `served`."""
    from scorer import runtime
    from scorer.manifest import ENCODERS, TOKENIZER, sha256

    graph, tokenizer = folder / ENCODERS["int8"], folder / TOKENIZER
    made = runtime.OnnxEncoder(
        graph.read_bytes(), tokenizer.read_bytes(), max_tokens=encoder.max_tokens, text_features=encoder.text_features
    )
    return made, identity(sha256(graph), sha256(tokenizer), encoder.max_tokens, text_features=encoder.text_features)


def as_served(
    folder: Path, manifest: "Manifest", precision: "Precision", cache: Path, *, loaded: "OnnxEncoder | None" = None
) -> Callable[[Sequence[str]], Floats]:
    """Embeds texts as a server of the verified artifact in `folder` would, at that precision. `loaded`: its encoder, if in memory."""
    from scorer import runtime
    from scorer.manifest import ENCODERS, TOKENIZER

    encoder = loaded or runtime.load_encoder(folder, manifest, precision=precision)
    graph, tokenizer = manifest.files[ENCODERS[precision]], manifest.files[TOKENIZER]
    encoder_identity = identity(graph, tokenizer, manifest.max_tokens, text_features=manifest.text_features)
    return lambda texts: served(encoder, encoder_identity, texts, cache)


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


def _cached(path: Path, texts: Sequence[str], compute: Batches, title: str) -> Floats:
    vectors = _read(path)
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
    if missing:
        places = list(missing)
        saved = time.monotonic()
        for batch, vectors_BD in _with_bar(compute(list(missing.values())), len(missing), title):
            vectors.update((places[place], vector_D) for place, vector_D in zip(batch, vectors_BD, strict=True))
            if time.monotonic() - saved > SAVE_EVERY_S:
                _write(path, vectors)
                saved = time.monotonic()
        _write(path, vectors)
    return np.stack([vectors[key] for key in keys])


def _read(path: Path) -> dict[bytes, Floats]:
    """What the cache holds; a file that cannot be read is as good as none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(zip(map(bytes, arrays["keys_N32"]), arrays["vectors_ND"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def _write(path: Path, vectors: dict[bytes, Floats]) -> None:
    keys_N32 = np.array([list(key) for key in vectors], dtype=np.uint8)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, keys_N32=keys_N32, vectors_ND=np.stack(list(vectors.values())))


def _with_bar(batches: Iterable[tuple[Sequence[int], Floats]], total: int, title: str) -> Iterator[tuple[Sequence[int], Floats]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        for batch, vectors_BD in batches:
            yield batch, vectors_BD
            progress.advance(task, len(batch))
