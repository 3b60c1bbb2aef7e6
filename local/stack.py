"""The whole platform on this machine: local LLM servers, MLflow, sync, worker, server, Evidently, console; `routemoa up` runs it."""

import json
import re
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from local import addresses, llama
from local.addresses import PORTS, Addresses
from local.ground import Ground, OneHost, Server, exported
from local.processes import Processes, free_ports
from pipelines.project import Project
from registry import pool as pools
from registry import server as mlflow_server
from registry.mlflow_door import Door
from registry.settings import Settings

READY_S = 300.0  # of any part, on a machine that does much else: one that ends is noticed at once, so a long wait costs nothing
USUAL_LIMITS_S = {"first_token_s": 60.0, "between_chunks_s": 30.0, "total_s": 120.0}  # of the local pool's LLMs


@dataclass
class Stack:
    """The platform's processes for one project; parts are started in the order the loop needs them."""

    settings: Settings
    processes: Processes
    addresses: Addresses
    api_key: str
    own_registry: bool = True  # False: MLflow is somebody's server, named by ROUTEMOA_MLFLOW_URL
    ground: Ground = field(default_factory=OneHost)
    servers: tuple[Server, ...] = ()  # those that answer behind the server's address, once they are started
    front: str = "server"  # the process that listens there

    def start_llms(self) -> list[str]:
        """Starts a llama.cpp server for each local LLM the pool names; returns the servers' names."""
        started = []
        for name, port in sorted(_local_servers(self.settings.pool_file).items()):
            self.processes.start(f"llm-{name}", llama.command(name, port))
            started.append((name, port))
        for name, port in started:
            self.processes.wait_until_ready(f"llm-{name}", f"http://127.0.0.1:{port}/health", seconds=READY_S)
        return [name for name, _ in started]

    def begin_registry(self) -> None:
        """Starts MLflow and does not wait: its first start makes its database, and LLMs may load meanwhile; none where one is named."""
        if not self.own_registry:
            return
        self._move_off_taken_ports("mlflow")
        port = urlsplit(self.addresses.mlflow).port or PORTS["mlflow"]
        command, environment = mlflow_server.command(port), mlflow_server.environment(self.settings)
        self.processes.start("mlflow", command, environment=environment)

    def start_registry(self) -> None:
        """Starts MLflow, where that was not begun, and waits for it; one that is named has to answer.

        Raises RegistryUnreachable where it does not, RegistryFailed where it refuses us.
        """
        if not self.own_registry:
            Door.of(self.settings).aliases()
            return
        if "mlflow" not in self.processes.running:
            self.begin_registry()
        self.processes.wait_until_ready("mlflow", f"{self.addresses.mlflow}/health", seconds=READY_S)

    def start_serving(self) -> None:
        """Starts sync, the job worker, the servers and Evidently's pages; waits until each that has an address answers."""
        from monitoring import evidently_report

        self._move_off_taken_ports("server", "evidently")
        self.processes.start("sync", [sys.executable, "-m", "registry.sync"])
        self.processes.start("worker", [sys.executable, "-m", "registry.worker"])
        self.front, self.servers = self.ground.start_servers(self.processes, self.addresses.server)
        self.processes.start(
            "evidently", evidently_report.ui_command(self.settings, urlsplit(self.addresses.evidently).port or PORTS["evidently"])
        )
        for server in self.servers:
            self.processes.wait_until_ready(server.name, f"{server.url}/livez", seconds=READY_S)

    def _move_off_taken_ports(self, *parts: str) -> None:
        """Chooses again where something took a port in the meantime: LLMs may have loaded, the pipeline may have run for minutes since."""
        self.addresses = replace(self.addresses, **{part: addresses.free(getattr(self.addresses, part)) for part in parts})
        self.settings = addresses.settings(self.settings.home, self.addresses, own_registry=self.own_registry)

    def be_patient(self, times: float) -> None:
        """Lets every answer of an LLM here take `times` as long as usual; to be called before the server is started."""
        yaml = YAML()
        content = yaml.load(self.settings.pool_file)
        for llm in pools.load(self.settings.pool_file).active:
            limits = content["llms"][llm.id].setdefault("limits", {})
            limits.update({name: round(times * seconds, 1) for name, seconds in USUAL_LIMITS_S.items()})
        yaml.dump(content, self.settings.pool_file)
        addresses.write_env(self.settings.home, {"ROUTEMOA_MIXTURE__DEADLINE_S": f"{times * USUAL_LIMITS_S['total_s']:.0f}"})

    def start_monitor(self) -> None:
        """Starts the monitor, which looks at the traffic by itself and submits a job on the verdict `retrain`."""
        self.processes.start("monitor", [sys.executable, "-m", "monitoring.watch"])

    def start_console(self) -> None:
        """Starts the web page and waits until it answers."""
        self._move_off_taken_ports("console")
        self.processes.start("console", [sys.executable, "-m", "console"])
        self.processes.wait_until_ready("console", f"{self.addresses.console}/livez", seconds=READY_S)

    def wait_until_routing(self) -> None:
        """Returns when every server has a scorer and routes."""
        self.processes.check("sync", self.front)
        for server in (*self.servers, Server(self.front, self.addresses.server)):
            self.processes.wait_until_ready(server.name, f"{server.url}/readyz", seconds=READY_S)


