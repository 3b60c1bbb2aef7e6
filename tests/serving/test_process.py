"""The server as a process: what it holds, how it dies and what survives."""

import contextlib
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faulty_upstream
import httpx2
import psutil
import pytest
from uvicorn.config import STARTUP_FAILURE
from world import ROOT, Running, World

from monitoring.records.store import RecordStore

ASK = {"model": "echo", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}
LONG = [{"role": "user", "content": "word " * 40}]
HEAVY = ("torch", "transformers", "mlflow", "evidently", "pandas")


def workers_of(server: Running) -> list[psutil.Process]:
    """Its worker processes that are alive."""

    def works(child: psutil.Process) -> bool:
        try:
            return "spawn_main" in " ".join(child.cmdline())
        except psutil.Error:  # it ended meanwhile
            return False

    return [child for child in psutil.Process(server.process.pid).children() if works(child)]


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Returns once it is true."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def refuses(server: Running) -> bool:
    """Whether a new connection is refused."""
    try:
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))).close()
    except ConnectionRefusedError:
        return True
    return False


def in_flight(server: Running) -> float:
    """Of all its workers."""
    with server.client() as client:
        return float(client.get("/metrics").text.split("\nroutemoa_in_flight ")[1].split()[0])


def test_a_workers_process_is_light(shared: World) -> None:
    """None of torch, transformers, mlflow, evidently, pandas is imported, at rest or after a routed request."""
    code = f"""
import json, sys
from starlette.testclient import TestClient
from serving.app import create_app
from serving.settings import ServingSettings
app = create_app(ServingSettings(_env_file=None, home={str(shared.home)!r}))
with TestClient(app, headers={{"Authorization": "Bearer {shared.key}"}}) as client:
    while client.get("/readyz").status_code != 200:
        pass
    body = {{"model": "routemoa-single", "messages": [{{"role": "user", "content": "what is the sum ?"}}]}}
    status = client.post("/v1/chat/completions", json=body).status_code
    client.get("/admin/scorer"), client.get("/metrics"), client.get("/admin/jobs")
print(json.dumps([status, [name for name in {HEAVY!r} if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [200, []]


def test_what_was_acknowledged_survives_kill_9(world: World) -> None:
    """After `kill -9` under load, every decision id that reached a caller, whole or streamed, is in the record file, once."""
    with world.served() as server:
        stop, acknowledged = threading.Event(), []

        def visit(stream: bool) -> None:
            with server.client() as client:
                while not stop.is_set():
                    try:
                        response = client.post("/v1/chat/completions", json={**ASK, "stream": stream})
                    except httpx2.TransportError:
                        return
                    if not stream or "[DONE]" in response.text:
                        acknowledged.append(response.headers["x-routemoa-decision"])

        with ThreadPoolExecutor(8) as visitors:
            visits = [visitors.submit(visit, bool(number % 2)) for number in range(8)]
            while len(acknowledged) < 200:
                time.sleep(0.01)
            server.process.kill()
            stop.set()
            for visited in visits:
                visited.result()
    kept = [record.id for record in RecordStore(world.home / "var" / "records.db").scan(0, time.time() + 1)]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


def test_sigterm_lets_requests_in_flight_end(world: World) -> None:
    """A stopping server answers what it has begun, then exits cleanly."""
    with world.served() as server, ThreadPoolExecutor(2) as visitors, server.client() as client:
        whole = visitors.submit(client.post, "/v1/chat/completions", json={**ASK, "model": "slow"})
        stream = visitors.submit(client.post, "/v1/chat/completions", json={**ASK, "model": "slow", "stream": True})
        wait_until(lambda: in_flight(server) == 2)
        assert server.stop() in {0, -signal.SIGTERM}  # uvicorn, once drained, ends by the signal it got
        assert whole.result().status_code == 200
        assert stream.result().text.endswith("data: [DONE]\n\n")


def test_past_the_drain_callers_are_told(world: World) -> None:
    """What is not complete in time ends in an error, a stream in an error event, is recorded as such, and leaves no traceback."""
    entries = world.pool()
    entries["hang"]["limits"] = entries["echo"]["limits"]
    world.write_pool(entries)
    with world.served(ROUTEMOA_DRAIN_S="1") as server, ThreadPoolExecutor(2) as visitors, server.client() as client:
        whole = visitors.submit(client.post, "/v1/chat/completions", json={**ASK, "model": "hang"})
        stream = visitors.submit(client.post, "/v1/chat/completions", json={"model": "slow", "stream": True, "messages": LONG})
        wait_until(lambda: in_flight(server) == 2)
        server.stop()
        assert whole.result().status_code == 503
        assert whole.result().json()["error"]["code"] == "server_stopping"
        last = stream.result().text.strip().split("\n\n")[-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "server_stopping"
        assert "Traceback" not in server.log.read_text()
    kept = RecordStore(world.home / "var" / "records.db").scan(0, time.time() + 1)
    assert [record.status for record in kept] == ["error", "error"]


def test_several_workers_share_records_and_metrics(world: World) -> None:
    """Two worker processes write one record file; /metrics is of both."""
    with world.served(ROUTEMOA_WORKERS="2") as server:
        ids = []
        for _ in range(20):
            with server.client() as client:
                ids.append(client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"])
        with server.client() as client:
            assert all(client.get(f"/v1/decisions/{decision}").status_code == 200 for decision in ids)
            assert 'routemoa_answers_total{llm="echo",virtual_model="echo"} 20.0' in client.get("/metrics").text
        server.stop()


def test_too_many_requests_are_shed(world: World) -> None:
    """Beyond max_in_flight a request gets 503 with Retry-After at once; health and admin still answer."""
    with world.served(ROUTEMOA_MAX_IN_FLIGHT="2") as server, ThreadPoolExecutor(4) as visitors, server.client() as client:
        slow = [visitors.submit(client.post, "/v1/chat/completions", json={**ASK, "model": "slow", "stream": True}) for _ in range(2)]
        wait_until(lambda: in_flight(server) == 2)
        refused = client.post("/v1/chat/completions", json=ASK)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
        assert client.get("/livez").status_code == 200
        assert client.get("/admin/scorer").json()["in_flight"] == 2
        assert [one.result().status_code for one in slow] == [200, 200]
        until = time.monotonic() + 5.0
        while client.get("/admin/scorer").json()["in_flight"] and time.monotonic() < until:
            time.sleep(0.02)  # a place is free a moment after the last byte has left
        assert client.post("/v1/chat/completions", json=ASK).status_code == 200


def test_a_full_disk_is_an_error_and_then_nothing_is_asked(world: World) -> None:
    """The request whose record does not fit gets 503; from then on none is paid for, the server is not ready, and it recovers by itself."""
    with world.served() as server, server.client() as client:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        refused = client.post("/v1/chat/completions", json=ASK)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "record_not_kept")
        asked = faulty_upstream.counts["asked echo"]
        for stream in (False, True) * 5:
            refused = client.post("/v1/chat/completions", json={**ASK, "stream": stream})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "record_not_kept")
        assert faulty_upstream.counts["asked echo"] == asked
        assert client.get("/readyz").status_code == 503
        assert client.post("/v1/route", json={"messages": ASK["messages"]}).status_code == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        server.wait_for("/readyz")
        assert client.post("/v1/chat/completions", json=ASK).status_code == 200
        events = [event["event"] for event in client.get("/admin/scorer").json()["events"]]
        assert events[:3] == ["RecordsResumed", "RecordLost", "RecordsInterrupted"]


def test_records_removed_under_a_server_go_on_in_a_new_file(world: World) -> None:
    """Every answer acknowledged after the file was removed is in the file that is there then; an event says so."""
    path = world.home / "var" / "records.db"
    with world.served(ROUTEMOA_WORKERS="2") as server:
        for _ in range(2):
            with server.client() as client:
                assert client.post("/v1/chat/completions", json=ASK).status_code == 200
        path.unlink()
        kept = []
        for _ in range(12):
            with server.client() as client:
                kept.append(client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"])
        server.stop()
        assert "RecordFileReplaced" in server.log.read_text()
    assert {record.id for record in RecordStore(path).scan(0, time.time() + 1)} == set(kept)


def test_a_locked_record_file_keeps_nobody_past_the_deadline(world: World) -> None:
    """While another process holds the lock: 503 at the deadline; an answer whose deadline is later waits for the lock and leaves."""
    with world.served() as server, server.client() as client, ThreadPoolExecutor(1) as visitors:
        assert client.post("/v1/chat/completions", json=ASK).status_code == 200
        with contextlib.closing(sqlite3.connect(world.home / "var" / "records.db", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            patient = visitors.submit(client.post, "/v1/chat/completions", json=ASK)
            began = time.monotonic()
            hurried = client.post("/v1/chat/completions", json={**ASK, "routemoa": {"deadline_s": 1.5}})
            assert time.monotonic() - began < 10
            assert (hurried.status_code, hurried.json()["error"]["code"]) == (503, "record_not_kept")
            server.wait_for("/readyz", 503)
            assert not patient.done()
            lock.execute("ROLLBACK")
        assert patient.result().status_code == 200
        server.wait_for("/readyz")


def test_what_is_kept_is_for_its_owner_alone(world: World) -> None:
    """Records and jobs hold embeddings and, where the operator says so, prompts."""
    with world.served() as server, server.client() as client:
        client.post("/v1/chat/completions", json=ASK)
        var = world.home / "var"
        files = [path for path in var.iterdir() if path.name.startswith(("records.db", "jobs.db", "keys.json"))]
        assert len(files) >= 5
        assert {path.stat().st_mode & 0o077 for path in files} == {0}


@pytest.mark.parametrize("text", [False, True])
def test_texts_are_kept_only_where_the_operator_says_so(world: World, text: bool) -> None:
    """Without ROUTEMOA_STORE_TEXT neither prompt nor answer is on disk or in the log; the embedding always is."""
    prompt = "xylophone of the second sum"
    with world.served(ROUTEMOA_STORE_TEXT=str(text)) as server, server.client() as client:
        for model in ("routemoa-single", "routemoa", "echo"):
            body = {"model": model, "messages": [{"role": "user", "content": prompt}], "routemoa": {"domain": "music"}}
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        server.stop()
    var = world.home / "var"
    files = [*var.glob("records.db*"), server.log]
    assert any(b"xylophone" in file.read_bytes() for file in files) is text
    single, mixed, passed = RecordStore(var / "records.db").scan(0, time.time() + 1)
    assert {single.text, mixed.text, passed.text} == ({prompt} if text else {None})
    assert (single.domain, single.roster, len(single.scores), single.embedding.shape) == ("music", world.roster, len(world.roster), (32,))
    assert (passed.roster, passed.scores, passed.embedding.shape, passed.scorer_version) == ((), (), (0,), "")


def test_a_worker_that_dies_is_replaced_and_nobody_gets_an_unready_one(world: World) -> None:
    """Every request during kills is routed or its connection broken: a new worker answers with a scorer, and the death is an event."""
    ask = {"model": "routemoa-single", "messages": ASK["messages"]}
    with world.served(wait="/livez", ROUTEMOA_WORKERS="2") as server:
        stop, statuses = threading.Event(), []

        def visit() -> None:
            while not stop.is_set():
                with server.client() as client, contextlib.suppress(httpx2.TransportError):
                    statuses.append(client.post("/v1/chat/completions", json=ask).status_code)

        with ThreadPoolExecutor(2) as visitors:
            visits = [visitors.submit(visit) for _ in range(2)]
            wait_until(lambda: len(statuses) > 10)
            workers_of(server)[0].kill()
            wait_until(lambda: server.log.read_text().count('"ScorerSwapped"') == 3, 200)  # the new one has its scorer
            asked = len(statuses)
            wait_until(lambda: len(statuses) > asked + 40)
            stop.set()
            for visited in visits:
                visited.result()
        assert set(statuses) == {200}
        deaths = [json.loads(line) for line in server.log.read_text().splitlines() if "WorkerDied" in line]
        assert [death["exit_code"] for death in deaths] == [-signal.SIGKILL]
        with server.client() as client:
            text = client.get("/metrics").text
        assert 'routemoa_events_total{event="WorkerDied"} 1.0' in text
        assert "routemoa_in_flight 0.0" in text
        server.stop()


def test_workers_end_with_their_supervisor(world: World) -> None:
    """After `kill -9` of the process that started them, workers answer what they have begun and end; the port is free at once."""
    with world.served(ROUTEMOA_WORKERS="2") as server, ThreadPoolExecutor(1) as visitors, server.client() as client:
        workers = workers_of(server)
        begun = visitors.submit(client.post, "/v1/chat/completions", json={**ASK, "model": "slow"})
        wait_until(lambda: in_flight(server) == 1)
        server.process.kill()
        assert begun.result().status_code == 200
        assert psutil.wait_procs(workers, timeout=20)[1] == []
        assert "SupervisorLost" in server.log.read_text()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", int(server.url.rpartition(":")[2])))


def test_a_stopping_server_refuses_new_connections(world: World) -> None:
    """While two workers drain, a new connection is refused, not left to be reset; what has begun ends."""
    with world.served(ROUTEMOA_WORKERS="2") as server, ThreadPoolExecutor(1) as visitors, server.client() as client:
        begun = visitors.submit(client.post, "/v1/chat/completions", json={**ASK, "model": "slow", "stream": True, "messages": LONG})
        wait_until(lambda: in_flight(server) == 1)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server))
        assert begun.result().text.endswith("data: [DONE]\n\n")


def test_a_server_that_cannot_start_says_so_by_its_exit_code(world: World) -> None:
    """Several workers or one: code 3, and the reason on stderr."""
    world.settings().keys_file.write_text("{")
    for workers in ("1", "2"):
        with pytest.raises(AssertionError, match="not a file of API keys"), world.served(ROUTEMOA_WORKERS=workers) as server:
            pytest.fail(server.url)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_record_file_that_cannot_be_used_stops_a_start(world: World, workers: str) -> None:
    """One sentence and code 3, and no worker is started again and again."""
    (world.home / "var" / "records.db").write_text("no database, but long enough to be told from one " * 20)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "ROUTEMOA_HOME": str(world.home),
        "ROUTEMOA_PORT": "18099",
        "ROUTEMOA_WORKERS": workers,
    }
    command = [sys.executable, "-m", "serving"]
    done = subprocess.run(command, cwd=world.home, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == STARTUP_FAILURE
    assert "cannot hold records" in done.stderr
    assert "Traceback" not in done.stderr


def test_after_a_swap_only_one_version_is_active_in_the_metrics(world: World) -> None:
    """The version before shows 0, on several workers too."""
    with world.served(ROUTEMOA_WORKERS="2") as server:
        world.publish("2", seed=1)

        def shown() -> dict[str, str]:
            with server.client() as client:
                lines = client.get("/metrics").text.splitlines()
            return {line.split('"')[1]: line.split()[-1] for line in lines if line.startswith("routemoa_scorer_version{")}

        wait_until(lambda: shown() == {"1": "0.0", "2": "1.0"})
        server.stop()
