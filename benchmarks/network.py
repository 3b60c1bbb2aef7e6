"""Hosts of their own on one machine: Linux network namespaces, joined by bridges that a host can be taken off, one wire for each purpose.

Needs root, `ip` and `nsenter`. This process reaches every wire, as an operator's desk does.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

FRONT, DATA, REGISTRY = "front", "data", "models"  # callers and LLMs; the database; MLflow
WIRES = (FRONT, DATA, REGISTRY)
DESK = 254  # this process's place on each wire


def impossible() -> str | None:
    """Why this machine may not make them, None where it may."""
    missing = [program for program in ("ip", "nsenter") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        return f"{', '.join(missing)} missing: apt-get install iproute2 util-linux" if missing else "network namespaces need root"
    name = f"rmtry{os.getpid()}"
    for command in (("netns", "add", name), ("-n", name, "link", "add", "w", "type", "bridge"), ("netns", "del", name)):
        tried = subprocess.run(["ip", *command], capture_output=True, text=True, check=False)
        if tried.returncode:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            return f"ip {' '.join(command)}: {tried.stderr.strip()}"
    return None


@dataclass(frozen=True)
class Network:
    """prefix: of its namespaces. places: host -> its place on each wire."""

    prefix: str
    places: dict[str, int]

    def address(self, host: str, wire: str) -> str:
        """Of a host on a wire; `desk` is this process."""
        return f"10.213.{WIRES.index(wire)}.{DESK if host == 'desk' else self.places[host]}"

    def inside(self, host: str) -> list[str]:
        """What stands before a command that runs there."""
        return ["nsenter", f"--net=/run/netns/{self._namespace(host)}"]

    def cut(self, host: str, wire: str) -> None:
        """Takes the host off the wire: its link stays up, and whatever it sends is lost."""
        _ip("-n", self._switch, "link", "set", f"{host}-{wire}", "nomaster")

    def mend(self, host: str, wire: str) -> None:
        """Puts it back."""
        _ip("-n", self._switch, "link", "set", f"{host}-{wire}", "master", wire)

    def lay_out(self) -> None:
        """Makes it all."""
        _ip("netns", "add", self._switch)
        for wire in WIRES:
            _ip("-n", self._switch, "link", "add", wire, "type", "bridge")
            _ip("-n", self._switch, "link", "set", wire, "up")
            end = self._end(wire)
            _ip("link", "add", end, "type", "veth", "peer", "name", f"desk-{wire}", "netns", self._switch)
            self._join("desk", wire, end, ())
        for host in self.places:
            _ip("netns", "add", self._namespace(host))
            _ip("-n", self._namespace(host), "link", "set", "lo", "up")
            for wire in WIRES:
                peer = ("peer", "name", wire, "netns", self._namespace(host))
                _ip("-n", self._switch, "link", "add", f"{host}-{wire}", "type", "veth", *peer)
                self._join(host, wire, wire, ("-n", self._namespace(host)))

    def clear(self) -> None:
        """Takes it all away."""
        for wire in WIRES:  # the others go with their namespaces
            subprocess.run(["ip", "link", "del", self._end(wire)], capture_output=True, check=False)
        for name in (*map(self._namespace, self.places), self._switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    @property
    def _switch(self) -> str:
        return self._namespace("net")

    def _end(self, wire: str) -> str:
        return f"{self.prefix}{wire}"

    def _namespace(self, host: str) -> str:
        return f"{self.prefix}-{host}"

    def _join(self, host: str, wire: str, end: str, where: Sequence[str]) -> None:
        _ip("-n", self._switch, "link", "set", f"{host}-{wire}", "master", wire)
        _ip("-n", self._switch, "link", "set", f"{host}-{wire}", "up")
        _ip(*where, "addr", "add", f"{self.address(host, wire)}/24", "dev", end)
        _ip(*where, "link", "set", end, "up")


@contextlib.contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """One with these hosts, while it is needed. Its addresses are fixed: another process waits until it is gone."""
    made = Network(f"rm{os.getpid() % 100_000}", {host: 11 + at for at, host in enumerate(hosts)})
    with FileLock(Path(tempfile.gettempdir()) / "routemoa-network.lock"):
        try:
            made.lay_out()
            yield made
        finally:
            made.clear()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
