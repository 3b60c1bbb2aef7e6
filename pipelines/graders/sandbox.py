"""Runs a program an LLM wrote where it can hurt nobody: no host files, no network, no other process, limited CPU, memory, files and time.

`bubblewrap` gives a program a file system of its own with nothing but Python in it, where it is installed and permitted. Elsewhere the
kernel's namespaces and the process's own bans (pipelines.graders.inside.limits) are all there is, and `announce` says so. They stop
accidents and ordinary mischief: whoever grades answers of LLMs that attack their grader needs bubblewrap or a container.
"""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from pipelines.errors import GraderFailed

MEMORY_BYTES = 1 << 30
FILE_BYTES = 10 << 20
LINE_BYTES = 32 << 20
WALL_PER_CPU = 3  # on a busy machine a program may wait this much longer than it computes
INSIDE = Path(__file__).with_name("inside")
_PROGRAMS = ("answering.py", "testing.py", "exchange.py", "plain.py", "limits.py")
_SEEN_AT = "/inside/pipelines/graders/inside/"  # where bubblewrap shows them
_NAMESPACES = ("--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child")
# `-I` but for the environment, which is ours: PYTHONHASHSEED makes runs repeatable. `-S`: no installed package either.
_ALONE = ("-P", "-s", "-S", "-B")
_PYTHON = os.path.realpath(sys.executable)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Confinement:
    """How programs are kept apart: "bubblewrap", "namespaces" or "limits", by which program; `why_not`: why not by bubblewrap."""

    kind: str
    program: str = ""
    why_not: str = ""


class Program:
    """One of our programs (`inside/NAME`) in the sandbox, spoken to in JSON lines."""

    def __init__(self, process: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        self._process, self._command = process, command

    def send(self, line: bytes) -> None:
        """Writes one line; a program that is gone is found out by `receive`."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def receive(self) -> bytes:
        """One line, b"" where the program is gone or says too much."""
        line = self._process.stdout.readline(LINE_BYTES) if self._process.stdout is not None else b""
        return line if line.endswith(b"\n") else b""

    def begin(self, what: dict[str, Any], timeout_s: float) -> None:
        """Hands over what to do and waits until the program has limited itself. Raises GraderFailed where it does not start."""
        limits = [math.ceil(timeout_s), MEMORY_BYTES, FILE_BYTES]
        self.send(json.dumps({**what, "limits": limits}).encode() + b"\n")
        if self.receive() != b'"ready"\n':
            self.kill()
            _, errors = self._process.communicate()
            raise GraderFailed(
                f"the sandbox did not start ({errors.decode(errors='replace')[-200:]!r}).",
                next_step=f"Run it by hand: {' '.join(self._command)}",
            )

    def kill(self) -> None:
        """Ends the program with all it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def started(name: str) -> Iterator[Program]:
    """Starts `inside/NAME` in a folder of its own; it and the folder are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="routemoa-tests-") as folder:
        command = [*_prefix(confinement(), folder), _PYTHON, *_ALONE, _inside_path(name)]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        program = Program(process, command)
        try:
            yield program
        finally:
            program.kill()
            process.communicate()


@contextmanager
def ended_after(seconds: float, programs: Sequence[Program]) -> Iterator[None]:
    """Kills the programs after `seconds`, if the block is still waiting for one of them."""

    def end() -> None:
        for program in programs:
            program.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def announce() -> None:
    """Says once, loudly, where programs that LLMs wrote are not kept from this machine's files."""
    here = confinement()
    if here.kind != "bubblewrap":
        log.warning(
            "programs_are_not_confined",
            by=here.kind,
            why=here.why_not,
            means="programs that LLMs wrote can read this machine's files while they are graded",
            next_step="Install bubblewrap (`apt install bubblewrap`) and permit user namespaces, or grade in a container.",
        )


def confinement() -> Confinement:
    """The best that this machine permits."""
    return _confinement(shutil.which("bwrap"), shutil.which("unshare"))


@cache
def _confinement(bwrap: str | None, unshare: str | None) -> Confinement:
    """`confinement` with these programs, tried out once."""
    why_not = "bwrap is not on PATH"
    if bwrap is not None:
        with tempfile.TemporaryDirectory(prefix="routemoa-tests-") as folder:
            confined = Confinement("bubblewrap", bwrap)
            why_not = _trouble([*_prefix(confined, folder), _PYTHON, *_ALONE, "-c", "import math, ssl"])
        if not why_not:
            return confined
    if unshare is not None and not _trouble([unshare, *_NAMESPACES, "true"]):
        return Confinement("namespaces", unshare, why_not)
    return Confinement("limits", why_not=why_not)


def _trouble(command: Sequence[str]) -> str:
    """What a command says as it fails; "" where it does not."""
    try:
        tried = subprocess.run(command, capture_output=True, check=False, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    return "" if tried.returncode == 0 else tried.stderr.decode(errors="replace").strip()[-200:] or f"exit code {tried.returncode}"


def _prefix(confined: Confinement, folder: str) -> tuple[str, ...]:
    """What stands before the command."""
    if confined.kind != "bubblewrap":
        return (confined.program, *_NAMESPACES) if confined.program else ()
    seen = [argument for path in _needed() for argument in ("--ro-bind", str(path), str(path))]
    hidden = [argument for path in _installed() for argument in ("--tmpfs", str(path))]
    ours = [argument for name in _PROGRAMS for argument in ("--ro-bind", str(INSIDE / name), _SEEN_AT + name)]
    apart = (confined.program, "--unshare-all", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108
    return (*apart, *seen, *hidden, *ours, "--bind", folder, folder, "--chdir", folder)


def _inside_path(name: str) -> str:
    """Where the sandbox sees one of our programs."""
    return _SEEN_AT + name if confinement().kind == "bubblewrap" else str(INSIDE / name)


@cache
def _needed() -> tuple[Path, ...]:
    """What Python needs of the host: itself, its standard library, the system's libraries and time zones."""
    libraries = [
        Path(base) / name for base in ("/lib", "/usr/lib", "/usr/local/lib") for name in [sysconfig.get_config_var("MULTIARCH") or "none"]
    ]
    system = [Path("/lib64"), Path("/usr/lib64"), Path("/etc/ld.so.cache"), Path("/usr/share/zoneinfo")]
    own = [
        Path(_PYTHON),
        Path(sysconfig.get_path("stdlib")),
        Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix})),
    ]
    shared = sorted(Path(sysconfig.get_config_var("LIBDIR") or "/none").glob("libpython*.so*"))
    bare = [] if any(path.is_dir() for path in libraries) else [Path("/lib"), Path("/usr/lib")]
    return tuple(dict.fromkeys(path for path in (*libraries, *bare, *system, *own, *shared) if path.exists()))


@cache
def _installed() -> tuple[Path, ...]:
    """Packages that live inside the standard library's folder."""
    folders = (Path(sysconfig.get_path("stdlib")) / name for name in ("site-packages", "dist-packages"))
    return tuple(path for path in folders if path.is_dir())
