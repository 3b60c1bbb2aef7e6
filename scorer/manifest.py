"""What a scorer artifact says about itself, and which files it consists of (docs: ARCHITECTURE.md, "The scorer artifact")."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorer import text_features
from scorer.atomic_write import replacing
from scorer.errors import ArtifactRefused
from scorer.strict_json import parse, typed

SCHEMA_VERSION = 3
MANIFEST = "manifest.json"
WEIGHTS = "scorer.safetensors"
ENCODERS = {"fp32": "encoder.onnx", "int8": "encoder.int8.onnx"}
TOKENIZER = "tokenizer.json"
CALIBRATION = "calibration.json"
ROSTER = "roster.json"
REFERENCE = "reference.npz"
PROBES = "probes.json"
RECORDED_CALLS = "recorded_calls.json"
OPTIONAL = frozenset({RECORDED_CALLS})  # artifacts that were written before lack it

MEBIBYTE = 1 << 20
MOST_BYTES: Mapping[str, int] = {
    WEIGHTS: 64 * MEBIBYTE,
    ENCODERS["fp32"]: 2048 * MEBIBYTE,
    ENCODERS["int8"]: 1024 * MEBIBYTE,
    TOKENIZER: 64 * MEBIBYTE,
    CALIBRATION: MEBIBYTE,
    ROSTER: MEBIBYTE,
    REFERENCE: 128 * MEBIBYTE,
    PROBES: MEBIBYTE,
    RECORDED_CALLS: MEBIBYTE,
    MANIFEST: MEBIBYTE,
}
FIELDS = ("schema_version", "roster", "encoder", "files", "int8", "dataset_sha256", "git_commit", "metrics")
NEXT = "Train and register the scorer again (`dvc repro`), or roll back to the previous version."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact says about itself.

    files: sha256 of every other file. encoder: name, fingerprint (of the weights it was exported from), max_tokens, dims of an
    embedding, and text_features: the identity of the features that follow it in a query's vector (null or absent: none do).
    int8: `tolerance`, how far an int8 score may be from the fp32 score of the same probe text; `difference`, how far it was, and
    `machine`, on which processor, with which instructions and onnxruntime.
    dataset_sha256: of the files of the dataset it was trained on; git_commit: of the code. metrics: flat numbers from training.
    """

    roster: tuple[str, ...]
    encoder: Mapping[str, Any]
    files: Mapping[str, str]
    int8: Mapping[str, Any]
    dataset_sha256: str = ""
    git_commit: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def content_hash(self) -> str:
        """One hash of everything that decides what this scorer answers: equal artifacts have equal hashes, whoever made them, whenever."""
        return hashlib.sha256(json.dumps(dict(self.files), sort_keys=True).encode()).hexdigest()

    @property
    def max_tokens(self) -> int:
        """How many tokens of a query the encoder reads."""
        return int(self.encoder["max_tokens"])

    @property
    def text_features(self) -> bool:
        """Whether a query's vector is its embedding followed by features of its text (`scorer.text_features`)."""
        return self.encoder.get("text_features") is not None

    @property
    def dims(self) -> int:
        """The length of an embedding: what drift is measured on."""
        return int(self.encoder["dims"])

    @property
    def tolerance(self) -> float:
        """The largest difference allowed between an int8 score and the fp32 score of the same text."""
        return float(self.int8["tolerance"])

    def as_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps({name: getattr(self, name) for name in FIELDS}, indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_manifest(
    folder: Path,
    *,
    roster: tuple[str, ...],
    encoder: Mapping[str, Any],
    int8: Mapping[str, Any],
    dataset_sha256: str = "",
    git_commit: str = "",
    metrics: Mapping[str, float] | None = None,
) -> Manifest:
    """Hashes the files in `folder`, writes its manifest last (a half-written artifact has none), and returns it."""
    files = {
        name: sha256(folder / name)
        for name in sorted(MOST_BYTES)
        if name != MANIFEST and (name not in OPTIONAL or (folder / name).exists())
    }
    manifest = Manifest(roster, dict(encoder), files, dict(int8), dataset_sha256, git_commit, dict(metrics or {}))
    with replacing(folder / MANIFEST) as partial:
        partial.write_text(manifest.as_json(), encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """manifest.json, checked for itself; the files it names are not opened. Raises ArtifactRefused."""
    path = folder / MANIFEST
    content = parse(path)
    version = content.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ArtifactRefused(f"{path}: schema_version {version!r}, this code reads {SCHEMA_VERSION}.", next_step=NEXT)
    if set(content) != set(FIELDS):
        raise ArtifactRefused(f"{path}: fields {', '.join(sorted(set(content) ^ set(FIELDS)))} missing or unknown.", next_step=NEXT)
    metrics = typed(path, content, "metrics", dict)
    if not all(isinstance(value, int | float) for value in metrics.values()):
        raise ArtifactRefused(f"{path}: a metric is not a number.", next_step=NEXT)
    return Manifest(
        roster=tuple(typed(path, content, "roster", list)),
        encoder=_encoder(path, content),
        files=_files(path, content),
        int8=_int8(path, content),
        dataset_sha256=typed(path, content, "dataset_sha256", str),
        git_commit=typed(path, content, "git_commit", str),
        metrics=metrics,
        schema_version=version,
    )


def _files(path: Path, content: dict[str, Any]) -> dict[str, str]:
    files: dict[str, str] = typed(path, content, "files", dict)
    if difference := sorted((set(files) ^ (set(MOST_BYTES) - {MANIFEST})) - (OPTIONAL - set(files))):
        raise ArtifactRefused(f"{path}: names other files than an artifact has: {', '.join(difference)}.", next_step=NEXT)
    if not all(isinstance(value, str) and len(value) == 64 for value in files.values()):
        raise ArtifactRefused(f"{path}: a file's sha256 is not 64 hexadecimal digits.", next_step=NEXT)
    return files


def _encoder(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    encoder: dict[str, Any] = typed(path, content, "encoder", dict)
    for key, kind in (("name", str), ("fingerprint", str), ("max_tokens", int), ("dims", int)):
        typed(path, encoder, key, kind)
    written, ours = encoder.get("text_features"), text_features.identity()
    if written not in {None, ours}:
        raise ArtifactRefused(f"{path}: encoder.text_features is {written!r}, this code has {ours!r}.", next_step=NEXT)
    if not 1 <= encoder["max_tokens"] <= 65536 or not 1 <= encoder["dims"] <= 16384:
        raise ArtifactRefused(f"{path}: encoder.max_tokens or encoder.dims out of range.", next_step=NEXT)
    return encoder


def _int8(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    int8: dict[str, Any] = typed(path, content, "int8", dict)
    for key in ("tolerance", "difference"):
        if not 0 <= typed(path, int8, key, float) <= 1:
            raise ArtifactRefused(f"{path}: int8.{key} is {int8[key]!r}, not within [0, 1].", next_step=NEXT)
    typed(path, int8, "machine", dict)
    return int8


def sha256(path: Path) -> str:
    """Of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_checked(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The bytes of a file, hashed again: what is used is what was verified, even if the file changed in between."""
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
        raise ArtifactRefused(f"{folder / name}: changed after it was verified.", next_step=NEXT)
    return content
