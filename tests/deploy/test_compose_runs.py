"""deploy/compose.yaml without containers: its own commands, variables and health checks as real processes, in a network of their own.

Names such as `postgres` and `mlflow` are addresses of this network, so every address in the file is used as it stands. What stands in
for images that are not ours: Debian's PostgreSQL and Redis, moto as S3, Debian's haproxy with the servers listed by address.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.processes import Processes
from local.team.balancer import program as haproxy
from local.team.postgres import as_user, program
from local.team.storage import COMMAND as MOTO
from registry import promotion, versions
from registry.settings import Settings
from tests.deploy.manifests import COMPOSE, DEPLOY, OURS, ROOT, make_secrets
from tests.registry.conftest import LINEAGE, METRICS, TRAIN
from tests.scorer.tiny import tiny_artifact
from tests.serving import faulty_upstream
from tests.serving.world import ROSTER, World

INSIDE = "ROUTEMOA_TEST_NETWORK"
HOSTS = {"postgres": "127.0.1.1", "s3": "127.0.1.2", "redis": "127.0.1.3", "mlflow": "127.0.1.4", "balancer": "127.0.1.7"}
SERVERS = {"server-1": "127.0.1.5", "server-2": "127.0.1.6"}
QUESTION = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum ?"}]}
PATIENCE_S = 300
pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1500)]


def network_of_its_own() -> list[str]:
    """What stands before a command that gets one. Skips where that is not allowed."""
    command = ["unshare", "--mount", "--net", "--"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespaces here: they need root and unshare")
    return command


@pytest.mark.skipif(INSIDE in os.environ, reason="this is inside")
def test_the_file_runs(tmp_path: Path) -> None:
    """Everything below, in a network where nobody else listens."""
    for missing in ("initdb", "pg_isready"):
        program(missing)
    if shutil.which("redis-server") is None or shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("redis-server or haproxy is not installed")
    hosts = tmp_path / "hosts"
    names = {"localhost": "127.0.0.1", **HOSTS, "server": SERVERS["server-1"]}
    hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    script = f'ip link set lo up && mount --bind "{hosts}" /etc/hosts && exec "$@"'
    nested = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inside'}", __file__]
    command = [*network_of_its_own(), "bash", "-c", script, "bash", *nested]
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, INSIDE: "1"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert "1 passed" in ended.stdout


class Composed:
    """Services of the file as processes. folder: where what they keep is."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder, self.processes = folder, processes
        self.secrets = make_secrets(folder / "secrets")
        self.project, self.mlflow = folder / "project", folder / "mlflow"
        self.mlflow.mkdir()

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """What the container would have, and no more: the image's, its files of secrets, its own."""
        service = COMPOSE["services"][name]
        mounted = self.mlflow if "mlflow:/project" in service.get("volumes", []) else self.project
        image = {"ROUTEMOA_HOME": str(mounted), "ROUTEMOA_HOST": "0.0.0.0", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        listed: dict[str, str] = {}
        for file in service.get("env_file", []):
            listed |= self.secrets[file]
        own = {key: value.replace("/cache", str(self.folder / "cache")) for key, value in service.get("environment", {}).items()}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OMP_NUM_THREADS": "1", **image, **listed, **own, **more}

    def command(self, words: list[str]) -> list[str]:
        """As it stands in the file, by this environment's Python."""
        first = {"python": [sys.executable], "routemoa": [sys.executable, "-m", "cli.main"]}.get(words[0], [words[0]])
        return [*first, *words[1:]]

    def run(self, name: str) -> None:
        """A service that others wait for until it has ended."""
        command = self.command(COMPOSE["services"][name]["command"])
        home = self.folder if name == "bucket" else self.project
        ended = subprocess.run(command, cwd=home, env=self.environment(name), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{name}: {ended.stdout}{ended.stderr}"

    def start(self, name: str, process: str = "", **more: str) -> None:
        """A service that stays; `process`: its name, where there are several."""
        with (self.folder / f"{process or name}.log").open("wb") as log:
            self.processes.running[process or name] = subprocess.Popen(
                self.command(COMPOSE["services"][name]["command"]),
                cwd=self.mlflow if name == "mlflow" else self.project,
                env=self.environment(name, **more),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_healthy(self, name: str) -> None:
        """By the check that stands in the file."""
        check = self.command(COMPOSE["services"][name]["healthcheck"]["test"][1:])
        give_up = time.monotonic() + PATIENCE_S
        while subprocess.run(check, env=self.environment(name), capture_output=True, check=False).returncode != 0:
            assert self.processes.running[name].poll() is None, (self.folder / f"{name}.log").read_text()
            assert time.monotonic() < give_up, (self.folder / f"{name}.log").read_text()
            time.sleep(0.5)


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Composed]:
    """With PostgreSQL laid out by the file's own script, S3 and Redis."""
    with ExitStack() as started:
        processes = started.enter_context(Processes(logs=tmp_path / "logs", home=tmp_path))
        made = Composed(tmp_path, processes)
        _postgres(made, started)
        moto = {**os.environ, **made.secrets["secrets/s3.env"]}
        processes.start("s3", [sys.executable, "-c", MOTO, "-H", HOSTS["s3"], "-p", "7070"], environment=moto)
        processes.wait_until_ready("s3", "http://s3:7070/moto-api/", seconds=PATIENCE_S)
        processes.start("redis", [*COMPOSE["services"]["redis"]["command"], "--bind", HOSTS["redis"]])
        yield made


def _postgres(made: Composed, started: ExitStack) -> None:
    import tempfile

    place = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="routemoa-compose-", ignore_cleanup_errors=True)))
    passwords = made.secrets["secrets/postgres.env"]
    (place / "password").write_text(passwords["POSTGRES_PASSWORD"])
    for path in (place, place / "password"):
        shutil.chown(path, "postgres")
    options = ("--auth=scram-sha-256", f"--pwfile={place / 'password'}", "-U", "postgres", "--no-sync")
    subprocess.run([*as_user(), program("initdb"), "-D", str(place / "data"), *options], check=True, capture_output=True, cwd="/")
    where = ("-c", f"listen_addresses={HOSTS['postgres']}", "-c", "unix_socket_directories=", "-c", "fsync=off")
    made.processes.start("postgres", [*as_user(), program("postgres"), "-D", str(place / "data"), *where])
    give_up = time.monotonic() + PATIENCE_S
    while subprocess.run([program("pg_isready"), "-h", "postgres"], capture_output=True, check=False).returncode != 0:
        made.processes.check("postgres")
        assert time.monotonic() < give_up
        time.sleep(0.1)
    login = {"PGHOST": "postgres", "PGPASSWORD": passwords["POSTGRES_PASSWORD"], "PGDATABASE": "postgres"}
    subprocess.run([DEPLOY / "postgres" / "databases.sh"], env={**os.environ, **passwords, **login}, check=True, capture_output=True)


