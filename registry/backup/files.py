"""Copies of a project's files: what is in use is copied as of one moment."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

KEPT = (
    "registry/pool.yaml",
    "params.yaml",
    "dvc.yaml",
    "dvc.lock",
    "data.dvc",
    ".env",
    ".dvc/config",
    ".dvc/config.local",
    ".dvc/cache",
    "data",
    "build",
    "var",
)
MADE_AGAIN = ("build/embeddings", "var/logs", "var/cache", "var/ground")
BESIDE = ("-wal", "-shm", "-journal")  # of an SQLite file: its copy needs none
SQLITE = b"SQLite format 3\0"


def names(home: Path) -> Iterator[str]:
    """What a backup of the project in `home` holds, below it; a database stands once, without the files beside it."""
    for kept in KEPT:
        place = home / kept
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            name = path.relative_to(home).as_posix()
            if path.is_file() and not _left_out(name):
                yield name


def copy(source: Path, target: Path) -> None:
    """One file with its rights; an SQLite database by its own online backup, whoever writes into it meanwhile."""
    _copy(source, target, "mode=rw")


def put_back(source: Path, target: Path) -> None:
    """The same of a file that nobody writes into, maybe on a disk that is only read: nothing is made beside it."""
    _copy(source, target, "immutable=1")


def _copy(source: Path, target: Path, how: str) -> None:
    """how: an SQLite database is opened."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)  # nobody reads it while it is filled; then it has the rights of `source`
    if _is_sqlite(source):
        where = f"{source.absolute().as_uri()}?{how}"
        with closing(sqlite3.connect(where, uri=True, timeout=60)) as here, closing(sqlite3.connect(target)) as there:
            here.backup(there)
        shutil.copymode(source, target)
    else:
        shutil.copy2(source, target)


def _left_out(name: str) -> bool:
    return any(name.startswith(f"{folder}/") for folder in MADE_AGAIN) or (name != "dvc.lock" and name.endswith((*BESIDE, ".lock")))


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE
