"""What a key may do: rates, budgets, LLMs, policies, expiry; seen by its caller."""

import time
from datetime import UTC, datetime

import openai
import pytest
from routing_client import ready
from world import World, entry

from mixture.client.protocol import Call
from mixture.client.request_size import worst_case_usd
from registry import pool
from serving.access import budgets, keys

ASK = {"model": "echo", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], "max_tokens": 5}


@pytest.fixture(scope="module")
def served(tmp_path_factory, upstream):
    """A project and a server of it, for keys with different permissions."""
    made = World(tmp_path_factory.mktemp("gate") / "project", upstream)
    made.write_pool({**made.pool(), "half": entry(upstream, "cut", price={"input": 1, "output": 1})})
    made.publish("1")
    for client in ready(made):
        yield made, client


def caller(served, **limits):
    """Sends chat requests with a new key that has these limits; the entry of that key."""
    made, client = served
    name = f"key-{time.monotonic_ns()}"
    key = keys.create(made.settings().keys_file, name, ("chat",), **limits)
    entry_of_key = next(each for each in keys.read(made.settings().keys_file).entries if each.name == name)
    headers = {"Authorization": f"Bearer {key}"}

    def send(path="/v1/chat/completions", **fields):
        if path == "/v1/models":
            return client.get(path, headers=headers)
        return client.post(path, json={**ASK, **fields}, headers=headers)

    give_up = time.monotonic() + 20
    while client.get("/v1/models", headers=headers).status_code == 401 and time.monotonic() < give_up and "expires_at" not in limits:
        time.sleep(0.02)
    return send, entry_of_key, key


def worst_usd(made, llm="echo", **fields):
    """What a call of ASK may cost at most."""
    sent = {"max_tokens": ASK["max_tokens"], **fields}
    return worst_case_usd(Call(pool.load(made.settings().pool_file).by_id(llm), ASK["messages"], sent))


def spend(made, entry_of_key):
    return budgets.read(made.settings(), budgets.windows(entry_of_key.id, datetime.now(UTC)))[0]


def test_requests_a_minute_are_counted_and_said(served) -> None:
    """Headers as OpenAI's clients know them; the refusal says which limit and when to come back; another key is not touched."""
    send, _, _ = caller(served, requests_per_minute=2)
    answers = [send() for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in answers] == ["1", "0", "0"]
    assert {each.headers["x-ratelimit-limit-requests"] for each in answers} == {"2"}
    error, headers = answers[2].json()["error"], answers[2].headers
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert "2 requests a minute" in error["message"]
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert send(path="/v1/models").status_code == 200
    other, _, _ = caller(served, requests_per_minute=2)
    assert other().status_code == 200


def test_tokens_a_minute_are_counted_before_and_corrected_after(served) -> None:
    """What an answer really took counts; a request that no minute has room for is told to ask for less."""
    send, _, _ = caller(served, tokens_per_minute=60)
    first = send()
    used = first.json()["usage"]["total_tokens"]
    assert first.headers["x-ratelimit-limit-tokens"] == "60"
    second = send()
    assert second.status_code == 200
    counted = int(first.headers["x-ratelimit-remaining-tokens"]) - int(second.headers["x-ratelimit-remaining-tokens"])
    assert counted == used
    refused = send(messages=[{"role": "user", "content": "word " * 400}])
    assert (refused.status_code, "no minute has room" in refused.text) == (429, True)


def test_a_budget_refuses_what_it_might_not_pay(served) -> None:
    """The worst case is held before, the cost is booked after, and the refusal names the budget and its end."""
    made, _ = served
    send, entry_of_key, _ = caller(served, usd_per_day=worst_usd(made) + 2.5e-5, usd_per_month=1)  # an answer costs 1e-5
    answers = [send() for _ in range(6)]
    statuses = [each.status_code for each in answers]
    costs = [each.json()["routemoa"]["cost_usd"] for each in answers if each.status_code == 200]
    assert statuses == [200] * len(costs) + [429] * (6 - len(costs))
    assert len(costs) == 3
    booked = spend(made, entry_of_key)
    assert (booked.spent_usd, booked.held_usd, booked.requests) == (pytest.approx(sum(costs)), pytest.approx(0), len(costs))
    refused = answers[-1]
    assert refused.json()["error"]["code"] == refused.json()["error"]["type"] == "insufficient_quota"
    assert "USD a day" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) <= 86_401
    assert refused.headers["x-should-retry"] == "false" or int(refused.headers["retry-after"]) <= 60


