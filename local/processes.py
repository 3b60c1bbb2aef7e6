"""Processes of the platform on this machine: started, waited for, watched, and stopped together."""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2

from local import listening
from local.errors import ProcessFailed
from registry import child_process

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: between fork and exec hardly anything is allowed
MARKS = Path(tempfile.gettempdir()) / f"routemoa-ports-{os.getuid()}"
CHOSEN: dict[int, int] = {}  # port -> the file that is locked for it
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>: the kernel signals the child when its parent dies


@dataclass
class Processes:
    """A set of named child processes, each with its log in `logs`; leaving the context stops them all, last started first.

    home: the folder they run in. environment: variables of every one, beside this process's.
    """

    logs: Path
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _ended_by: dict[str, signal.Signals] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in reversed(list(self.running)):
            self.stop(name)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        ended_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Starts `command` as `name`, in a session of its own, ended with this process whatever happens; `ended_by` asks it to end."""
        self._ended_by[name] = ended_by
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                list(command),
                cwd=self.home,
                env=child_process.environment(**self.environment, **(environment or {})),
                stdin=subprocess.PIPE,  # closes when this process ends, however it ends
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock
            )

    def wait_until_ready(self, name: str, url: str, *, seconds: float) -> None:
        """Returns when `url` answers 200 and it is `name` that does.

        Raises ProcessFailed when the process ends first, `seconds` pass, or somebody else took its port.
        """
        give_up = time.monotonic() + seconds
        with httpx2.Client(trust_env=False, timeout=2.0) as client:
            while time.monotonic() < give_up:
                self.check(name)
                with contextlib.suppress(httpx2.TransportError):
                    if client.get(url).status_code == 200:
                        self._refuse_others(name, url)
                        return
                time.sleep(0.25)
        raise ProcessFailed(f"{name} did not answer at {url} within {seconds:.0f} s.", next_step=f"Its log is {self.log(name)}.")

    def check(self, *names: str) -> None:
        """Raises ProcessFailed if one of `names` (all, without any) has ended."""
        for name in names or tuple(self.running):
            code = self.running[name].poll()
            if code is not None:
                last = self._last_line(name)
                raise ProcessFailed(f"{name} ended with exit code {code}: {last}", next_step=f"Its log is {self.log(name)}.")

    def stop(self, name: str, *, grace: float = 15.0) -> None:
        """Ends `name` and what it started: SIGTERM, or what it is ended by, then SIGKILL after `grace` seconds."""
        process = self.running.pop(name)
        for number, seconds in ((self._ended_by.pop(name, signal.SIGTERM), grace), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()

    def _refuse_others(self, name: str, url: str) -> None:
        """Two platforms that start in the same second choose the same port: one of them has it, and the other's process ends."""
        port = urlsplit(url).port
        if port is not None and listening.elsewhere(port, self.running[name].pid):
            self.check(name)
            raise ProcessFailed(
                f"{name} was started for {url}, where another program answers.", next_step=f"Try again; see `ss -ltnp 'sport = :{port}'`."
            )

    def log(self, name: str) -> Path:
        """The file that `name` writes to."""
        return self.logs / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = [line for line in self.log(name).read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "(nothing in its log)"


def free_ports(first: int) -> Iterator[int]:
    """Ports of this machine that nothing listens on and no other platform chose before it listens, from `first` up."""
    for port in range(first, 65536):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0 and _chosen(port):
                yield port


def _chosen(port: int) -> bool:
    """Marks `port` as this process's until it ends; whether it was nobody else's. Programs take long until they listen."""
    if port in CHOSEN:
        return True
    MARKS.mkdir(mode=0o700, exist_ok=True)
    mark = os.open(MARKS / str(port), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(mark)
        return False
    CHOSEN[port] = mark
    return True


def _die_with_parent() -> None:
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
