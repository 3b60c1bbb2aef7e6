"""The active scorer: the version that `var/scorers/current.json` names, verified and loaded beside the one that answers."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mixture.choose.posterior import AgreementPosterior
from scorer.errors import ArtifactRefused
from scorer.runtime import Precision, RuntimeScorer, load

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PUBLISH = "Start `python -m registry.sync`, and promote a version in MLflow."


class CurrentVersion(BaseModel):
    """current.json: which version to serve, and the folder beside it that holds its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str = Field(min_length=1, max_length=64)
    folder: str
    published_at: str = ""


@dataclass(frozen=True, slots=True)
class Active:
    """One loaded scorer version; a request takes it once and uses nothing else. evidence: how its pool's answers are weighed."""

    version: str
    scorer: RuntimeScorer
    evidence: AgreementPosterior
    published_at: str
    loaded_at: float

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
            "data_hash": manifest.data_hash,
            "git_commit": manifest.git_commit,
            "metrics": dict(manifest.metrics),
        }


def read(current: Path, *, precision: Precision = "int8") -> Active:
    """The version that `current` names. Executes nothing from its files. Raises ArtifactRefused."""
    try:
        published = CurrentVersion.model_validate_json(current.read_bytes())
    except FileNotFoundError as exc:
        raise ArtifactRefused(f"{current}: no scorer is published on this host.", next_step=PUBLISH) from exc
    except (OSError, ValidationError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc.errors()[0]["msg"]
        raise ArtifactRefused(f"{current}: does not name a published scorer ({reason}).", next_step=PUBLISH) from exc
    if not PLAIN_NAME.fullmatch(published.folder):
        raise ArtifactRefused(f"{current}: folder {published.folder!r} is not a plain name.", next_step=PUBLISH)
    scorer = load(current.parent / published.folder, precision=precision)
    try:
        evidence = AgreementPosterior(**scorer.answers)
    except TypeError as exc:
        raise ArtifactRefused(
            f"{published.folder}/calibration.json: these constants weigh answers by another rule than this server's ({exc}).",
            next_step="Train a version with this code: `routemoa retrain`, then promote it.",
        ) from exc
    return Active(published.version, scorer, evidence, published.published_at, time.time())
