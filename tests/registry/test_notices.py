"""Notices reach a real HTTP receiver, by Apprise's `json://` address."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from registry import notices
from registry.jobs import Jobs
from registry.settings import Settings
from registry.worker import Worker


@contextmanager
def receiving(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", told
        server.shutdown()


def to(home: Path, *addresses: str) -> Settings:
    """Settings that name whom to tell."""
    return Settings(_env_file=None, home=home, notify=" ".join(addresses))


def test_everybody_named_is_told(tmp_path: Path) -> None:
    """Two receivers; with nobody named nothing is sent and nothing is wrong."""
    with receiving() as (one, told_one), receiving() as (other, told_other):
        assert notices.send(to(tmp_path, one, other), "scorer version 3 waits", "Its gate passed.")
        assert notices.send(to(tmp_path), "nobody", "hears this")
    assert [(each["title"], each["message"]) for each in told_one] == [("RouteMoA: scorer version 3 waits", "Its gate passed.")]
    assert len(told_other) == 1


def test_what_cannot_be_sent_is_logged_without_its_keys(tmp_path: Path) -> None:
    """A receiver that refuses, one that is none: the others are told, the work goes on, no address reaches the log or a print-out."""
    with receiving(500) as (broken, _), receiving() as (works, told), capture_logs() as logged:
        settings = to(tmp_path, broken, "nosuch://token-abc", works)
        assert not notices.send(settings, "a job failed", "why")
    assert [(each["event"], each["to"]) for each in logged] == [("notice_not_sent", "json"), ("notice_not_sent", "nosuch")]
    assert len(told) == 1
    assert "token-abc" not in f"{logged}{settings!r}{settings}"


def test_a_job_that_failed_is_told(tmp_path: Path) -> None:
    """With its reason and where its log is."""
    with receiving() as (address, told):
        settings = to(tmp_path, address).model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
        jobs = Jobs.in_file(tmp_path / "var" / "jobs.db")
        job = jobs.submit("rollback", {})
        claimed = jobs.claim(job.id)
        assert claimed is not None
        Worker(settings, jobs).perform(claimed)
    (notice,) = told
    assert notice["title"] == f"RouteMoA: job {job.id} failed"
    assert "http://127.0.0.1:9 does not answer" in notice["message"]
