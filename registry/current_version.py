"""`var/scorers/current.json`: which scorer version serves on this host. `registry.sync` writes it, every server reads it.

Beside it lie `shadow.json` and `canary.json` where there are such versions.
"""

import re
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from registry.canary_plan import CanaryPlan
from registry.validation_errors import explain
from scorer.atomic_write import replacing
from scorer.errors import ArtifactRefused, NothingPublished

NAME, SHADOW_NAME, CANARY_NAME = "current.json", "shadow.json", "canary.json"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FIRST = "Train the first by `dvc repro`, then `routemoa promote challenger`; if that is done, `python -m registry.sync` does not run here."
PUBLISH = "Start `python -m registry.sync`, and promote a version in MLflow."


class CurrentVersion(BaseModel):
    """folder: the name of the folder beside the file that holds the version's files. content_hash: of those files.

    certificate: the version's, as JSON (`registry.certificate.read`); empty where it has none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str = Field(min_length=1, max_length=64)
    folder: str
    published_at: str = ""
    content_hash: str = ""
    certificate: str = ""

    @field_validator("folder")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        if not PLAIN_NAME.fullmatch(value):
            raise ValueError("is not a plain name")
        return value


class PublishedCanary(CurrentVersion):
    """since: when it began to answer (ISO 8601, UTC)."""

    plan: CanaryPlan = CanaryPlan()
    since: str = ""


Published = TypeVar("Published", bound=CurrentVersion)


def read(path: Path) -> CurrentVersion:
    """What the file at `path` says. Raises ArtifactRefused where there is none, or where it does not name a published version."""
    return read_as(CurrentVersion, path)


def read_as(kind: type[Published], path: Path) -> Published:
    """The same of a file of that kind."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as exc:
        raise NothingPublished(f"{path}: no scorer is published on this host.", next_step=FIRST) from exc
    except OSError as exc:
        raise ArtifactRefused(f"{path}: cannot be read ({exc.strerror}).", next_step=PUBLISH) from exc
    except ValidationError as exc:
        raise ArtifactRefused(f"{path}: does not name a published scorer: {explain(exc, kind)}", next_step=PUBLISH) from exc


def write(path: Path, current: CurrentVersion) -> None:
    """Puts `current` in the place of what the file said; it survives a power cut."""
    with replacing(path, durable=True) as partial:
        partial.write_text(current.model_dump_json(), encoding="utf-8")