def test_a_routed_request_spends_no_more_than_is_left(served) -> None:
    """The budget becomes the request's own; what it has no room for is 429, and a field that may cost more than can be held is 400."""
    made, _ = served
    send, entry_of_key, _ = caller(served, usd_per_day=0.01)
    answered = send(model="routemoa", routemoa={"explain": True})
    assert answered.status_code == 200
    assert answered.json()["routemoa"]["decision"]["options"]["budget_usd"] <= 0.01
    facts = answered.json()["routemoa"]
    assert spend(made, entry_of_key).spent_usd == pytest.approx(facts["cost_usd"] + facts["unsettled_usd"])
    poor, _, _ = caller(served, usd_per_day=1e-9)
    refused = poor(model="routemoa")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    unbounded = send(service_tier="priority")
    assert (unbounded.status_code, unbounded.json()["error"]["param"]) == (400, "service_tier")


@pytest.mark.parametrize("stream", [False, True])
def test_what_failed_is_charged_too(served, stream: bool) -> None:
    """A call that broke may be charged by its endpoint, so it is by us, at most; one that was refused for free is not."""
    made, _ = served
    send, entry_of_key, _ = caller(served, usd_per_day=1)
    send(model="half", stream=stream)
    give_up = time.monotonic() + 20
    while (booked := spend(made, entry_of_key)).requests < 1 and time.monotonic() < give_up:
        time.sleep(0.02)
    assert (booked.held_usd, booked.spent_usd) == (pytest.approx(0), pytest.approx(worst_usd(made, "half")))
    free, another, _ = caller(served, usd_per_day=1)
    free(model="refuse")
    assert (spend(made, another).held_usd, spend(made, another).spent_usd) == (pytest.approx(0), 0)


def test_a_streams_spending_is_booked(served) -> None:
    """As a whole answer's."""
    made, _ = served
    send, entry_of_key, _ = caller(served, usd_per_day=1)
    assert send(stream=True).text.endswith("data: [DONE]\n\n")
    booked = spend(made, entry_of_key)
    assert booked.held_usd == pytest.approx(0)
    assert 0 < booked.spent_usd < worst_usd(made)


def test_a_key_asks_only_the_llms_and_policies_it_may(served) -> None:
    """By name it is 403, chosen for it is never; /v1/models lists what there is for this key."""
    send, _, _ = caller(served, llms=("echo", "slow"))
    refused = send(model="tooled")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "llm_not_allowed")
    route = send(path="/v1/route", model="routemoa").json()
    assert route["excluded"]["tooled"] == "this key may not use it"
    assert {each["llm"] for each in route["ranked"]} == {"echo", "slow"}
    listed = [each["id"] for each in send(path="/v1/models").json()["data"]]
    assert listed == ["routemoa", "routemoa-layers", "routemoa-single", "echo", "slow"]
    vendors, _, _ = caller(served, data_policy=("vendor",))
    assert {each["llm"] for each in vendors(path="/v1/route", model="routemoa").json()["ranked"]} == {"tooled"}
    assert vendors(model="echo").json()["error"]["code"] == "no_capable_llm"


def test_a_key_that_expired_opens_nothing(served) -> None:
    """And is told when."""
    send, _, _ = caller(served, expires_at=time.time() - 1)
    give_up = time.monotonic() + 20
    while "expired" not in (answer := send(path="/v1/models")).text and time.monotonic() < give_up:
        time.sleep(0.02)
    assert (answer.status_code, "This API key expired at" in answer.text) == (401, True)


def test_spending_without_a_budget_is_known_too(served) -> None:
    """Within a second or so, for the list of keys."""
    made, _ = served
    send, entry_of_key, _ = caller(served)
    cost = send().json()["routemoa"]["cost_usd"]
    give_up = time.monotonic() + 20
    while spend(made, entry_of_key).requests < 1 and time.monotonic() < give_up:
        time.sleep(0.05)
    booked = spend(made, entry_of_key)
    assert (booked.spent_usd, time.time() - (booked.last_used or 0) < 60) == (pytest.approx(cost), True)


def test_openais_client_takes_the_refusals_for_what_they_are(world) -> None:
    """RateLimitError with the code; and it does not ask again where it would have to wait for tomorrow."""
    with world.served() as running:
        key = keys.create(world.settings().keys_file, "poor", ("chat",), usd_per_day=1e-9)
        time.sleep(0.5)
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=2)
        started = time.monotonic()
        with pytest.raises(openai.RateLimitError, match="USD a day") as caught:
            client.chat.completions.create(**ASK)
        assert (caught.value.code, time.monotonic() - started < 20) == ("insufficient_quota", True)
