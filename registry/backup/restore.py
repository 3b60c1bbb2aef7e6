"""Puts a backup back where nothing is."""

from pathlib import Path

from registry.backup import files, manifest, places, postgres
from registry.backup.manifest import Manifest
from registry.errors import BackupFailed
from registry.settings import Settings

STATE = ("keys.json", "keys.shared.json", "records.db", "jobs.db", "spend.db", "scorers", "mlflow/mlflow.db")  # of a project in use


def put_back(settings: Settings, folder: Path) -> Manifest:
    """Fills the project of `settings`, its databases and its storage with the backup in `folder`; nothing may run on them.

    Files of the project that the backup has are written over, but for `.env`, which says where this one's databases are.
    Raises BackupFailed, before anything is written, where the backup is damaged, the project or a database is in use, or the backup holds a
    database or storage that the settings do not name.
    """
    found, kept, home = manifest.read(folder), places.of(settings), settings.home
    if used := [name for name in STATE if (home / "var" / name).exists()]:
        raise BackupFailed(f"{home / 'var'} has {', '.join(used)}: a project is in use there.", next_step="Stop it, and move its var away.")
    dumps = [name for name in ("routemoa.dump", "mlflow.dump") if name in found.sha256]
    buckets = sorted({name.partition("/")[0] for name in found.below("s3")})
    for name, known, variable in (
        *((name, kept.databases, "ROUTEMOA_DATABASE_URL" if name == "routemoa.dump" else "ROUTEMOA_MLFLOW_DATABASE") for name in dumps),
        *((name, kept.buckets, "ROUTEMOA_MLFLOW_ARTIFACTS" if name == "mlflow" else "the default remote of DVC") for name in buckets),
    ):
        if name not in known and not (name == "dvc" and "files/.dvc/config" in found.sha256):
            raise BackupFailed(f"The backup holds {name}, and {variable} names no place for it.", next_step="Set it, then try again.")
    for name in dumps:
        if count := postgres.tables(kept.databases[name]):
            raise BackupFailed(f"The database for {name} has {count} tables.", next_step="Name an empty one.")
    for name in found.below("files"):
        if name != ".env" or not (home / ".env").exists():
            files.put_back(folder / "files" / name, home / name)
    for name in dumps:
        postgres.restore(kept.databases[name], folder / name)
    kept = places.of(settings)  # DVC's settings came with the files
    for name in buckets:
        kept.buckets[name].make()
        kept.buckets[name].upload(folder / "s3" / name)
    return found
