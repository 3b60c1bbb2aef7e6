"""A scorer artifact on disk, opened once: every file checked and parsed before any of it is used.

`reference.npz` is the profile drift is measured against (R sampled training queries, H held-out ones, L LLMs, D dims):

- `queries_RD` float16, `scores_RL` float32, `domains_R`: training queries as the served encoder (int8) embeds and scores them
- `held_queries_HD`, `held_scores_HL`, `held_domains_H`: calibration and validation queries; no weight was fitted on them, so they
  show how far apart queries of the same distribution are

`scorer.safetensors` holds the float32 arrays of `scorer.weights.HeadWeights`, and of its `Trust` where it has one.
`probes.json` holds a few texts with their fp32 scores (`scorer.probes`), `recorded_calls.json` what the LLMs' recorded answers took.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer import artifact_files as read
from scorer.artifact_files import Probes
from scorer.errors import ArtifactRefused
from scorer.manifest import MANIFEST, MOST_BYTES, NEXT, OPTIONAL, Manifest, read_manifest, sha256
from scorer.recorded_calls import RecordedCalls, read_recorded_calls
from scorer.weights import Calibration, HeadWeights


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A sound artifact. answers: constants by which the pool's answers are weighed; reference: arrays by name.

    recorded_calls: by LLM id, for those with recorded answers.
    """

    folder: Path
    manifest: Manifest
    weights: HeadWeights
    calibration: Calibration
    answers: Mapping[str, float]
    probes: Probes
    reference: Mapping[str, Any]
    recorded_calls: Mapping[str, RecordedCalls]


def open(folder: Path) -> Artifact:  # noqa: A001 - `artifact.open(folder)` reads as what it does
    """The artifact in `folder`, each file parsed once. The encoder's graphs are checked, but not loaded (`scorer.runtime`).

    Raises ArtifactRefused, naming file and reason, where a file is missing, extra, changed, a link, too large or malformed, or
    holds anything but plain numbers and text. Executes nothing from the folder.
    """
    check_listing(folder)
    manifest = read_manifest(folder)
    _check_optional(folder, manifest)
    for name in manifest.files:
        if sha256(folder / name) != manifest.files[name]:
            raise ArtifactRefused(f"{folder / name}: its sha256 is not the one in {MANIFEST}.", next_step=NEXT)
    read.refuse_pickles(folder, manifest)
    read.read_roster(folder, manifest)
    weights = read.read_weights(folder, manifest)
    calibration = read.read_calibration(folder, manifest)
    answers = read.read_answers(folder)
    probes = read.read_probes(folder, manifest)
    reference = read.read_reference(folder, manifest)
    recorded_calls = read_recorded_calls(folder, manifest)
    read.check_graphs(folder)
    return Artifact(folder, manifest, weights, calibration, answers, probes, reference, recorded_calls)


def verify(folder: Path) -> Manifest:
    """The manifest of a sound artifact in `folder`; raises as `open` does."""
    return open(folder).manifest


def check_listing(folder: Path) -> None:
    """The artifact's files and no other, each a regular file of a sensible size."""
    if folder.is_symlink() or not folder.is_dir():
        raise ArtifactRefused(f"{folder}: not a folder.", next_step=NEXT)
    listing = {path.name: path for path in folder.iterdir()}
    for name, path in sorted(listing.items()):
        if name not in MOST_BYTES:
            raise ArtifactRefused(f"{path}: does not belong in a scorer artifact.", next_step=NEXT)
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactRefused(f"{path}: not a regular file.", next_step=NEXT)
        if not 0 < status.st_size <= MOST_BYTES[name]:
            raise ArtifactRefused(f"{path}: {status.st_size} bytes, allowed are 1 to {MOST_BYTES[name]}.", next_step=NEXT)
    if missing := sorted(set(MOST_BYTES) - OPTIONAL - set(listing)):
        raise ArtifactRefused(f"{folder}: {', '.join(missing)} missing.", next_step=NEXT)


def _check_optional(folder: Path, manifest: Manifest) -> None:
    """What an artifact may lack is there exactly where its manifest names it: no file is read unhashed."""
    for name in sorted(OPTIONAL):
        if (folder / name).exists() != (name in manifest.files):
            state = "is missing" if name in manifest.files else f"is not named in {MANIFEST}"
            raise ArtifactRefused(f"{folder / name}: {state}.", next_step=NEXT)
