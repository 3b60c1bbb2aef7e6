"""A project in a temporary folder: pool, keys, published scorers; and a real server process on it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml

from scorer.recorded_calls import RecordedCalls
from serving.access import keys, shared_keys
from serving.settings import ServingSettings
from tests.scorer.tiny import tiny_artifact

ROOT = Path(__file__).parents[2]
ROSTER = ("echo", "slow", "tooled", "hang-routed", "down-routed", "retired-one", "recorded-one", "stranger")


def entry(base_url: str | None, served_name: str, **changed: Any) -> dict[str, Any]:
    """A pool entry on the upstream at `base_url`."""
    endpoint = None if base_url is None else {"base_url": base_url, "served_name": served_name, "api_key_env": None}
    limits = {"concurrency": 64, "connect_s": 2, "first_token_s": 5, "between_chunks_s": 2, "total_s": 5}
    values = {"name": served_name, "endpoint": endpoint, "price": {"input": 1.0, "output": 2.0}, "data_policy": ["local"], "limits": limits}
    return values | changed


@dataclass
class World:
    """One project. `key` opens everything."""

    home: Path
    base_url: str
    key: str = ""
    roster: tuple[str, ...] = ROSTER
    made: set[str] = field(default_factory=set)
    database_url: str = ""

    def __post_init__(self) -> None:
        """Writes the pool, a key and the first scorer version."""
        (self.home / "registry").mkdir(parents=True)
        self.write_pool(self.pool())
        self.key = self.key or keys.create(shared_keys.store(self.settings()), "everything", keys.SCOPES)

    def pool(self) -> dict[str, Any]:
        """The entries, one for each way to go wrong."""
        up = self.base_url
        impatient = {"concurrency": 64, "connect_s": 2, "first_token_s": 1, "between_chunks_s": 1, "total_s": 1}
        dear = {"input": 9.0, "output": 9.0}
        return {
            "echo": entry(up, "echo", price={"input": 0.5, "output": 1.0}),
            "slow": entry(up, "slow"),
            "tooled": entry(up, "tooled", capabilities=["tools", "json", "vision"], price=dear, data_policy=["vendor"]),
            "hang-routed": entry(up, "hang.routed", limits=impatient),
            "down-routed": entry(up, "down.routed"),
            "hang": entry(up, "hang", limits=impatient),
            **{how: entry(up, how) for how in ("refuse", "down", "cut", "garbled", "error-inside")},
            "retired-one": entry(up, "echo", status="retired"),
            "recorded-one": entry(None, "recorded"),
        }

    def write_pool(self, entries: Mapping[str, Any]) -> None:
        """Replaces registry/pool.yaml."""
        partial = self.home / "registry" / "partial"
        partial.write_text(yaml.safe_dump({"llms": dict(entries)}))
        partial.replace(self.home / "registry" / "pool.yaml")

    def artifact(
        self,
        folder: str,
        *,
        roster: tuple[str, ...] | None = None,
        seed: int = 0,
        recorded_calls: Mapping[str, RecordedCalls] | None = None,
    ) -> Path:
        """A scorer version's files, not published yet."""
        if folder not in self.made:
            path = self.home / "var" / "scorers" / folder
            tiny_artifact(path, roster=roster or self.roster, seed=seed, recorded_calls=recorded_calls)
            self.made.add(folder)
        return self.home / "var" / "scorers" / folder

    def publish(self, version: str, *, roster: tuple[str, ...] | None = None, seed: int = 0, certificate: str = "") -> None:
        """Makes `version` current, as registry.sync does."""
        self.artifact(version, roster=roster, seed=seed)
        scorers = self.home / "var" / "scorers"
        (scorers / "partial").write_text(
            json.dumps({"version": version, "folder": version, "published_at": "2026-01-01T00:00:00Z", "certificate": certificate})
        )
        (scorers / "partial").replace(scorers / "current.json")

    def settings(self, **changed: Any) -> ServingSettings:
        """The server's, quick to follow files."""
        return ServingSettings(_env_file=None, **{"home": self.home, "poll_s": 0.02, "database_url": self.database_url, **changed})

    @contextlib.contextmanager
    def served(self, *, wait: str = "/readyz", python: Path | None = None, **environment: str) -> Iterator["Running"]:
        """A real `python -m serving` on this project; `python`: of an environment that holds the product, in place of ours."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = {
            "ROUTEMOA_HOME": str(self.home),
            "ROUTEMOA_PORT": str(port),
            "ROUTEMOA_POLL_S": "0.05",
            "OMP_NUM_THREADS": "1",
            "ROUTEMOA_DATABASE_URL": self.database_url,
            **environment,
        }
        path = "" if python else os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with (self.home / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [str(python or sys.executable), "-m", "serving"],
                cwd=self.home,
                env={**os.environ, "PYTHONPATH": path, **given},
                stdout=log,
                stderr=log,
            )
        running = Running(process, f"http://127.0.0.1:{port}", self.key, self.home / "server.log")
        try:
            running.wait_for(wait)
            yield running
        finally:
            process.kill()
            process.wait()


@dataclass
class Running:
    """A server process."""

    process: subprocess.Popen[bytes]
    url: str
    key: str
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        """Opens everything."""
        return {"Authorization": f"Bearer {self.key}"}

    def client(self) -> httpx2.Client:
        """Keeps connections open."""
        return httpx2.Client(base_url=self.url, headers=self.headers, trust_env=False, timeout=30)

    def wait_for(self, path: str, status: int = 200, seconds: float = 150) -> None:
        """Returns when `path` answers `status`."""
        give_up = time.monotonic() + seconds
        with self.client() as client:
            while time.monotonic() < give_up:
                assert self.process.poll() is None, self.log.read_text()
                with contextlib.suppress(httpx2.TransportError):
                    if client.get(path).status_code == status:
                        return
                time.sleep(0.05)
        raise AssertionError(f"{path} did not answer {status}: {self.log.read_text()}")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)
