"""A real Redis for tests: `with running(folder) as url`."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.processes import Processes, free_ports


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A server that keeps nothing on disk. Skips the test, visibly, where Redis is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    port = next(free_ports(5800))
    with Processes(logs=folder / "logs", home=folder) as processes:
        processes.start("redis", [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        while True:
            processes.check("redis")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"redis://127.0.0.1:{port}/0"
