"""Which process listens on a port of this machine, as Linux's /proc says; elsewhere nobody knows."""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
LISTENS = "0A"  # the state of a socket in /proc/net/tcp


def elsewhere(port: int, session: int) -> bool:
    """Whether somebody listens on `port`, and no process of `session` does. False where it cannot be known."""
    inodes = set(_inodes(port))
    return bool(inodes) and not any(inodes & set(_sockets(pid)) for pid in _members(session))


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _members(session: int) -> Iterator[Path]:
    for folder in PROC.glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                yield folder
        except OSError:
            continue  # it ended meanwhile


def _sockets(process: Path) -> Iterator[str]:
    """Inodes of the sockets that it has open."""
    try:
        for link in (process / "fd").iterdir():
            target = str(link.readlink())
            if target.startswith("socket:["):
                yield target[8:-1]
    except OSError:
        return  # it ended, or is another user's
