"""A team's ground: real PostgreSQL, S3 and haproxy, each started, used and gone afterwards."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from local import demo
from local.errors import LocalError
from local.ground import Server, exported
from local.processes import Processes, free_ports
from local.team import acts, balancer, postgres
from local.team.ground import Team
from local.team.postgres import Postgres
from registry.bucket import Bucket

BACKEND = (
    "import sys; from http.server import *\n"
    "class Answer(BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[2].encode())\n"
    "HTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()\n"
)
ON_RAY = (
    "from pipelines.executor import door\n"
    "def squares(items):\n"
    "    return [(at, item * item) for at, item in enumerate(items)]\n"
    "executor = door.chosen()\n"
    "print(type(executor).__name__, sorted(executor.map(squares, [1, 2, 3], size=3)))\n"
)
needs_postgres = pytest.mark.skipif(
    not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("initdb") is None, reason="PostgreSQL is not installed"
)
needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the user of PostgreSQL may enter: pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="routemoa-team-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@needs_postgres
def test_postgresql_is_made_once_and_asks_for_its_password(folder: Path) -> None:
    """Its databases are there at a second start, nobody without the password gets in, and it ends with the platform."""
    server = Postgres(folder / "postgres", next(free_ports(18750)))
    for there in (0, 1):
        with Processes(logs=folder / "logs", home=folder) as processes:
            server.start(processes, "one")
            with psycopg.connect(server.url("one"), autocommit=True) as connection:
                rows = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'mine'").fetchone()
                assert rows == (there,)
                connection.execute("CREATE TABLE IF NOT EXISTS mine (id integer)")
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.url("one").replace(":" + urlsplit(server.url("one")).password, ":wrong"))
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(server.url("one"))
    assert (folder / "postgres" / "password").stat().st_mode & 0o077 == 0


@needs_postgres
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run it as somebody else")
def test_a_folder_that_its_user_may_not_enter_is_said(folder: Path) -> None:
    """Instead of initdb's own words."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with (
        Processes(logs=folder / "logs", home=folder) as processes,
        pytest.raises(LocalError, match=r"the user postgres, who may not enter .*closed\. Name a folder .* with --at"),
    ):
        Postgres(closed / "postgres", 1).start(processes)


@needs_haproxy
def test_a_server_that_is_killed_is_asked_no_more(tmp_path: Path) -> None:
    """Requests go to both; when one dies, every request goes to the other, and back when it is there again."""
    ports = free_ports(18800)
    servers = [Server(name, f"http://127.0.0.1:{next(ports)}") for name in ("server-1", "server-2")]
    front = f"http://127.0.0.1:{next(ports)}"
    with Processes(logs=tmp_path, home=tmp_path) as processes, httpx2.Client(trust_env=False, timeout=30) as client:

        def start(server: Server) -> None:
            processes.start(server.name, [sys.executable, "-c", BACKEND, str(urlsplit(server.url).port), server.name])
            processes.wait_until_ready(server.name, server.url, seconds=60)

        def until(expected: set[str]) -> None:
            while {client.get(front).text for _ in range(6)} != expected:
                processes.check("balancer")

        for server in servers:
            start(server)
        balancer.start(processes, tmp_path / "haproxy.cfg", front, servers)
        processes.wait_until_ready("balancer", front, seconds=60)
        until({"server-1", "server-2"})
        processes.stop("server-1", grace=0)
        assert {client.get(front).status_code for _ in range(20)} == {200}
        until({"server-2"})
        start(servers[0])
        until({"server-1", "server-2"})


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the package to install."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    with pytest.raises(LocalError, match=r"^haproxy is not installed\. apt-get install haproxy"):
        balancer.program()
    with pytest.raises(LocalError, match=r"^PostgreSQL's initdb is not installed\. apt-get install postgresql"):
        postgres.program("initdb")


@needs_postgres
@needs_haproxy
@pytest.mark.slow
def test_every_part_is_told_where_things_are(folder: Path) -> None:
    """PostgreSQL, S3 and Ray answer to what the variables say, and this process has none of them afterwards."""
    team = Team()
    with Processes(logs=folder / "logs", home=folder) as processes, exported(team.lay(processes, folder / "ground")):
        with psycopg.connect(os.environ["ROUTEMOA_DATABASE_URL"]) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("routemoa",)
        assert Bucket.at(os.environ["ROUTEMOA_MLFLOW_ARTIFACTS"]).names() == []
        assert os.environ["ROUTEMOA_MLFLOW_DATABASE"].startswith("postgresql+psycopg://")
        worked = subprocess.run([sys.executable, "-c", ON_RAY], cwd=folder, capture_output=True, text=True, check=False)
        assert worked.stdout == "RayExecutor [(0, 1), (1, 4), (2, 9)]\n", worked.stderr
        assert "password" not in str(team.places())
        said = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert urlsplit(os.environ["ROUTEMOA_DATABASE_URL"]).password not in said
    assert "ROUTEMOA_DATABASE_URL" not in os.environ


def test_the_team_plays_the_same_acts_and_two_more() -> None:
    """In the same order, by a command of its own."""
    one, team = demo.script(small=True, team=False), demo.script(small=True, team=True)
    names = [getattr(act, "func", act).__name__ for act in team.acts]
    assert [name for name in names if not hasattr(acts, name)] == [act.__name__ for act in one.acts]
    assert {"a_server_dies", "a_colleague"} < set(names)
    assert team.plan.command == "routemoa demo --team --small"
    assert (one.ground.outlives, team.ground.outlives) == (True, False)
