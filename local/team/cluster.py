"""A Ray cluster of this machine, on which stages do the work that grows (`ROUTEMOA_EXECUTOR=ray`)."""

import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import ProcessFailed
from local.processes import Processes

START_S = 300.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """port: where it listens, on this machine alone. token: without it nobody gives it work."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    def start(self, processes: Processes) -> Mapping[str, str]:
        """Returns when it listens: by what stages find it. Raises ProcessFailed."""
        login = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "OMP_NUM_THREADS": "1"}
        options = {
            "port": self.port,
            "node-ip-address": "127.0.0.1",
            "num-cpus": os.cpu_count() or 1,
            "include-dashboard": "false",
        }
        program = str(Path(sys.executable).parent / "ray")
        flags = [f"--{name}={value}" for name, value in options.items()]
        processes.start("ray", [program, "start", "--head", "--block", "--disable-usage-stats", *flags], environment=login)
        give_up = time.monotonic() + START_S
        while not _listens(self.port):
            processes.check("ray")
            if time.monotonic() > give_up:
                raise ProcessFailed(f"Ray did not listen within {START_S:.0f} s.", next_step=f"Its log is {processes.log('ray')}.")
            time.sleep(0.2)
        return {**login, "ROUTEMOA_EXECUTOR": "ray", "RAY_ADDRESS": f"127.0.0.1:{self.port}"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
