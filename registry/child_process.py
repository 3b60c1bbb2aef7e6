"""Child processes that are run to their end: environment, output, and an error that names what failed (servers: local.processes)."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.errors import ChildFailed

LAST_LINES = 30  # of its output, kept for the error
TEXT: Any = {"encoding": "utf-8", "errors": "replace"}  # whoever prints something else ends no retraining
LOOK_EVERY_S = 0.02  # whether what was killed is gone


def environment(**more: str) -> dict[str, str]:
    """The variables of a child process: this process's and `more`.

    The folder of this interpreter comes first on PATH: `python`, as dvc.yaml's stages call it, is the one that runs now.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, **more}


def run(command: Sequence[str], *, cwd: Path, **more: str) -> None:
    """Runs `command` to its end; its output goes straight to the terminal. `more`: further variables of its environment.

    Raises ChildFailed.
    """
    try:
        code = subprocess.run(command, cwd=cwd, env=environment(**more), check=False).returncode
    except OSError as exc:
        raise _not_started(command, exc) from exc
    if code != 0:
        raise _ended(command, code, ())


def output(command: Sequence[str], *, cwd: Path | None = None, timeout_s: float | None = None) -> str:
    """What `command` wrote to standard output, run to its end.

    Raises ChildFailed with the last lines of its standard error; also where it takes longer than `timeout_s` and is killed.
    """
    try:
        ended = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, timeout=timeout_s, check=False, **TEXT)
    except OSError as exc:
        raise _not_started(command, exc) from exc
    except subprocess.TimeoutExpired as exc:
        raise ChildFailed(f"`{_shown(command)}` did not end within {timeout_s:g} s.") from exc
    if ended.returncode != 0:
        raise _ended(command, ended.returncode, ended.stderr.strip().splitlines()[-LAST_LINES:])
    printed: str = ended.stdout
    return printed


@dataclass(slots=True)
class Child:
    """A child process whose output is read line by line, and which a signal handler or another thread may stop.

    own_group: it leads a process group, so that stopping it reaches what it started.
    tied: its standard input is a pipe that closes when this process ends, however it ends (`end_with_parent`, or `python -m registry.tied`,
    is the other side).
    stop_within_s: seconds after which a tied child that was stopped and still runs loses its standard input too.
    """

    own_group: bool = False
    tied: bool = False
    stop_within_s: float | None = None
    _process: subprocess.Popen[str] | None = field(default=None, init=False)
    _stop: int | None = field(default=None, init=False)

    def run(self, command: Sequence[str], read: Callable[[str], None], *, cwd: Path, **more: str) -> None:
        """Runs `command` to its end; each line of its output goes to `read`. `more`: further variables of its environment.

        Raises ChildFailed with its last lines.
        """
        lines = deque[str](maxlen=LAST_LINES)
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment(PYTHONUNBUFFERED="1", **more),
                **TEXT,
                stdin=subprocess.PIPE if self.tied else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=self.own_group,
            )
        except OSError as exc:
            raise _not_started(command, exc) from exc
        with process:
            self._process = process
            if self._stop is not None:
                self.stop(self._stop)
            try:
                for line in process.stdout or ():
                    lines.append(line.rstrip())
                    read(line)
            finally:
                if self._stop is not None and process.stdout is not None:  # it ends as it was told to, before its standard input closes
                    process.stdout.close()
                    process.wait()
        self._process = None  # from here on its number may be another's
        if process.returncode != 0:
            raise _ended(command, process.returncode, lines)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Sends the signal `number` to the process if it runs; one that has not been started yet gets it at its start."""
        self._stop = number
        process = self._process
        if process is None or not self._lives(process):
            return
        with suppress(ProcessLookupError):
            (os.killpg if self.own_group else os.kill)(process.pid, number)
        if self.stop_within_s is not None and process.stdin is not None:
            last_resort = threading.Timer(self.stop_within_s, process.stdin.close)
            last_resort.daemon = True
            last_resort.start()

    def end(self, within_s: float) -> None:
        """Kills the process, with its group where it leads one; returns when nothing of them is left, not even a zombie.

        At the latest after `within_s`: what they started may be another process's to reap.
        """
        process, until = self._process, time.monotonic() + within_s
        self.stop(signal.SIGKILL)
        while process is not None and self._lives(process) and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)

    def _lives(self, process: subprocess.Popen[str]) -> bool:
        """Whether it, or one of the group that it leads, is there."""
        if process.poll() is None:
            return True
        with suppress(ProcessLookupError):
            if self.own_group:
                os.killpg(process.pid, 0)
                return True
        return False


def end_with_parent(clean_up: Callable[[], None] = lambda: None, *, pipe: int = 0) -> None:
    """Ends this process when its standard input closes, after `clean_up`: the parent holds the other end, so `kill -9` of it counts.

    pipe: the file descriptor of another one than standard input.
    """

    def watch() -> None:
        while os.read(pipe, 1):
            pass
        clean_up()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _ended(command: Sequence[str], code: int, lines: Sequence[str]) -> ChildFailed:
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ChildFailed(f"`{_shown(command)}` ended with code {code}{f': {last}' if last else '.'}", code=code, lines=lines)


def _not_started(command: Sequence[str], exc: OSError) -> ChildFailed:
    return ChildFailed(f"`{_shown(command)}` could not be started: {exc.strerror} ({exc.filename}).")


def _shown(command: Sequence[str]) -> str:
    """`command` as a person would type it."""
    return shlex.join(["python" if command[0] == sys.executable else command[0], *command[1:]])
