"""PostgreSQL for what hosts share and for MLflow's versions, S3 for MLflow's files and DVC's, Ray, two servers behind haproxy."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local.ground import Server
from local.processes import Processes, free_ports
from local.team import balancer
from local.team.cluster import Cluster
from local.team.postgres import Postgres, program
from local.team.storage import BUCKET, Storage

SERVERS = 2
FIRST_PORTS = {"postgres": 5640, "s3": 5740, "ray": 6400, "servers": 8180}


@dataclass
class Team:
    """Raises LocalError where PostgreSQL or haproxy is not installed."""

    outlives: bool = False  # the S3 server keeps nothing
    _postgres: Postgres | None = None
    _storage: Storage | None = None
    _folder: Path = Path()
    _cluster: Cluster | None = None
    _ports: dict[str, int] = field(default_factory=dict)  # of the servers, by name

    def lay(self, processes: Processes, folder: Path) -> Mapping[str, str]:
        """As `Ground` says."""
        balancer.program()
        program("initdb")
        self._folder = folder
        self._postgres = Postgres(folder / "postgres", next(free_ports(FIRST_PORTS["postgres"])))
        self._storage = Storage(next(free_ports(FIRST_PORTS["s3"])))
        self._postgres.start(processes, "routemoa", "mlflow")
        self._storage.start(processes)
        self._cluster = Cluster(next(free_ports(FIRST_PORTS["ray"])))
        return {
            **self._cluster.start(processes),
            **self._storage.environment,
            "ROUTEMOA_DATABASE_URL": self._postgres.url("routemoa"),
            "ROUTEMOA_MLFLOW_DATABASE": self._postgres.url("mlflow").replace("postgresql:", "postgresql+psycopg:"),
            "ROUTEMOA_MLFLOW_ARTIFACTS": f"s3://{BUCKET}/mlflow",
        }

    def start_servers(self, processes: Processes, address: str) -> tuple[str, tuple[Server, ...]]:
        """As `Ground` says."""
        ports = free_ports(FIRST_PORTS["servers"])
        self._ports = {f"server-{number}": next(ports) for number in range(1, SERVERS + 1)}
        servers = tuple(Server(name, f"http://127.0.0.1:{port}") for name, port in self._ports.items())
        for server in servers:
            self.start_server(processes, server)
        balancer.start(processes, self._folder / "haproxy.cfg", address, servers)
        return "balancer", servers

    def start_server(self, processes: Processes, server: Server) -> None:
        """Starts one of them, also one that was killed."""
        environment = {"ROUTEMOA_PORT": str(urlsplit(server.url).port)}
        processes.start(server.name, [sys.executable, "-m", "serving"], environment=environment)

    def places(self) -> Mapping[str, str]:
        """Without the password, which is in the project's var."""
        postgres = f"127.0.0.1:{self._postgres.port}" if self._postgres else ""
        storage = self._storage.url if self._storage else ""
        cluster = f"127.0.0.1:{self._cluster.port}" if self._cluster else ""
        servers = ", ".join(f"127.0.0.1:{port}" for port in self._ports.values())
        return {"Servers behind the API": servers, "PostgreSQL": postgres, "S3": storage, "Ray": cluster}
