"""Each image of deploy/compose.yaml: its line of the Dockerfile installs in an environment of its own, and what it runs starts there."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import Processes, free_ports
from tests.deploy.manifests import COMPOSE, OURS
from tests.install import built
from tests.servers import postgres
from tests.serving import faulty_upstream
from tests.serving.world import ROOT, World

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1800)]
START_S = 300


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once."""
    return built.wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def database() -> Iterator[str]:
    """An empty one; its URL."""
    with postgres.running() as server:
        yield server.create_for_tests()


def image(name: str, wheel: Path, folder: Path) -> Path:
    """The interpreter of a service's image."""
    return built.installed(wheel, COMPOSE["services"][name]["build"]["args"]["EXTRAS"], folder / name)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Away from this checkout and its environment."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "ROUTEMOA_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONPATH": "", **more}


def said(processes: Processes, name: str, words: str) -> None:
    """Returns once a process has said so."""
    while words not in processes.log(name).read_text(errors="replace"):
        processes.check(name)


def test_the_servers_image_serves_from_a_database(wheel: Path, database: str, tmp_path: Path) -> None:
    """A routed answer and its decision, by PostgreSQL."""
    python = image("server", wheel, tmp_path)
    with faulty_upstream.running() as base_url:
        world = World(tmp_path / "project", base_url, database_url=database)
        world.publish("1")
        with world.served(python=python) as server, server.client() as client:
            question = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum ?"}]}
            answered = client.post("/v1/chat/completions", json=question)
            assert answered.status_code == 200, answered.text
            assert client.get(f"/v1/decisions/{answered.headers['x-routemoa-decision']}").status_code == 200


def test_the_followers_image_shows_and_follows(wheel: Path, tmp_path: Path) -> None:
    """The console answers; sync waits for an MLflow that is not there yet."""
    python = image("console", wheel, tmp_path)
    assert OURS["sync"]["image"] == OURS["console"]["image"]
    port = next(free_ports(18850))
    with Processes(logs=tmp_path / "logs", home=tmp_path) as processes:
        more = {"ROUTEMOA_CONSOLE_PORT": str(port), "ROUTEMOA_MLFLOW_URL": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
        for name, module in (("console", "console"), ("sync", "registry.sync")):
            processes.start(name, [str(python), "-m", module], environment=environment(tmp_path, **more))
        processes.wait_until_ready("console", f"http://127.0.0.1:{port}/livez", seconds=START_S)
        said(processes, "sync", "registry_unreachable")
        processes.check()


def test_the_loops_image_works_watches_and_keeps_versions(wheel: Path, database: str, tmp_path: Path) -> None:
    """Tables are laid out, MLflow answers, worker and monitor run; a bucket without a server is one sentence."""
    python = image("worker", wheel, tmp_path)
    assert {OURS[name]["image"] for name in ("mlflow", "worker", "monitor", "bucket", "database")} == {"routemoa-loop"}
    with faulty_upstream.running() as base_url:
        world = World(tmp_path / "project", base_url, database_url=database)
    shutil.copy(ROOT / "params.yaml", world.home)
    port = next(free_ports(18870))
    own = environment(world.home, ROUTEMOA_DATABASE_URL=database, ROUTEMOA_MLFLOW_URL=f"http://127.0.0.1:{port}", PATH=os.environ["PATH"])
    upgrade = [str(python.with_name("routemoa")), "database", "upgrade"]
    assert "is up to date" in subprocess.run(upgrade, cwd=world.home, env=own, capture_output=True, text=True, check=True).stdout
    bucket = subprocess.run(
        [str(python), "-m", "registry.bucket", "routemoa"],
        cwd=world.home,
        env={**own, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (bucket.returncode, "Traceback" in bucket.stderr) == (1, False)
    with Processes(logs=tmp_path / "logs", home=world.home) as processes:
        for name, module in (("mlflow", "registry.server"), ("worker", "registry.worker"), ("monitor", "monitoring.watch")):
            processes.start(name, [str(python), "-m", module], environment=own)
        processes.wait_until_ready("mlflow", f"http://127.0.0.1:{port}/health", seconds=START_S)
        said(processes, "worker", "worker_started")
        said(processes, "monitor", "no_look")
        processes.check()
