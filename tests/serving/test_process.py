"""The server as a process: what it holds, how it dies and what survives."""

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from world import ROOT, World

from monitoring.records import RecordStore

ASK = {"model": "echo", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}
HEAVY = ("torch", "transformers", "mlflow", "evidently", "pandas")


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
        time.sleep(0.2)
        assert server.stop() in {0, -signal.SIGTERM}  # uvicorn, once drained, ends by the signal it got
        assert whole.result().status_code == 200
        assert stream.result().text.endswith("data: [DONE]\n\n")


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
        time.sleep(0.2)
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


def test_a_full_disk_is_an_error_and_not_an_answer(world: World) -> None:
    """Where the record file cannot grow, the request gets 503 record_not_kept, and the server lives on."""
    with world.served() as server, server.client() as client:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, 1))
        refused = client.post("/v1/chat/completions", json=ASK)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "record_not_kept"
        assert client.get("/readyz").status_code == 200
        assert any(event["event"] == "RecordLost" for event in client.get("/admin/scorer").json()["events"])


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
