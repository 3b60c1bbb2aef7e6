"""Processes are started, waited for and stopped together."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.errors import ProcessFailed
from local.processes import Processes, free_ports


def test_a_ready_process_is_stopped_with_what_it_started(tmp_path: Path) -> None:
    """Leaving the context ends the process and its children."""
    port = next(free_ports(18500))
    child = "import subprocess,sys; p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']); print(p.pid,flush=True); "
    serve = f"from http.server import *; HTTPServer(('127.0.0.1',{port}),SimpleHTTPRequestHandler).serve_forever()"
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("web", [sys.executable, "-c", child + serve])
        processes.wait_until_ready("web", f"http://127.0.0.1:{port}/", seconds=20)
        grandchild = int((tmp_path / "web.log").read_text().split()[0])
        assert Path(f"/proc/{grandchild}").exists()
    assert _gone(grandchild)


def test_a_process_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    """The error carries the exit code, the last line of the log and where the log is."""
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("broken", [sys.executable, "-c", "print('no such weights'); raise SystemExit(3)"])
        with pytest.raises(ProcessFailed, match=r"broken ended with exit code 3: no such weights.*broken\.log"):
            processes.wait_until_ready("broken", "http://127.0.0.1:9/", seconds=20)


def test_a_process_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """After the given seconds the error names the address."""
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("mute", [sys.executable, "-c", "import time; time.sleep(60)"])
        with pytest.raises(ProcessFailed, match=r"mute did not answer at http://127.0.0.1:9/"):
            processes.wait_until_ready("mute", "http://127.0.0.1:9/", seconds=0.5)


def test_processes_die_with_the_one_that_started_them(tmp_path: Path) -> None:
    """Even a killed supervisor leaves nothing running."""
    code = (
        "import sys,time,os; from pathlib import Path; from local.processes import Processes\n"
        f"with Processes(logs=Path({str(tmp_path)!r}), home=Path({str(tmp_path)!r})) as p:\n"
        "    p.start('x', [sys.executable, '-c', 'import time; time.sleep(60)']); print(p.running['x'].pid, flush=True); time.sleep(60)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert _gone(child)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the seconds of grace nothing is asked any more, and its children go with it."""
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("stubborn", [sys.executable, "-c", stubborn])
        while "up" not in processes.log("stubborn").read_text():
            time.sleep(0.05)
        pid = processes.running["stubborn"].pid
        began = time.monotonic()
        processes.stop("stubborn", grace=0.2)
        assert time.monotonic() - began < 5
        assert _gone(pid)
        assert not processes.running


def test_processes_run_in_the_project_with_variables_of_their_own(tmp_path: Path) -> None:
    """Current folder, added variables, and `python` being this one; a second start appends to the log."""
    program = "import os, sys; print(os.getcwd(), os.environ['COLOUR'], os.environ['PATH'].split(os.pathsep)[0])"
    with Processes(logs=tmp_path / "logs", home=tmp_path) as processes:
        for colour in ("red", "blue"):
            processes.start("it", [sys.executable, "-c", program], environment={"COLOUR": colour})
            processes.running["it"].wait()
            processes.stop("it")
        lines = processes.log("it").read_text().splitlines()
    folder = Path(sys.executable).parent
    assert lines == [f"{tmp_path} red {folder}", f"{tmp_path} blue {folder}"]


def test_the_standard_input_of_a_process_closes_when_it_is_stopped(tmp_path: Path) -> None:
    """A child that watches it (`--with-parent`) ends by itself where signals do not reach."""
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("watching", [sys.executable, "-c", "import sys; sys.stdin.read()"])
        process = processes.running["watching"]
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_free_ports_skip_taken_ones() -> None:
    """A port something listens on is not offered."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert next(free_ports(port)) != port


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            with Path(f"/proc/{pid}/stat").open() as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False
