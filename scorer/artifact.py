"""The scorer artifact on disk: which files, what each may hold, and the checks that come before any byte of it is used.

`reference.npz` is the profile drift is measured against (R sampled training queries, H held-out ones, L LLMs, D dims):

- `queries_RD` float16, `scores_RL` float32, `domains_R`, `query_ids_R`: training queries as the served encoder (int8) sees them
- `held_queries_HD`, `held_scores_HL`, `held_domains_H`, `held_query_ids_H`: calibration and validation queries, the honest null
  sample (no weight was fitted on them)
- `neighbour_distances_Q`: quantiles 0, .01, ... 1 of each held-out query's mean cosine distance to its `neighbours` nearest training
  queries; `neighbours`: that k, a scalar

`scorer.safetensors` holds the float32 arrays of `scorer.weights.Weights`, and of its `Fallback` where it has one.
"""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorer import text_features
from scorer.atomic_write import replacing
from scorer.errors import ArtifactRefused
from scorer.strict_json import parse, typed

SCHEMA_VERSION = 2  # written; read is also 1, whose scorers do not fall back far from what they were trained on
READABLE = (1, SCHEMA_VERSION)
MANIFEST = "manifest.json"
WEIGHTS = "scorer.safetensors"
ENCODERS = {"fp32": "encoder.onnx", "int8": "encoder.int8.onnx"}
TOKENIZER = "tokenizer.json"
CALIBRATION = "calibration.json"
ROSTER = "roster.json"
REFERENCE = "reference.npz"

MEBIBYTE = 1 << 20
MOST_BYTES: Mapping[str, int] = {
    WEIGHTS: 64 * MEBIBYTE,
    ENCODERS["fp32"]: 2048 * MEBIBYTE,
    ENCODERS["int8"]: 1024 * MEBIBYTE,
    TOKENIZER: 64 * MEBIBYTE,
    CALIBRATION: MEBIBYTE,
    ROSTER: MEBIBYTE,
    REFERENCE: 128 * MEBIBYTE,
    MANIFEST: MEBIBYTE,
}
FIELDS = ("schema_version", "roster", "encoder", "files", "data_hash", "git_commit", "metrics")
NEXT = "Train and register the scorer again (`dvc repro`), or roll back to the previous version."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact says about itself.

    files: sha256 of every other file. encoder: name, fingerprint (of the weights it was exported from), max_tokens, dims of an
    embedding, and looks: the identity of the text's looks that stand after it in a query's vector (null or absent: none do).
    data_hash: of the dataset it was trained on; git_commit: of the code. metrics: flat numbers from training.
    """

    roster: tuple[str, ...]
    encoder: Mapping[str, Any]
    files: Mapping[str, str]
    data_hash: str = ""
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
    def looks(self) -> bool:
        """Whether a query's vector is its embedding with the text's looks after it (`scorer.text_features`)."""
        return self.encoder.get("looks") is not None

    @property
    def dims(self) -> int:
        """The length of an embedding: what drift is measured on."""
        return int(self.encoder["dims"])

    def as_json(self) -> str:
        """The text of manifest.json."""
        written = {
            name: getattr(self, name) for name in ("schema_version", "roster", "encoder", "files", "data_hash", "git_commit", "metrics")
        }
        return json.dumps(written, indent=2, sort_keys=True, allow_nan=False) + "\n"


def write_manifest(
    folder: Path,
    *,
    roster: tuple[str, ...],
    encoder: Mapping[str, Any],
    data_hash: str = "",
    git_commit: str = "",
    metrics: Mapping[str, float] | None = None,
) -> Manifest:
    """Hashes what lies in `folder`, writes its manifest last (a half-written artifact has none), and returns it."""
    files = {name: sha256(folder / name) for name in sorted(MOST_BYTES) if name != MANIFEST}
    manifest = Manifest(roster, dict(encoder), files, data_hash, git_commit, dict(metrics or {}))
    with replacing(folder / MANIFEST) as partial:
        partial.write_text(manifest.as_json(), encoding="utf-8")
    return manifest


def verify(folder: Path) -> Manifest:
    """The manifest of a sound artifact in `folder`.

    Raises ArtifactRefused, naming file and reason, where a file is missing, extra, changed, a link, too large or malformed, or
    holds anything but plain numbers and text. Executes nothing from the folder.
    """
    from scorer import artifact_checks

    check_listing(folder)
    manifest = read_manifest(folder)
    for name in manifest.files:
        if sha256(folder / name) != manifest.files[name]:
            raise ArtifactRefused(f"{folder / name}: its sha256 is not the one in {MANIFEST}.", next_step=NEXT)
    artifact_checks.check(folder, manifest)
    return manifest


def check_listing(folder: Path) -> None:
    """Exactly the artifact's files, each a regular file of a sensible size."""
    if folder.is_symlink() or not folder.is_dir():
        raise ArtifactRefused(f"{folder}: not a folder.", next_step=NEXT)
    found = {path.name: path for path in folder.iterdir()}
    for name, path in sorted(found.items()):
        if name not in MOST_BYTES:
            raise ArtifactRefused(f"{path}: does not belong in a scorer artifact.", next_step=NEXT)
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactRefused(f"{path}: not a regular file.", next_step=NEXT)
        if not 0 < status.st_size <= MOST_BYTES[name]:
            raise ArtifactRefused(f"{path}: {status.st_size} bytes, allowed are 1 to {MOST_BYTES[name]}.", next_step=NEXT)
    if missing := sorted(set(MOST_BYTES) - set(found)):
        raise ArtifactRefused(f"{folder}: {', '.join(missing)} missing.", next_step=NEXT)


