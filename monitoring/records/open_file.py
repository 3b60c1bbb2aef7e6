"""An SQLite file as one process has it open: made for its owner alone, and noticed when another file takes its place."""

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SIDES = ("-wal", "-shm")  # what SQLite keeps beside a file in WAL mode; without it recent rows are lost
LEFT = ".left"
Inode = tuple[int, int]  # device and number


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A connection and the files it goes to. inodes: of the file and of each of SIDES, None where there is none."""

    connection: sqlite3.Connection
    path: Path
    inodes: tuple[Inode | None, ...]

    @classmethod
    def of(cls, connection: sqlite3.Connection, path: Path) -> "OpenFile":
        """`connection` was just opened on `path`. Raises sqlite3.Error."""
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # now the files beside it exist
        return cls(connection, path, tuple(_inode(each) for each in _files(path)))

    def is_in_place(self) -> bool:
        """Whether `path` still leads to the file that is open: what is written to another one nobody will find."""
        inode = _inode(self.path)
        return inode is not None and inode == self.inodes[0]

    def leave(self) -> None:
        """Closes; where the file was moved, all rows go with it, and what lay beside it does not meet its successor.

        SQLite would read the log of the old file into the new one.
        """
        if not self.is_in_place():
            with suppress(sqlite3.Error):
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            for side, inode in list(zip(_files(self.path), self.inodes, strict=True))[1:]:
                if inode is not None and _inode(side) == inode:
                    set_aside(side)
        self.connection.close()


def make_private(path: Path) -> None:
    """An empty file that only its owner reads, where there is none; a log without its file is set aside. Raises OSError."""
    if not path.exists():
        for side in _files(path)[1:]:
            set_aside(side)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def set_aside(path: Path) -> None:
    """Keeps what may hold rows under another name."""
    with suppress(FileNotFoundError):
        path.replace(path.with_name(path.name + LEFT))


def _files(path: Path) -> tuple[Path, ...]:
    return (path, *(path.with_name(path.name + side) for side in SIDES))


def _inode(path: Path) -> Inode | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
