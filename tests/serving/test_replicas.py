"""Two servers of different hosts that share a database: each knows what the other served, spends one budget, and outlives the other."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psutil
import pytest
from world import Running, World

from monitoring import looks
from monitoring.certificate_void import Void
from monitoring.records.store import RecordStore
from registry import gains
from registry.jobs import Jobs
from serving.access import budgets, keys, shared_keys
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.slow
ASK = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}
NAMED = {"model": "echo", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}


@pytest.fixture
def hosts(tmp_path: Path, upstream: str, database_url: str) -> tuple[World, World]:
    """Projects of two hosts; nothing but the database is common to them. One key opens both."""
    first = World(tmp_path / "a", upstream, database_url=database_url)
    second = World(tmp_path / "b", upstream, database_url=database_url, key=first.key)
    for each in (first, second):
        each.publish("1")
    return first, second


@contextlib.contextmanager
def served(hosts: tuple[World, World], **environment: str) -> Iterator[tuple[Running, Running]]:
    with hosts[0].served(**environment) as first, hosts[1].served(**environment) as second:
        yield first, second


def asked(server: Running, body: dict[str, object] = ASK) -> str:
    with server.client() as client:
        answered = client.post("/v1/chat/completions", json=body)
    assert answered.status_code == 200, answered.text
    return str(answered.headers["x-routemoa-decision"])


@contextlib.contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    """All its processes: connections are taken by the kernel, and nobody reads them."""
    server = psutil.Process(int((postgres.folder / "postmaster.pid").read_text().split()[0]))
    processes = [server, *server.children(recursive=True)]
    for each in processes:
        each.suspend()
    try:
        yield
    finally:
        for each in processes:
            each.resume()


def until(what: str, condition, seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)


def test_each_knows_what_the_other_served(hosts: tuple[World, World]) -> None:
    """Decisions, feedback, jobs, what these print and bought, keys: made here and read, used or ended there, also after a kill."""
    with served(hosts) as (first, second), first.client() as here, second.client() as there:
        decision = asked(first)
        assert there.get(f"/v1/decisions/{decision}").json()["llm"]
        assert there.post("/v1/feedback", json={"decision_id": decision, "score": 0.5}).status_code == 200
        assert here.get(f"/v1/decisions/{decision}").json()["outcome"]["score"] == 0.5
        talking = ASK | {"routemoa": {"session": "a talk"}}
        told = [client.post("/v1/chat/completions", json=talking).headers["x-routemoa-decision"] for client in (here, there)]
        first_llm = here.get(f"/v1/decisions/{told[0]}").json()["llm"]
        assert here.get(f"/v1/decisions/{told[1]}").json()["decision"]["session"]["before"] == first_llm

        job = here.post("/admin/jobs", json={"kind": "retrain"}).json()["id"]
        assert [each["id"] for each in there.get("/admin/jobs").json()["jobs"]] == [job]
        with Jobs.of(hosts[0].settings()).printing(job, lambda *_: None) as printed:
            printed.read("asking one\n")
        gains.keep(hosts[0].settings(), job, "2", "1", [{"group": "tax"}])
        for client in (here, there):
            assert client.get(f"/admin/jobs/{job}/log").json() == {"text": "asking one\n", "from": 0, "next": 11}
            assert [each["job"] for each in client.get("/admin/gains", params={"job": job}).json()["gains"]] == [job]
        assert there.delete(f"/admin/jobs/{job}").status_code == 200
        assert here.get(f"/admin/jobs/{job}").json()["state"] == "cancelled"

        key = {"Authorization": f"Bearer {keys.create(shared_keys.store(hosts[0].settings()), 'bot', ('chat',))}"}
        until("the other host takes the key", lambda: there.get("/v1/models", headers=key).status_code == 200)
        keys.revoke(shared_keys.store(hosts[1].settings()), "bot")
        until("the first host drops the key", lambda: here.get("/v1/models", headers=key).status_code == 401)

        second.process.kill()
        second.process.wait()
        assert here.get(f"/v1/decisions/{decision}").status_code == 200
        asked(first)


def test_a_response_is_gone_on_from_on_the_other_host(hosts: tuple[World, World]) -> None:
    """`previous_response_id`, also after the host that answered was killed; what one host forgets is forgotten."""
    with served(hosts) as (first, second), first.client() as here, second.client() as there:
        one = here.post("/v1/responses", json={"model": "echo", "input": "remember 17"}).json()["id"]
        two = there.post("/v1/responses", json={"model": "echo", "input": "and 18", "previous_response_id": one}).json()["id"]
        first.process.kill()
        first.process.wait()
        assert there.post("/v1/responses", json={"model": "echo", "input": "all?", "previous_response_id": two}).status_code == 200
        assert there.delete(f"/v1/responses/{one}").status_code == 200
        gone = there.post("/v1/responses", json={"model": "echo", "input": "all?", "previous_response_id": two})
        assert gone.json()["error"]["code"] == "previous_response_not_found"


def test_both_tell_the_same_verdict(hosts: tuple[World, World]) -> None:
    """Whichever host's monitor found it: the verdict, its history, its gauges, a void certificate; and the same once that is taken back."""
    stats = {"scorer_version": "1", "novel_share": 0.4, "promises": {"audits": 3, "wealth": 1.0}, "quality": None}
    verdict = {"id": "v7", "kind": "retrain", "reasons": ["law is new"], "stats": stats}
    said = {"at": "2026-11-01T12:00:00+00:00", "verdict": verdict, "groups": [], "report": None, "job": None}
    with served(hosts) as (first, second), first.client() as here, second.client() as there:
        assert there.get("/admin/verdict").json() == {"verdict": None, "report": None}
        looks.keep(hosts[0].settings(), said)
        until("the other host has the look", lambda: there.get("/admin/verdict").json() == said)
        assert there.get("/admin/verdicts").json() == here.get("/admin/verdicts").json()
        assert 'routemoa_verdict{kind="retrain"} 1.0' in there.get("/metrics").text
        looks.keep_void(hosts[0].settings(), Void("1", "now", "v7", ("law is new",)))
        void = hosts[1].settings().certificate_void_file
        until("the certificate is void there", void.exists)
        assert there.delete("/admin/scorer/void").json() == {"was_void": True}
        until("and in force again here", lambda: not hosts[0].settings().certificate_void_file.exists())


