"""Starts llama.cpp servers that speak the OpenAI protocol, one process per weights file: `python -m local.llama smollm2-135m`."""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.errors import ServerFailed
from registry.near_matches import did_you_mean
from registry.settings import Settings

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

    def stop(self) -> None:
        """Ends the server and waits for it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


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
        return {name: ServerSettings.model_validate(entry) for name, entry in yaml.safe_load(file.read_text())["servers"].items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ServerFailed(f"{file}: {exc}", next_step="Write it as the entries of the packaged servers.yaml are.") from exc


@contextlib.contextmanager
def start(name: str, port: int | None = None, *, weights: Path | None = None, wait_s: float = 120.0) -> Iterator[Handle]:
    """A running server of `name`, answering when the block is entered, ended when it is left.

    port: where it listens instead of servers.yaml's port. weights: a GGUF file instead of the packaged one.
    The server also ends when this process does, however it ends: it holds the other end of a pipe.
    Raises ServerFailed where the port is busy, the weights are missing, or it does not answer within `wait_s` seconds.
    """
    chosen = settings(name)
    port = port or chosen.port
    _refuse_busy(name, port)
    file = _weights_file(chosen.weights) if weights is None else weights
    log = Settings().var / "logs" / f"llama-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "local.llama", name, "--port", str(port), "--weights", str(file), "--with-parent"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SERVERS_FILE.parents[1]), os.environ.get("PYTHONPATH", "")])}
    with log.open("ab") as written:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=written, stderr=written, env=environment)
    handle = Handle(name, f"http://127.0.0.1:{port}/v1", log, process)
    try:
        _wait_until_it_answers(handle, wait_s)
        yield handle
    finally:
        handle.stop()


def serve(name: str, port: int | None = None, weights: Path | None = None) -> None:
    """Serves in this process until SIGTERM or SIGINT."""
    import xllamacpp

    chosen = settings(name)
    port = port or chosen.port
    _refuse_busy(name, port)
    file = _weights_file(chosen.weights) if weights is None else weights
    if not file.is_file():
        raise ServerFailed(f"{name}: no weights at {file}.", next_step="Check the path given by --weights.")
    asked = xllamacpp.CommonParams()
    asked.model.path = str(file)
    asked.model_alias = {name}
    asked.hostnames, asked.port = ["127.0.0.1"], port
    asked.n_ctx, asked.n_parallel = chosen.context * chosen.slots, chosen.slots
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = chosen.threads
    asked.n_threads_http = chosen.slots + 2  # health checks get through while every slot answers
    asked.cache_prompt, asked.cache_ram_mib = True, 128  # the system prompt is computed once; evicted prompts stay within 128 MiB
    asked.fit_params = False  # the context is what servers.yaml says, or the start fails
    asked.ui = False
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    server = xllamacpp.Server(asked)
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


def _wait_until_it_answers(handle: Handle, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    health = handle.base_url.removesuffix("/v1") + "/health"
    while time.monotonic() < until:
        if handle.process.poll() is not None:
            tail = "\n".join(handle.log.read_text(errors="replace").splitlines()[-5:])
            raise ServerFailed(
                f"{handle.name}: the server ended with code {handle.process.returncode} before it answered.\n{tail}\n",
                next_step=f"Read {handle.log}.",
            )
        try:
            with urllib.request.urlopen(health, timeout=2) as reply:  # noqa: S310  an address of our own making
                if json.load(reply).get("status") == "ok":
                    return
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    raise ServerFailed(f"{handle.name}: no answer at {health} within {wait_s:.0f} s.", next_step=f"Read {handle.log}.")


def _end_with_parent() -> None:
    """Ends this process when stdin closes: the parent holds its other end, so even `kill -9` of the parent closes it."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="an entry of local/servers.yaml")
    parser.add_argument("--port", type=int)
    parser.add_argument("--weights", type=Path, help="a GGUF file instead of the packaged one")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")
    given = parser.parse_args()
    if given.with_parent:
        _end_with_parent()
    try:
        serve(given.name, given.port, given.weights)
    except ServerFailed as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
