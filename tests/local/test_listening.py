"""Who listens on a port, and who may choose it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import listening
from local.errors import ProcessFailed
from local.processes import Processes, free_ports

SERVE = "import sys; from http.server import *; HTTPServer(('127.0.0.1',int(sys.argv[1])),SimpleHTTPRequestHandler).serve_forever()"


def test_it_is_known_who_listens(tmp_path: Path) -> None:
    """Ourselves, in a session of our own; somebody else; nobody."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not listening.elsewhere(port, os.getsid(0))
        with Processes(logs=tmp_path, home=tmp_path) as processes:
            processes.start("other", [sys.executable, "-c", "import time; time.sleep(600)"])
            assert listening.elsewhere(port, processes.running["other"].pid)
    assert not listening.elsewhere(port, os.getsid(0))


def test_somebody_elses_answer_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Whoever was started for a port that another program took is not ready, however well that one answers."""
    port = next(free_ports(18900))
    with Processes(logs=tmp_path, home=tmp_path) as processes:
        processes.start("theirs", [sys.executable, "-c", SERVE, str(port)])
        processes.wait_until_ready("theirs", f"http://127.0.0.1:{port}/", seconds=60)
        processes.start("ours", [sys.executable, "-c", "import time; time.sleep(600)"])
        with pytest.raises(ProcessFailed, match=rf"ours was started for http://127\.0\.0\.1:{port}/, where another program answers"):
            processes.wait_until_ready("ours", f"http://127.0.0.1:{port}/", seconds=60)


def test_a_port_that_another_platform_chose_is_not_free() -> None:
    """Programs take seconds until they listen: what is chosen is marked until the process that chose it ends."""
    port = next(free_ports(18950))
    assert next(free_ports(port)) == port  # one's own stays one's own
    code = f"from local.processes import free_ports; print(next(free_ports({port})))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) > port
