"""A loaded scorer version: that which `var/scorers/current.json` names, verified and loaded beside the one that answers."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixture.choose.posterior import AgreementPosterior
from monitoring.errors import ProfileRefused
from registry import certificate, current_version
from registry.certificate import Certificate
from registry.current_version import CurrentVersion
from scorer.errors import ArtifactRefused
from scorer.runtime import Precision, RuntimeScorer
from serving.scorers.familiarity import Familiarity
from serving.scorers.shared_encoders import Encoders


@dataclass(frozen=True, slots=True)
class Active:
    """One loaded scorer version; a request takes it once and uses nothing else.

    posterior: how its pool's answers are weighed. familiarity: what it was trained on.
    """

    version: str
    scorer: RuntimeScorer
    posterior: AgreementPosterior
    published_at: str
    loaded_at: float
    familiarity: Familiarity
    certificate: Certificate | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the console and /admin/scorer."""
        manifest = self.scorer.manifest
        return {
            "version": self.version,
            "roster": list(self.scorer.roster),
            "published_at": self.published_at,
            "loaded_at": self.loaded_at,
            "encoder": dict(manifest.encoder),
            "precision": self.scorer.precision,
            "precision_note": self.scorer.precision_note,
            "int8": dict(manifest.int8),
            "dataset_sha256": manifest.dataset_sha256,
            "git_commit": manifest.git_commit,
            "metrics": dict(manifest.metrics),
        }


def read(current: Path, *, precision: Precision = "int8", encoders: Encoders | None = None) -> Active:
    """The version that `current` names. Executes nothing from its files. Raises ArtifactRefused."""
    return loaded(current.parent, current_version.read(current), precision, encoders)


def newest_sound(current: Path, *, precision: Precision = "int8", encoders: Encoders | None = None) -> Active:
    """The version published last whose files are sound, called by its folder, where the one that `current` names cannot be loaded.

    Raises ArtifactRefused where there is none, or where nothing was ever published.
    """
    if not current.exists():
        raise ArtifactRefused(f"{current}: no scorer is published on this host.", next_step=current_version.PUBLISH)
    folders = [path for path in current.parent.iterdir() if path.is_dir() and current_version.PLAIN_NAME.fullmatch(path.name)]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(ArtifactRefused):
            return loaded(current.parent, CurrentVersion(version=folder.name, folder=folder.name), precision, encoders)
    raise ArtifactRefused(f"{current.parent}: no folder holds a sound scorer.", next_step=current_version.PUBLISH)


def loaded(scorers: Path, published: CurrentVersion, precision: Precision, encoders: Encoders | None = None) -> Active:
    """A published version. encoders: those of the versions loaded already. Raises ArtifactRefused."""
    scorer = (encoders or Encoders()).load(scorers / published.folder, precision=precision)
    try:
        posterior = AgreementPosterior(**scorer.answers)
    except TypeError as exc:
        raise ArtifactRefused(
            f"{published.folder}/calibration.json: these constants weigh answers by another rule than this server's ({exc}).",
            next_step="Train a version with this code: `routemoa retrain`, then promote it.",
        ) from exc
    try:
        familiarity = Familiarity.read(scorers / published.folder)
    except ProfileRefused as exc:
        raise ArtifactRefused(exc.what, next_step=exc.next_step) from exc
    certified = certificate.read(published.certificate)
    return Active(published.version, scorer, posterior, published.published_at, time.time(), familiarity, certified)
