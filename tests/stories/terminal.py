"""`routemoa` as a person types it: a process of its own on a terminal of its own, whose questions are answered by keys."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

GIVE_UP_S = 1200.0  # of a retraining on a machine that does much else
LOCAL = 3  # of what `tcgetattr` returns: the modes of a terminal that are its own
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Typed:
    """A command that runs. text: what it has printed so far; read: how much of that the person has read."""

    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes]
    screen: int
    text: str = ""
    read: int = 0
    _bytes: bytearray = field(default_factory=bytearray)

    def until(self, said: str) -> str:
        """What it prints from where the person has read to `said`, that included."""
        give_up = time.monotonic() + GIVE_UP_S
        while (at := self.text.find(said, self.read)) < 0:
            assert time.monotonic() < give_up, f"{self}: no {said!r} in time in\n{self.text}"
            assert self._more(), f"{self}: ended without {said!r}\n{self.text}"
        start, self.read = self.read, at + len(said)
        return self.text[start : self.read]

    def enter(self, line: str) -> None:
        """What the person types, and the end of the line."""
        os.write(self.screen, f"{line}\n".encode())

    def press(self, key: str) -> None:
        """A single key, once the command waits for one: what is typed before it turns lines off is lost."""
        give_up = time.monotonic() + GIVE_UP_S
        while termios.tcgetattr(self.screen)[LOCAL] & termios.ICANON:
            assert time.monotonic() < give_up, f"{self} waits for no key\n{self.text}"
            time.sleep(0.01)
        os.write(self.screen, key.encode())

    def end(self) -> int:
        """Its exit code, once it has ended by itself."""
        give_up = time.monotonic() + GIVE_UP_S
        while self._more():
            assert time.monotonic() < give_up, f"{self} does not end\n{self.text}"
        return self.process.wait(timeout=GIVE_UP_S)

    def _more(self) -> bool:
        """Whether it may print more; takes in what it has printed."""
        if not select.select([self.screen], [], [], 1.0)[0]:
            return True
        try:
            came = os.read(self.screen, 65536)
        except OSError:  # what Linux says once nobody has the other end open
            return False
        self._bytes += came
        self.text = COLOURS.sub("", self._bytes.decode(errors="replace")).replace("\r", "")
        return bool(came)

    def __str__(self) -> str:
        return f"routemoa {' '.join(self.arguments)}"


@contextmanager
def typed(home: Path, *arguments: str) -> Iterator[Typed]:
    """A command of the project in `home`, begun."""
    screen, inside = pty.openpty()
    environment = os.environ | {"COLUMNS": "160", "TERM": "dumb", "NO_COLOR": "1", "ROUTEMOA_HOME": str(home)}
    command = [sys.executable, "-m", "cli.main", *arguments]
    process = subprocess.Popen(command, cwd=home, env=environment, stdin=inside, stdout=inside, stderr=inside, start_new_session=True)
    os.close(inside)
    try:
        yield Typed(arguments, process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def routemoa(home: Path, *arguments: str, code: int = 0) -> str:
    """What a command that asks nothing prints; it ends with exit code `code`."""
    with typed(home, *arguments) as command:
        assert command.end() == code, f"{command}\n{command.text}"
        return command.text
