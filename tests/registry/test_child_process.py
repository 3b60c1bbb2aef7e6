"""One way to run a child process: its environment, its output, what its failure says."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from registry import child_process
from registry.child_process import Child
from registry.errors import ChildFailed
from registry.lineage import git_commit
from tests import orphans

PYTHON = (sys.executable, "-c")
COUNT = "for n in range(3): print(n)"
WAIT = "import time; print('ready', flush=True); time.sleep(60)"


def test_output_comes_back_and_python_is_this_one(tmp_path: Path) -> None:
    """Standard output is returned; `python` on the child's PATH is the interpreter that runs now."""
    assert child_process.output([*PYTHON, "print('hello')"], cwd=tmp_path) == "hello\n"
    prefix = child_process.output(["python", "-c", "import sys; print(sys.prefix)"], cwd=tmp_path)
    assert prefix.strip() == sys.prefix


def test_a_failure_names_command_code_and_last_lines(tmp_path: Path) -> None:
    """The message has the last line, the error all of the last ones and the exit code."""
    program = "import sys; print('reading', file=sys.stderr); sys.exit('no such table')"
    with pytest.raises(ChildFailed, match=r"^`python -c .*` ended with code 1: no such table$") as caught:
        child_process.output([*PYTHON, program], cwd=tmp_path)
    assert (caught.value.code, caught.value.lines) == (1, ("reading", "no such table"))


@pytest.mark.parametrize("start", [child_process.output, child_process.run, lambda command, cwd: Child().run(command, print, cwd=cwd)])
def test_a_program_that_is_not_there_is_named(tmp_path: Path, start: object) -> None:
    """Without git on PATH nobody sees a traceback."""
    with pytest.raises(ChildFailed, match=r"`no-such-program --version` could not be started: No such file or directory"):
        start(["no-such-program", "--version"], cwd=tmp_path)


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    """The error says how long was waited."""
    with pytest.raises(ChildFailed, match=r"did not end within 0\.2 s"):
        child_process.output([*PYTHON, WAIT], cwd=tmp_path, timeout_s=0.2)


def test_output_may_go_straight_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is captured; a failure names the command and its code."""
    child_process.run([*PYTHON, COUNT], cwd=tmp_path)
    assert capfd.readouterr().out == "0\n1\n2\n"
    child_process.run([*PYTHON, "import os; print(os.environ['COLOUR'])"], cwd=tmp_path, COLOUR="red")
    assert capfd.readouterr().out == "red\n"
    with pytest.raises(ChildFailed, match=r"ended with code 3\.$"):
        child_process.run([*PYTHON, "raise SystemExit(3)"], cwd=tmp_path)


def test_lines_are_read_as_they_come_with_variables_of_their_own(tmp_path: Path) -> None:
    """Both streams are one; a failure keeps the last lines."""
    lines: list[str] = []
    program = "import os, sys; print(os.environ['COLOUR']); sys.exit('out of paint')"
    with pytest.raises(ChildFailed, match="ended with code 1: out of paint") as caught:
        Child().run([*PYTHON, program], lines.append, cwd=tmp_path, COLOUR="red")
    assert lines == ["red\n", "out of paint\n"]
    assert caught.value.lines == ("red", "out of paint")


def test_what_is_no_text_ends_nothing(tmp_path: Path) -> None:
    """A stage may pass on what somebody else's program printed: bytes of another encoding come as marks."""
    lines: list[str] = []
    program = "import sys; sys.stdout.buffer.write(b'caf\\xe9\\n'); print('done')"
    Child().run([*PYTHON, program], lines.append, cwd=tmp_path)
    assert lines == ["caf\N{REPLACEMENT CHARACTER}\n", "done\n"]


