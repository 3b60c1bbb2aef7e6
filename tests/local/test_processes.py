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
