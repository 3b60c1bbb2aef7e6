"""Two hosts behind a real haproxy, each in a network namespace of its own, with PostgreSQL, MLflow and LLMs on others."""

import asyncio
import contextlib
import importlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg

from benchmarks.network import DATA, FRONT, REGISTRY, Network, impossible, network
from benchmarks.server_world import LLMS, ROOT, publish, upstream, write_pool
from local.errors import LocalError
from local.team import postgres
from registry import server
from registry.database.postgres import lock_number
from registry.settings import Settings
from serving.access import keys, shared_keys
from serving.settings import ServingSettings

HOSTS = ("one", "two")
HAPROXY = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
PORT, POSTGRES_PORT, MLFLOW_PORT = 8080, 5432, 5000
PATIENCE_S = 180.0  # of a machine that does other work, too


@dataclass
class Parts:
    """Processes by name. folder: their logs."""

    network: Network
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, host: str, command: Sequence[str], home: Path, **environment: str) -> None:
        """Starts one on a host, in a session of its own."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        more = {"PYTHONPATH": path, "ROUTEMOA_HOME": str(home), "OMP_NUM_THREADS": "1", **environment}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*self.network.inside(host), *command],
                cwd=home,
                env={**os.environ, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, name: str, number: int = signal.SIGTERM, seconds: float = 120) -> None:
        """Sends it and what it started a signal, and waits for its end."""
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(seconds)

    def log(self, name: str) -> str:
        """What it wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")


@dataclass
class Hosts:
    """All of it, up and ready. database: PostgreSQL's folder. key: opens everything. url: where callers ask, behind haproxy."""

    network: Network
    parts: Parts
    folder: Path
    database: Path
    key: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Of haproxy."""
        return f"http://{self.network.address('balancer', FRONT)}:{PORT}"

    @property
    def database_url(self) -> str:
        """Of PostgreSQL."""
        return f"postgresql://postgres@{self.network.address('database', DATA)}:{POSTGRES_PORT}/postgres"

    @property
    def mlflow_url(self) -> str:
        """Of MLflow."""
        return f"http://{self.network.address('registry', REGISTRY)}:{MLFLOW_PORT}"

    def home(self, host: str) -> Path:
        """A host's project."""
        return self.folder / host

    def settings(self, host: str) -> ServingSettings:
        """As this process reads what the host reads."""
        made: Any = {"home": self.home(host), "database_url": self.database_url, "mlflow_url": self.mlflow_url}
        return ServingSettings(_env_file=None, **made)

    def serve(self, host: str) -> None:
        """Starts its server; does not wait."""
        self.parts.start(f"server-{host}", host, [sys.executable, "-m", "serving"], self.home(host), **self.environment)

    def follow(self, host: str, module: str) -> None:
        """Starts `registry.sync`, `registry.worker` or `monitoring.watch` there; does not wait."""
        name = f"{module.rpartition('.')[2]}-{host}"
        self.parts.start(name, host, [sys.executable, "-m", module], self.home(host), **self.environment)

    def client(self, host: str | None = None, seconds: float = 60) -> httpx2.Client:
        """Asks one host, or whichever haproxy chooses."""
        url = self.url if host is None else f"http://{self.network.address(host, FRONT)}:{PORT}"
        return httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {self.key}"}, trust_env=False, timeout=seconds)

    def ready(self, host: str | None = None) -> int | None:
        """The status of `/readyz`, None where nothing answers within two seconds."""
        with contextlib.suppress(httpx2.TransportError), self.client(host, 2) as client:
            return client.get("/readyz").status_code
        return None

    def until_ready(self, host: str | None = None, status: int | None = 200) -> float:
        """Seconds until `/readyz` says so."""
        return until(f"/readyz of {host or 'the balancer'}: {status}", lambda: self.ready(host) == status)

    def takes(self, host: str) -> bool:
        """Whether haproxy sends it requests, as its log has it."""
        lines = [line for line in self.parts.log("haproxy").splitlines() if f"Server hosts/{host} is " in line]
        return not lines or " is UP" in lines[-1]

    def leader(self, name: str) -> str | None:
        """The host whose worker or monitor leads, as PostgreSQL has it."""
        number = lock_number(f"lead {name}") % 2**64
        query = """SELECT host(client_addr) FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND granted AND classid::bigint = %s AND objid::bigint = %s"""
        with psycopg.connect(self.database_url, connect_timeout=10) as connection:
            row = connection.execute(query, (number >> 32, number % 2**32)).fetchone()
        addresses = {self.network.address(host, DATA): host for host in HOSTS}
        return None if row is None else addresses[row[0]]

    def waits(self, part: str) -> bool:
        """Whether a worker or monitor stands by while another host's leads, as its log has it."""
        lines = [line for line in self.parts.log(part).splitlines() if "lead_taken" in line or "lead_waits" in line]
        return bool(lines) and "lead_waits" in lines[-1]

    def start_postgres(self) -> None:
        """Returns when it answers."""
        options = f"-p {POSTGRES_PORT} -c listen_addresses=0.0.0.0 -c unix_socket_directories= -c max_connections=100"
        where = ["-D", str(self.database / "data"), "-w", "-t", "120", "-l", str(self.database / "log")]
        _postgres(self.network, ["pg_ctl", *where, "-o", options, "start"])

    def kill_postgres(self) -> None:
        """SIGKILL to its postmaster, as when it crashes; its processes end with it."""
        postmaster = psutil.Process(int((self.database / "data" / "postmaster.pid").read_text().split()[0]))
        its = postmaster.children(recursive=True)
        postmaster.kill()
        psutil.wait_procs([postmaster, *its], 60)  # what they share in memory is not free before