def read_manifest(folder: Path) -> Manifest:
    """manifest.json in its types; the files it names are not looked at."""
    path = folder / MANIFEST
    written = parse(path)
    version = written.get("schema_version")
    if type(version) is not int or version not in READABLE:
        raise ArtifactRefused(f"{path}: schema_version {version!r}, this code reads {' and '.join(map(str, READABLE))}.", next_step=NEXT)
    if set(written) != set(FIELDS):
        raise ArtifactRefused(f"{path}: fields {', '.join(sorted(set(written) ^ set(FIELDS)))} missing or unknown.", next_step=NEXT)
    files = typed(path, written, "files", dict)
    if set(files) != set(MOST_BYTES) - {MANIFEST}:
        odd = ", ".join(sorted(set(files) ^ (set(MOST_BYTES) - {MANIFEST})))
        raise ArtifactRefused(f"{path}: names other files than an artifact has: {odd}.", next_step=NEXT)
    if not all(isinstance(value, str) and len(value) == 64 for value in files.values()):
        raise ArtifactRefused(f"{path}: a file's sha256 is not 64 hexadecimal digits.", next_step=NEXT)
    encoder = typed(path, written, "encoder", dict)
    for key, kind in (("name", str), ("fingerprint", str), ("max_tokens", int), ("dims", int)):
        typed(path, encoder, key, kind)
    if encoder.get("looks") not in {None, text_features.identity()}:
        raise ArtifactRefused(f"{path}: encoder.looks is {encoder['looks']!r}, this code has {text_features.identity()!r}.", next_step=NEXT)
    if not 1 <= encoder["max_tokens"] <= 65536 or not 1 <= encoder["dims"] <= 16384:
        raise ArtifactRefused(f"{path}: encoder.max_tokens or encoder.dims out of range.", next_step=NEXT)
    metrics = typed(path, written, "metrics", dict)
    if not all(isinstance(value, int | float) for value in metrics.values()):
        raise ArtifactRefused(f"{path}: a metric is not a number.", next_step=NEXT)
    return Manifest(
        roster=tuple(typed(path, written, "roster", list)),
        encoder=encoder,
        files=files,
        data_hash=typed(path, written, "data_hash", str),
        git_commit=typed(path, written, "git_commit", str),
        metrics=metrics,
        schema_version=version,
    )


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
