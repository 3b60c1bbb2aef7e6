"""What a backup holds, with checksums: a backup without a manifest was interrupted, one that differs from it was damaged."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from registry.errors import BackupFailed
from scorer.atomic_write import replacing

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """at: UTC, ISO 8601. release: of the platform. sha256: of every file, by its path in the backup.

    Raises BackupFailed where a path is not plainly one below a folder: a restore writes it below a project.
    """

    at: str
    release: str
    sha256: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuses such paths."""
        for name in self.sha256:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or path.as_posix() != name:
                raise BackupFailed(
                    f"{NAME} lists {name!r}: no path below a backup.",
                    next_step="Rename a file with a backslash; take another backup.",
                )

    def write(self, folder: Path) -> None:
        """As the last file of a backup."""
        with replacing(folder / NAME) as partial:
            partial.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    def below(self, place: str) -> list[str]:
        """The paths below a folder of the backup, without it."""
        return [name.removeprefix(f"{place}/") for name in self.sha256 if name.startswith(f"{place}/")]


def of(folder: Path, at: str) -> Manifest:
    """Of what lies in `folder` now."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return Manifest(at, metadata.version("routemoa"), {name: _sha256(path) for name, path in files.items() if name != NAME})


def read(folder: Path) -> Manifest:
    """The backup in `folder`, every file of it compared with its checksum. Raises BackupFailed."""
    if not folder.is_dir():
        raise BackupFailed(f"{folder} is no folder.", next_step="Name the folder that `routemoa backup` wrote.")
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        found = Manifest(str(content["at"]), str(content["release"]), dict(content["sha256"]))
    except OSError as exc:
        raise BackupFailed(f"{folder} holds no {NAME}: it is no backup, or one that was interrupted.", next_step="Take another.") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise BackupFailed(f"{folder / NAME} cannot be read: {exc}", next_step="Take another backup.") from exc
    if content.get("format") != FORMAT:
        raise BackupFailed(f"{folder} is of format {content.get('format')}, this release reads {FORMAT}.", next_step="Use its own release.")
    for name, expected in found.sha256.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or _sha256(path) != expected:
            raise BackupFailed(f"{path} is missing or is not what was backed up.", next_step="Take another backup.")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