@contextlib.contextmanager
def hosts(folder: Path, **environment: str) -> Generator[Hosts]:
    """Both servers ready behind haproxy. environment: of every part, beside what they need to find each other."""
    if (why := impossible() or (None if shutil.which("haproxy") else "haproxy missing: apt-get install haproxy")) is not None:
        raise SystemExit(why)
    with (
        tempfile.TemporaryDirectory(prefix="routemoa-hosts-", ignore_cleanup_errors=True) as database,
        network(*HOSTS, "balancer", "database", "registry") as made,
        _llms(made.address("desk", FRONT)) as llms,
    ):
        world = Hosts(made, Parts(made, folder), folder, Path(database))
        try:
            _lay_out_postgres(world)
            world.environment = {
                "ROUTEMOA_HOST": "0.0.0.0",  # noqa: S104  of its own namespace
                "ROUTEMOA_PORT": str(PORT),
                "ROUTEMOA_DATABASE_URL": world.database_url,
                "ROUTEMOA_MLFLOW_URL": world.mlflow_url,
                "ROUTEMOA_LEAVE_S": "5",
                **environment,
            }
            for host in HOSTS:
                write_pool(world.home(host), llms)
                shutil.copy(ROOT / "params.yaml", world.home(host))
                publish(world.home(host), "1", LLMS)
            world.key = keys.create(shared_keys.store(world.settings("one")), "everything", keys.SCOPES)
            for host in HOSTS:
                world.serve(host)
            addresses = {f"ROUTEMOA_SERVER_{at + 1}": f"{made.address(host, FRONT)}:{PORT}" for at, host in enumerate(HOSTS)}
            balancer = ["haproxy", "-W", "-db", "-f", str(HAPROXY)]
            world.parts.start("haproxy", "balancer", balancer, folder, ROUTEMOA_BIND=f":{PORT}", **addresses)
            for host in HOSTS:
                world.until_ready(host)
                until(f"haproxy takes {host} in", lambda host=host: world.takes(host))  # type: ignore[misc]
            yield world
        finally:
            for name in list(world.parts.running):
                world.parts.end(name, signal.SIGKILL)
            with contextlib.suppress(OSError, psutil.Error):
                world.kill_postgres()


@contextlib.contextmanager
def mlflow(world: Hosts) -> Iterator[None]:
    """A real MLflow on a host of its own, ready."""
    home = world.folder / "registry"
    (home / "var" / "mlflow").mkdir(parents=True)
    shutil.copy(importlib.import_module("tests.mlflow_server").template(), home / "var" / "mlflow" / "mlflow.db")
    command = server.command(MLFLOW_PORT)
    command[command.index("--host") + 1] = "0.0.0.0"  # noqa: S104  of its own namespace
    environment = {**server.environment(Settings(_env_file=None, home=home)), "MLFLOW_SERVER_ALLOWED_HOSTS": "*"}
    world.parts.start("mlflow", "registry", command, home, **environment)
    with httpx2.Client(base_url=world.mlflow_url, trust_env=False, timeout=5) as client:

        def answers() -> bool:
            with contextlib.suppress(httpx2.TransportError):
                return client.get("/health").status_code == 200
            return False

        until("MLflow answers", answers)
        yield


def until(what: str, true: Callable[[], Any], seconds: float = PATIENCE_S) -> float:
    """Seconds until it is true; ends the benchmark where it does not become so."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"Not within {seconds:g} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - began


@contextlib.contextmanager
def _llms(host: str) -> Iterator[str]:
    """The address of LLMs that this process answers for, in a thread."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), []

    async def run() -> None:
        async with upstream(host) as behind:
            address.append(behind.base_url)
            ready.set()
            await asyncio.Event().wait()

    def thread() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(running)

    running = loop.create_task(run())
    answering = threading.Thread(target=thread, daemon=True)
    answering.start()
    ready.wait(60)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(running.cancel)
        answering.join(10)


def _lay_out_postgres(world: Hosts) -> None:
    shutil.chown(world.database, "postgres")
    data = world.database / "data"
    _postgres(world.network, ["initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 0.0.0.0/0 trust\n")
    world.start_postgres()


def _postgres(made: Network, command: Sequence[str]) -> None:
    """Runs one of its programs on the host of the database, as the user that it insists on."""
    try:
        program = postgres.program(command[0])
    except LocalError as exc:
        raise SystemExit(str(exc)) from exc
    user = pwd.getpwnam("postgres")
    as_user = [*made.inside("database"), f"--setuid={user.pw_uid}", f"--setgid={user.pw_gid}", "--", program, *command[1:]]
    done = subprocess.run(as_user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr}")
