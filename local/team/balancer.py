"""haproxy in front of servers of this machine."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from local.errors import LocalError
from local.ground import Server
from local.processes import Processes

TEMPLATE = Path(__file__).with_name("haproxy.cfg")


def program() -> str:
    """Where it is installed. Raises LocalError."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise LocalError("haproxy is not installed.", next_step="apt-get install haproxy, or your system's package of it.")
    return found


def settings(address: str, servers: Sequence[Server]) -> str:
    """Its file: listens at `address`, asks `servers`."""
    lines = "\n".join(f"    server {each.name} {urlsplit(each.url).netloc}" for each in servers)
    return TEMPLATE.read_text(encoding="utf-8").format(address=urlsplit(address).netloc, servers=lines)


def start(processes: Processes, file: Path, address: str, servers: Sequence[Server]) -> None:
    """Starts it with its settings in `file`; it answers 503 until one of `servers` is ready."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings(address, servers), encoding="utf-8")
    processes.start("balancer", [program(), "-db", "-f", str(file)])
