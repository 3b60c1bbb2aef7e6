"""Takes a backup while everything runs."""

import sqlite3
from datetime import datetime
from pathlib import Path

from registry.backup import files, manifest, places, postgres
from registry.backup.manifest import Manifest
from registry.errors import BackupFailed
from registry.settings import Settings


def take(settings: Settings, folder: Path, *, now: datetime, storage: bool = True) -> Manifest:
    """Writes everything that the project keeps into the new folder `folder`, which only this user may read.

    Databases come first: whatever they name is in the files and the storage that are copied after them.
    storage: whether what lies in S3 is copied too; a bucket with versions of its own needs no copy.
    Raises BackupFailed, StorageFailed; what was written by then has no manifest.
    """
    home, kept = settings.home.resolve(), places.of(settings)
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise BackupFailed(f"{folder} is no folder.", next_step="Name a new one.")
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(f"{folder} is not empty.", next_step="Name a new folder.")
    if any(folder.is_relative_to(home / name) for name in files.KEPT):
        raise BackupFailed(f"{folder} is in what is backed up.", next_step="Name a folder elsewhere, best on another disk.")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, url in kept.databases.items():
        postgres.dump(url, folder / name)
    databases_first = sorted(files.names(home), key=lambda name: not name.endswith(".db"))
    for name in databases_first:
        try:
            files.copy(home / name, folder / "files" / name)
        except FileNotFoundError:  # removed meanwhile: an old scorer, a report
            continue
        except (OSError, sqlite3.Error) as exc:
            raise BackupFailed(f"{home / name}: {exc}", next_step="What was written so far is no backup.") from exc
    for name, bucket in kept.buckets.items() if storage else ():
        bucket.download(folder / "s3" / name)
    made = manifest.of(folder, now.isoformat(timespec="seconds"))
    made.write(folder)
    return made