def _balancer(made: Composed) -> None:
    """The file's own settings, but for finding servers by Docker's names."""
    text = (DEPLOY / "haproxy" / "compose.cfg").read_text()
    listed = "\n".join(f"    server {name} {address}:8080" for name, address in SERVERS.items())
    for as_it_is, here in (
        ("bind :8080", f"bind {HOSTS['balancer']}:8080"),
        (" resolvers network init-addr none", ""),
        ("    server-template server- 8 server:8080", listed),
    ):
        assert as_it_is in text
        text = text.replace(as_it_is, here)
    (made.folder / "haproxy.cfg").write_text(text)
    made.processes.start("balancer", [haproxy(), "-db", "-f", str(made.folder / "haproxy.cfg")])


def _promote(made: Composed, folder: Path) -> str:
    """A version in the platform's MLflow, made champion."""
    roster = tuple(llm for llm in ROSTER if llm != "stranger")
    tiny_artifact(folder / "scorer", roster=roster)
    (folder / "evaluation").mkdir()
    settings = Settings(_env_file=None, home=made.project, mlflow_url="http://mlflow:5001")
    version = versions.register(folder / "scorer", folder / "evaluation", METRICS, TRAIN, LINEAGE, settings=settings).version
    promotion.promote(version, override="the first", settings=settings)
    return version


@pytest.mark.skipif(INSIDE not in os.environ, reason="the test above runs it in a network of its own")
def test_inside(composed: Composed, tmp_path: Path) -> None:
    """In the order of the file everything becomes healthy, a version that is promoted is served by both servers, and one may be stopped."""
    assert {"sync", "server", "worker", "monitor", "console", "mlflow", "bucket", "database"} == set(OURS)
    url = composed.secrets["secrets/routemoa.env"]["ROUTEMOA_DATABASE_URL"]
    with faulty_upstream.running() as base_url:
        composed.run("bucket")
        composed.start("mlflow")
        world = World(composed.project, base_url, database_url=url)
        shutil.copy(ROOT / "params.yaml", composed.project)
        composed.run("database")
        composed.wait_until_healthy("mlflow")
        for name in ("sync", "worker", "monitor"):
            composed.start(name)
        for name, address in SERVERS.items():
            composed.start("server", name, ROUTEMOA_HOST=address)
        _balancer(composed)
        composed.start("console")
        version = _promote(composed, tmp_path)
        with httpx2.Client(
            base_url="http://balancer:8080", headers={"Authorization": f"Bearer {world.key}"}, trust_env=False, timeout=60
        ) as api:
            _until(composed, lambda: [_ready(address) for address in SERVERS.values()] == [200, 200])
            composed.wait_until_healthy("console")
            _until(composed, lambda: api.get("/readyz").status_code == 200)
            assert api.get("/admin/scorer").json()["version"] == version
            served = [api.post("/v1/chat/completions", json=QUESTION) for _ in range(4)]
            assert [answer.status_code for answer in served] == [200] * 4
            decisions = [answer.headers["x-routemoa-decision"] for answer in served]
            composed.processes.stop("server-1", grace=75)
            assert [api.get(f"/v1/decisions/{decision}").status_code for decision in decisions] == [200] * 4
            assert api.post("/v1/chat/completions", json=QUESTION).status_code == 200
        composed.processes.check()
        assert "worker_started" in (composed.folder / "worker.log").read_text()


def _ready(address: str) -> int:
    try:
        return httpx2.get(f"http://{address}:8080/readyz", trust_env=False, timeout=5).status_code
    except httpx2.TransportError:
        return 0


def _until(composed: Composed, true: Any) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        for name, process in composed.processes.running.items():
            log = composed.folder / f"{name}.log"
            assert process.poll() is None, f"{name}: {log.read_text() if log.exists() else ''}"
        assert time.monotonic() < give_up, [path.read_text()[-500:] for path in composed.folder.glob("*.log")]
        time.sleep(0.5)
