"""A backup is taken while the platform serves, all is wiped, the backup is put back: nothing is missing, on files and on PostgreSQL."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from registry import promotion, versions
from registry.bucket import Bucket
from registry.settings import Settings
from registry.sync import Sync
from registry.version import Version
from tests.mlflow_server import MLflow, running
from tests.registry.conftest import LINEAGE, METRICS, TRAIN
from tests.scorer.tiny import tiny_artifact
from tests.servers import postgres, s3
from tests.serving import faulty_upstream
from tests.serving.world import ROOT, ROSTER, Running, World

KNOWN = tuple(llm for llm in ROSTER if llm != "stranger")  # whom the pool has

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1200)]
QUESTION = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum ?"}]}


@dataclass
class Platform:
    """One that runs. variables: where it keeps things. wipe: takes all of that away."""

    world: World
    mlflow: MLflow
    variables: Mapping[str, str]
    wipe: Callable[[], None]

    @property
    def settings(self) -> Settings:
        """As its parts read them."""
        named = {name.removeprefix("ROUTEMOA_").lower(): value for name, value in self.variables.items() if name.startswith("ROUTEMOA_")}
        return Settings(_env_file=None, **named, home=self.world.home, mlflow_url=self.mlflow.url)

    def promote_a_version(self, folder: Path) -> Version:
        """Registers one, makes it champion and publishes it here."""
        tiny_artifact(folder / "scorer", roster=KNOWN)
        (folder / "evaluation").mkdir()
        made = versions.register(folder / "scorer", folder / "evaluation", METRICS, TRAIN, LINEAGE, settings=self.settings)
        promotion.promote(made.version, override="the first", settings=self.settings)
        Sync(self.settings).step(0.0)
        return made

    def run(self, *arguments: str) -> str:
        """A `routemoa` command; what it printed."""
        environment = {**os.environ, **self.variables, "ROUTEMOA_HOME": str(self.world.home), "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
        command = [sys.executable, "-m", "cli.main", *arguments]
        ended = subprocess.run(command, cwd=self.world.home, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@pytest.fixture(params=["files", "team"])
def platform(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """On this host's files alone; and on PostgreSQL and S3."""
    make = {"files": _on_files, "team": _on_postgres_and_s3}[request.param]
    with faulty_upstream.running() as base_url:
        yield from make(tmp_path / "home", base_url, tmp_path, monkeypatch)


def _on_files(home: Path, base_url: str, *_: Any) -> Iterator[Platform]:
    with running(home) as mlflow:
        yield Platform(World(home, base_url), mlflow, {}, lambda: shutil.rmtree(home))


def _on_postgres_and_s3(home: Path, base_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with postgres.running() as database, s3.running(folder) as storage:
        for name, value in storage.environment.items():
            monkeypatch.setenv(name, value)
        shared = database.create_for_tests()
        mine = {"mlflow_database": database.create("mlflow"), "mlflow_artifacts": f"s3://{storage.bucket}/mlflow"}
        variables = {"ROUTEMOA_DATABASE_URL": shared, **{f"ROUTEMOA_{name.upper()}": value for name, value in mine.items()}}

        def wipe() -> None:
            shutil.rmtree(home)
            for name in (shared.rpartition("/")[2], "mlflow"):
                with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as connection:
                    connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
                database.create(name)
            bucket = Bucket(storage.bucket)
            for key in bucket.names():
                bucket._client.delete_object(Bucket=storage.bucket, Key=key)
            assert storage.names() == []

        with running(home, more=storage.environment, **mine) as mlflow:
            (home / ".dvc").mkdir()
            (home / ".dvc" / "config").write_text(f"[core]\n    remote = team\n['remote \"team\"']\n    url = s3://{storage.bucket}/dvc\n")
            (folder / "pushed" / "files" / "md5" / "ab").mkdir(parents=True)
            (folder / "pushed" / "files" / "md5" / "ab" / "cdef").write_text("labels")
            Bucket(storage.bucket, "dvc").upload(folder / "pushed")
            yield Platform(World(home, base_url, database_url=shared), mlflow, variables, wipe)


def known(server: Running, decisions: list[str]) -> dict[str, Any]:
    """What the platform knows of its past: the scorer, its keys with what they spent, and `decisions`."""
    with server.client() as client:
        kept = [client.get(f"/v1/decisions/{decision}") for decision in decisions]
        assert [answer.status_code for answer in kept] == [200] * len(decisions)
        while (listed := client.get("/admin/keys").json())["keys"][0]["day"]["requests"] < len(decisions):
            time.sleep(0.1)  # without a budget a request is counted within a second of its answer
        return {
            "scorer": client.get("/admin/scorer").json()["version"],
            "keys": [{name: value for name, value in key.items() if "used" not in name} for key in listed["keys"]],
            "decisions": [answer.json() for answer in kept],
        }


def test_everything_is_there_again(platform: Platform, tmp_path: Path) -> None:
    """The same champion routes, the same key opens, its spending counts, decisions and what was said of them are known."""
    world = platform.world
    version = platform.promote_a_version(tmp_path)
    with world.served() as server:
        with server.client() as client:
            answers = [client.post("/v1/chat/completions", json=QUESTION) for _ in range(3)]
            decisions = [answer.headers["x-routemoa-decision"] for answer in answers]
            assert client.post("/v1/feedback", json={"decision_id": decisions[0], "score": 0.25}).status_code == 200
        before = known(server, decisions)
        said = platform.run("backup", str(tmp_path / "kept"))
    assert before["scorer"] == version.version
    assert f"files in {tmp_path / 'kept'}" in said

    platform.mlflow.kill()
    platform.wipe()
    world.home.mkdir()
    platform.run("restore", str(tmp_path / "kept"))

    platform.mlflow.processes.logs.mkdir(parents=True, exist_ok=True)
    platform.mlflow.start()
    champion = versions.champion(settings=platform.settings)
    assert champion is not None
    assert (champion.version, champion.content_hash) == (version.version, version.content_hash)
    shutil.rmtree(world.home / "var" / "scorers")  # a new host has none: MLflow's files came back, too
    Sync(platform.settings).step(0.0)
    with world.served() as server:
        assert known(server, decisions) == before
        with server.client() as client:
            assert client.post("/v1/chat/completions", json=QUESTION).status_code == 200
    if platform.variables:
        assert Bucket.at("s3://routemoa/dvc").names() == ["files/md5/ab/cdef"]
