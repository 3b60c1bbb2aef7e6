"""What a platform on this machine stands on: where its parts keep things, and which servers there are. The default: files, one server."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Protocol

from local.processes import Processes


@dataclass(frozen=True, slots=True)
class Server:
    """A server's process and the address that it alone has."""

    name: str
    url: str


class Ground(Protocol):
    """A strategy of starting: parts are the same on each."""

    outlives: bool  # whether what was kept is there again after everything was stopped

    def lay(self, processes: Processes, folder: Path) -> Mapping[str, str]:
        """Starts what keeps things, below `folder`; the variables by which every part finds it."""

    def start_servers(self, processes: Processes, address: str) -> tuple[str, tuple[Server, ...]]:
        """Starts what answers at `address`; the name of the process that listens there, and the servers."""

    def places(self) -> Mapping[str, str]:
        """What a person may want to look at: name -> address."""


class OneHost:
    """Files of this host, and one server."""

    outlives = True

    def lay(self, processes: Processes, folder: Path) -> Mapping[str, str]:  # noqa: ARG002 - a ground that needs neither
        """Nothing: SQLite and folders need no process."""
        return {}

    def start_servers(self, processes: Processes, address: str) -> tuple[str, tuple[Server, ...]]:
        """The server itself listens there."""
        processes.start("server", [sys.executable, "-m", "serving"])
        return "server", (Server("server", address),)

    def places(self) -> Mapping[str, str]:
        """Nothing beside what every platform has."""
        return {}


@contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """`variables` are in this process's environment, and so in that of everything started from here, until the block is left."""
    before = {name: environ.get(name) for name in variables}
    environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