@pytest.mark.parametrize("own_group", [False, True])
def test_a_child_is_stopped_from_elsewhere(tmp_path: Path, own_group: bool) -> None:
    """A signal ends it; a child in a group of its own takes along what it started."""
    program = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {WAIT!r}]).pid, flush=True); import time; time.sleep(60)"
    )
    child, started = Child(own_group=own_group), list[int]()

    def read(line: str) -> None:
        if line.strip().isdigit():
            started.append(int(line))
        if line.strip() == "ready":
            child.stop(signal.SIGKILL)
            if not own_group:
                os.kill(started[0], signal.SIGKILL)  # it holds the pipe that is read

    with pytest.raises(ChildFailed) as caught:
        child.run([*PYTHON, program], read, cwd=tmp_path)
    assert caught.value.code == -signal.SIGKILL
    assert gone(started[0])


def test_who_ends_a_group_returns_when_all_of_it_are_gone(tmp_path: Path) -> None:
    """What the child started is waited for too, as long as the caller says; here we keep its zombie, and reap it ourselves."""
    program = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {WAIT!r}]); time.sleep(60)"  # reaps nothing
    child, started = Child(own_group=True), threading.Event()

    def run() -> None:
        with pytest.raises(ChildFailed):
            child.run([*PYTHON, program], lambda _: started.set(), cwd=tmp_path)

    running = threading.Thread(target=run)
    with orphans.adopted():
        running.start()
        assert started.wait(60)
        (grandchild,) = [each.pid for each in psutil.Process().children(recursive=True) if WAIT in each.cmdline()]
        ending = threading.Thread(target=child.end, args=(60,))
        ending.start()
        running.join(60)
        os.waitid(os.P_PID, grandchild, os.WEXITED | os.WNOWAIT)
        ending.join(0.3)
        assert ending.is_alive()
        os.waitpid(grandchild, 0)
        ending.join(60)
        assert not ending.is_alive()


def test_one_that_was_stopped_before_it_started_ends_at_once(tmp_path: Path) -> None:
    """Whoever stops between two children stops the second."""
    child = Child()
    child.stop()
    with pytest.raises(ChildFailed, match=f"ended with code {-signal.SIGTERM}"):
        child.run([*PYTHON, WAIT], print, cwd=tmp_path)


def test_a_tied_child_that_does_not_stop_loses_its_standard_input(tmp_path: Path) -> None:
    """Whoever ignores the signal is ended by the pipe after the seconds it had."""
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "from registry.child_process import end_with_parent; end_with_parent(); print('ready', flush=True); time.sleep(60)"
    )
    child = Child(tied=True, stop_within_s=0.2)
    began = time.monotonic()
    with pytest.raises(ChildFailed, match=r"ended with code 1: ready"):
        child.run([*PYTHON, stubborn], lambda line: child.stop() if "ready" in line else None, cwd=Path(__file__).parents[2])
    assert time.monotonic() - began < 30


def test_a_tied_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """`kill -9` of the parent closes the pipe; the child cleans up, then ends."""
    child = (
        "import time; from pathlib import Path; from registry.child_process import end_with_parent\n"
        f"end_with_parent(lambda: Path({str(tmp_path / 'cleaned')!r}).touch())\n"
        "import os; print(os.getpid(), flush=True); time.sleep(60)"
    )
    root = str(Path(__file__).parents[2])
    parent = (
        "import sys; from pathlib import Path; from registry.child_process import Child\n"
        f"Child(tied=True).run([sys.executable, '-c', {child!r}], lambda line: print(line, end='', flush=True), cwd=Path({root!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(pid)
    assert (tmp_path / "cleaned").exists()


def test_a_folder_outside_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a repository and without git, the commit is unknown; inside it is HEAD."""
    assert git_commit(tmp_path) is None
    root = Path(__file__).parents[2]
    assert git_commit(root) == child_process.output(["git", "rev-parse", "HEAD"], cwd=root).strip()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert git_commit(root) is None


def gone(pid: int) -> bool:
    """Whether the process ends within ten seconds."""
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        try:
            if stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False