def test_a_host_whose_database_is_silent_is_taken_out(hosts: tuple[World, World], postgres: Postgres) -> None:
    """It accepts and never answers, as one behind a broken network: not ready before a request fails, refused before an LLM is paid."""
    with served(hosts, ROUTEMOA_DATABASE_SILENT_S="2") as (first, second):
        asked(first)
        with stopped(postgres), first.client() as here:
            until("not ready", lambda: here.get("/readyz").status_code == 503)
            began = time.monotonic()
            answered = here.post("/v1/chat/completions", json=ASK)
            assert (answered.status_code, answered.json()["error"]["code"]) == (503, "record_not_kept")
            assert int(answered.headers["retry-after"]) > 0
            assert time.monotonic() - began < 5
            assert here.get("/v1/models").status_code == 200
            assert "routemoa_requests" in here.get("/metrics").text
        for each in (first, second):
            each.wait_for("/readyz")
        asked(first)


def test_both_spend_one_budget(hosts: tuple[World, World]) -> None:
    """Sixty requests at once, half of them to each, where there is money for twenty: at most twenty are answered, on both together."""
    worst = 1e-4  # of one request, more than it costs
    key = keys.create(shared_keys.store(hosts[0].settings()), "poor", ("chat",), usd_per_day=20 * worst)
    body = NAMED | {"routemoa": {"budget_usd": worst}}

    async def ask_all(servers: tuple[Running, Running]) -> list[int]:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60) as client:
            asking = (client.post(f"{servers[at % 2].url}/v1/chat/completions", json=body) for at in range(60))
            return [answered.status_code for answered in await asyncio.gather(*asking)]

    with served(hosts) as servers:
        codes = asyncio.run(ask_all(servers))
        assert set(codes) <= {200, 429}
        (entry,) = [each for each in keys.read(hosts[0].settings().keys_file).entries if each.name == "poor"]
        day, _ = budgets.read(hosts[1].settings(), budgets.windows(entry.id, datetime.now(UTC)))
        assert day.spent_usd <= 20 * worst
        assert day.requests == codes.count(200) > 0


def test_without_the_database_nothing_is_answered_and_all_comes_back(hosts: tuple[World, World], postgres: Postgres) -> None:
    """503 and not ready while it is away, for what is not kept is not acknowledged; ready again by itself; keys stay in force."""
    with served(hosts) as servers:
        first, second = servers
        decision = asked(first)
        postgres.kill()
        try:
            with first.client() as here:
                answered = here.post("/v1/chat/completions", json=ASK)
                assert answered.status_code == 503, answered.text
                assert answered.json()["error"]["code"]
                until("not ready", lambda: here.get("/readyz").status_code == 503)
                assert here.get("/v1/models").status_code == 200
                assert here.get("/livez").status_code == 200
        finally:
            postgres.start()
        for each in servers:
            each.wait_for("/readyz")
        later = asked(second)
        kept = {record.id for record in RecordStore.of(hosts[0].settings()).scan(0, 2**40)}
        assert {decision, later} <= kept