@contextmanager
def stack(
    home: Path, preferences: Mapping[str, str] | None = None, *, own_registry: bool = False, ground: Ground | None = None
) -> Iterator[Stack]:
    """The platform's processes for the project in `home`; whatever was started is stopped on leaving, Ctrl-C and SIGTERM included.

    Addresses and `preferences` (ROUTEMOA_* variables) are written into the project's `.env`, for every command run in it.
    own_registry: MLflow is this project's own, whatever ROUTEMOA_MLFLOW_URL names. ground: what it stands on, files without one; where that
    is, every process learns from its environment, and `.env` does not say.
    """
    home, ground = home.absolute(), ground or OneHost()
    named = None if own_registry else addresses.named_registry(home)
    chosen = addresses.choose(named)
    _avoid_taken_ports(home / "registry" / "pool.yaml")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logs = home / "var" / "logs"
    with (
        addresses.exported_as(chosen),
        Processes(logs=logs, home=home, environment={"ROUTEMOA_HOME": str(home)}) as processes,
        exported(ground.lay(processes, home / "var" / "ground")),
    ):
        settings = addresses.settings(home, chosen, own_registry=named is None)
        addresses.write_env(home, preferences or {})
        yield Stack(settings, processes, chosen, _api_key(settings), own_registry=named is None, ground=ground)


def up(home: Path) -> None:
    """Starts everything for the project in `home` and stays up until Ctrl-C."""
    console = Console()
    with stack(home) as platform:
        with console.status("Starting the LLMs and MLflow"):
            platform.begin_registry()
            platform.start_llms()
            platform.start_registry()
        with console.status("Starting the server"):
            platform.start_serving()
        console.print(where(platform))
        stay(platform)


def stay(platform: Stack) -> None:
    """Keeps the platform, its monitor and its console up until Ctrl-C; raises ProcessFailed as soon as one of its processes ends."""
    platform.start_monitor()
    platform.start_console()
    Console().print("Up. Ctrl-C stops everything.")
    pause = threading.Event()
    try:
        while not pause.wait(2.0):
            platform.processes.check()
    except KeyboardInterrupt:
        Console().print("Stopping.")


def where(platform: Stack) -> Table:
    """Every address and path a person may want to look at."""
    table = Table(title="Where to look", show_header=False, title_justify="left")
    table.add_column(overflow="fold", max_width=26)  # leaves the key on one line of 80 columns, to be copied
    table.add_column(overflow="fold")
    for name, place in {
        "Console": platform.addresses.console,
        "API": platform.addresses.server,
        "API key": platform.api_key,
        "MLflow (promote here: set the alias `champion`)": platform.addresses.mlflow,
        "Evidently": platform.addresses.evidently,
        "Drift reports": str(platform.settings.var / "reports"),
        "Data Docs": str(Project(platform.settings.home).validation),
        **platform.ground.places(),
        "Logs": str(platform.settings.var / "logs"),
        "Project": str(platform.settings.home),
    }.items():
        table.add_row(name, place)
    return table


def _local_servers(pool_file: Path) -> dict[str, int]:
    """Name -> port of the llama.cpp servers that the pool's entries point to."""
    bundled, ports = llama.names(), {}
    for llm in pools.load(pool_file).active:
        if llm.endpoint is not None and llm.endpoint.served_name in bundled:
            address = urlsplit(llm.endpoint.base_url)
            if address.hostname == "127.0.0.1" and address.port is not None:
                ports[llm.endpoint.served_name] = address.port
    return ports


def _avoid_taken_ports(pool_file: Path) -> None:
    """Moves the pool's local LLMs to free ports where something else listens on theirs."""
    moves: dict[int, int] = {}
    for port in sorted(_local_servers(pool_file).values()):
        moves[port] = next(free for free in free_ports(port) if free not in moves.values())
    if any(old != new for old, new in moves.items()):
        text = pool_file.read_text()
        pool_file.write_text(re.sub(r"(?<=127\.0\.0\.1:)\d+(?=/)", lambda port: str(moves.get(int(port[0]), port[0])), text))


def _api_key(settings: Settings) -> str:
    """The demo user's key: made once, kept readable only by this user; the server itself keeps only its hash."""
    from serving.access import keys, shared_keys
    from serving.settings import ServingSettings

    file = settings.var / "demo-key.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        store = shared_keys.store(ServingSettings(_env_file=settings.home / ".env", home=settings.home))
        key = keys.create(store, f"demo-{secrets.token_hex(3)}", scopes=keys.SCOPES)
        file.touch(mode=0o600)
        file.write_text(json.dumps({"key": key}))
    return str(json.loads(file.read_text())["key"])
