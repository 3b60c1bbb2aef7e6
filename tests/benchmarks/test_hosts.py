"""Hosts of their own behind a real haproxy: what works on each, and what goes on when a part fails (docs/results/scale.md).

Skips where this machine may not make network namespaces, or lacks haproxy or PostgreSQL.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI, RateLimitError

from benchmarks import hosts as cases
from benchmarks.hosts_world import HOSTS, Hosts, hosts, until
from benchmarks.network import impossible
from serving.access import keys, shared_keys

pytestmark = pytest.mark.long
FAR_S = 60.0  # a busy machine; what it takes on an idle one stands in docs/results/scale.md
ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


@pytest.fixture(scope="module")
def world() -> Iterator[Hosts]:
    """Both hosts, ready."""
    missing = impossible() or (None if shutil.which("haproxy") else "haproxy missing: apt-get install haproxy")
    if missing or not [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]:
        pytest.skip(missing or "PostgreSQL missing: apt-get install postgresql")
    # a test's timeout may leave a slow machine's check unanswered: twice what an operator has
    with tempfile.TemporaryDirectory() as folder, hosts(Path(folder), ROUTEMOA_LEAVE_S="10") as made:
        yield made


def official(world: Hosts, host: str | None = None, key: str = "") -> OpenAI:
    url = world.url if host is None else str(world.client(host).base_url)
    return OpenAI(base_url=f"{url.rstrip('/')}/v1", api_key=key or world.key, max_retries=0, timeout=60)


def test_callers_need_not_know_which_host_answers(world: Hosts) -> None:
    """Feedback, decisions, sessions, responses that go on, keys and budgets: through the balancer, and on each host by itself."""
    through, here, there = official(world), *(official(world, host) for host in HOSTS)
    answered = through.chat.completions.create(model="routemoa-single", messages=ASK, extra_body={"routemoa": {"session": "a talk"}})
    decision = (answered.model_extra or {})["routemoa"]["decision_id"]
    for host in HOSTS:
        with world.client(host) as client:
            assert client.get(f"/v1/decisions/{decision}").json()["llm"] == "one"
            assert client.post("/v1/feedback", json={"decision_id": decision, "score": 0.5}).status_code == 200
    told = there.chat.completions.with_raw_response.create(
        model="routemoa-single", messages=ASK, extra_body={"routemoa": {"session": "a talk"}}
    )
    with world.client("one") as client:
        asked_again = client.get(f"/v1/decisions/{told.headers['x-routemoa-decision']}").json()
    assert asked_again["decision"]["session"]["before"] == "one"

    first = here.responses.create(model="one", input="remember 17")
    second = there.responses.create(model="one", input="and 18", previous_response_id=first.id)
    assert through.responses.create(model="one", input="all?", previous_response_id=second.id).output_text

    poor = keys.create(shared_keys.store(world.settings("two")), "poor", ("chat",), usd_per_day=3e-5)
    for host in HOSTS:
        until("the key opens this host", lambda host=host: _opens(world, host, poor), FAR_S)
    spent = []
    for at in range(40):
        try:
            official(world, HOSTS[at % 2], poor).chat.completions.create(model="one", messages=ASK, max_tokens=5)
        except RateLimitError as exc:
            spent.append(exc.body)
    assert spent, "both hosts together spent more than the budget"


def test_a_host_that_is_told_to_stop_fails_nobody(world: Hosts) -> None:
    """Haproxy takes it out before it closes; what it has begun it ends."""
    found = cases.drain(world)
    assert cases.wrong(found) == 0, found
    assert found["out after, s"] < 10, found


def test_a_host_that_is_killed_loses_only_what_ran_on_it(world: Hosts) -> None:
    """No acknowledged record, no record twice; each caller has one request at a time."""
    found = cases.kill(world)
    assert cases.wrong(found) == 0, found
    assert found["failed"] <= 6, found


def test_a_host_cut_off_from_the_database_refuses_and_comes_back(world: Hosts) -> None:
    """Not ready, 503 with Retry-After at once, nothing acknowledged that is not kept; ready by itself when the wire is mended."""
    found = cases.no_database(world)
    assert cases.wrong(found) == 0, found
    assert found["a request there gets"] == "503 record_not_kept Retry-After", found
    assert found["GET /v1/models there"] == 200
    assert found["not ready after, s"] < FAR_S, found
    assert found["what ran there has ended after, s"] < FAR_S, found


def test_a_killed_database_loses_nothing_acknowledged(world: Hosts) -> None:
    """Answers come again by themselves once it is back."""
    found = cases.database_killed(world, kills=1)
    assert cases.wrong(found) == 0, found
    assert found["failed"] > 0, found
    told = {each for each in found["how they failed"] if each[0].isdigit()}
    assert told <= {"503 record_not_kept, Retry-After", "503 not_ready, Retry-After", "503 budgets_unavailable, Retry-After"}, found
    assert all(seconds < FAR_S for seconds in found["answered again after, s"]), found


def test_a_host_cut_off_from_mlflow_serves_what_it_has(world: Hosts) -> None:
    """Swaps reach both hosts, then the other one alone, then both; no answer is of two versions, and nothing fails."""
    found = cases.no_registry(world)
    assert cases.wrong(found) == 0, found
    assert found["cut off, it serves version"] == "1"


def test_another_host_leads_when_the_leader_is_gone(world: Hosts) -> None:
    """Killed or cut off, the leading worker and monitor are followed by another host's."""
    found = cases.leaders(world, times=1)
    assert all(seconds < FAR_S for each in found.values() for seconds in each), found


def _opens(world: Hosts, host: str, key: str) -> bool:
    with world.client(host) as client:
        return client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
