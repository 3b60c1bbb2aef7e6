"""Starts llama.cpp servers that speak the OpenAI protocol, one process per weights file: `python -m local.llama smollm2-135m`."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from local.errors import ProcessFailed, ServerFailed
from local.processes import Processes
from registry import extras
from registry.child_process import end_with_parent
from registry.settings import Settings
from scorer.errors import RouteMoAError
from scorer.near_matches import did_you_mean

SERVERS_FILE = Path(__file__).with_name("servers.yaml")


class ServerSettings(BaseModel):
    """One entry of servers.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str
    port: int = Field(ge=1, le=65535)
    context: int = Field(default=2048, ge=256)
    slots: int = Field(default=2, ge=1)
    threads: int = Field(default=1, ge=1)


@dataclass(frozen=True, slots=True)
class Handle:
    """A server that answers: `base_url` is what pool.yaml calls so."""

    name: str
    base_url: str
    log: Path
    process: subprocess.Popen[bytes]


def names(file: Path = SERVERS_FILE) -> list[str]:
    """The servers that can be started."""
    return list(_entries(file))


def settings(name: str, file: Path = SERVERS_FILE) -> ServerSettings:
    """The entry called `name`.

    Raises ServerFailed where there is none.
    """
    entries = _entries(file)
    if name not in entries:
        raise ServerFailed(f"No server is called {name!r} in {file}.", next_step=did_you_mean(name, entries))
    return entries[name]


def _entries(file: Path) -> dict[str, ServerSettings]:
    try:
        return {
            name: ServerSettings.model_validate(entry)
            for name, entry in YAML(typ="safe").load(file.read_text(encoding="utf-8"))["servers"].items()
        }
    except (OSError, YAMLError, KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ServerFailed(f"{file}: {exc}", next_step="Write it as the entries of the packaged servers.yaml are.") from exc


@contextlib.contextmanager
def start(name: str, port: int | None = None, *, weights: Path | None = None, wait_s: float = 120.0) -> Iterator[Handle]:
    """A running server of `name`, answering when the block is entered, ended when it is left or when this process ends.

    port: where it listens instead of servers.yaml's port. weights: a GGUF file instead of the packaged one.
    Raises ServerFailed where the port is busy, the weights are missing, or it does not answer within `wait_s` seconds.
    """
    entry = settings(name)
    port = port or entry.port
    _refuse_busy(name, port)
    file = _weights_file(entry.weights) if weights is None else weights
    with Processes(logs=Settings().var / "logs", home=Path.cwd()) as processes:
        processes.start(server := f"llama-{name}", [*command(name, port), "--weights", str(file)])
        try:
            processes.wait_until_ready(server, f"http://127.0.0.1:{port}/health", seconds=wait_s)
        except ProcessFailed as exc:
            raise ServerFailed(f"{name} failed before it answered: {exc.what}", next_step=exc.next_step) from exc
        yield Handle(name, f"http://127.0.0.1:{port}/v1", processes.log(server), processes.running[server])


def command(name: str, port: int) -> list[str]:
    """The command line of the server of `name`; it ends when whoever started it does."""
    return [sys.executable, "-m", "local.llama", name, "--port", str(port), "--with-parent"]


def serve(name: str, port: int | None = None, weights: Path | None = None) -> None:
    """Serves in this process until SIGTERM or SIGINT."""
    import xllamacpp

    entry = settings(name)
    port = port or entry.port
    _refuse_busy(name, port)
    file = _weights_file(entry.weights) if weights is None else weights
    if not file.is_file():
        raise ServerFailed(f"{name}: no weights at {file}.", next_step="Check the path given by --weights.")
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {name}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = entry.context * entry.slots, entry.slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = entry.threads
    params.n_threads_http = entry.slots + 2  # health checks get through while every slot answers
    params.cache_prompt, params.cache_ram_mib = True, 128  # the system prompt is computed once; evicted prompts stay within 128 MiB
    params.fit_params = False  # the context is what servers.yaml says, or the start fails
    params.ui = False
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    server = xllamacpp.Server(params)
    print(f"{name} listens at {server.listening_address}/v1 ({file})", flush=True)
    stopped.wait()
    os._exit(0)  # llama.cpp's own teardown waits for idle connections; nothing here needs saving


def _weights_file(weights: str) -> Path:
    from pipelines.packages import weights as fetch

    return fetch(weights)


def _refuse_busy(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise ServerFailed(
                f"{name}: port {port} is busy.", next_step=f"See what listens with `ss -ltnp 'sport = :{port}'`, or pass another --port."
            ) from exc


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="an entry of local/servers.yaml")
    parser.add_argument("--port", type=int)
    parser.add_argument("--weights", type=Path, help="a GGUF file instead of the packaged one")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")
    arguments = parser.parse_args()
    if arguments.with_parent:
        end_with_parent()
    try:
        extras.need("demo")
        serve(arguments.name, arguments.port, arguments.weights)
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
