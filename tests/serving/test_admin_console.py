"""What the console needs of the server: traffic, records, keys, prices, changes of the pool, logs of jobs."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from world import World, entry

from registry.jobs import Jobs

ASK = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}


def auth(key: str) -> dict[str, str]:
    """The header of another key."""
    return {"Authorization": f"Bearer {key}"}


def test_traffic_is_told_in_figures(client: Any, shared: World) -> None:
    """Totals, spans, shares and promises."""
    client.post("/v1/chat/completions", json={**ASK, "routemoa": {"domain": "sums"}})
    told = client.get("/admin/traffic", params={"hours": 1, "parts": 6}).json()
    assert told["totals"]["requests"] >= 1
    assert len(told["over_time"]) == 6
    assert sum(row["requests"] for row in told["by_llm"]) == told["totals"]["requests"] - told["totals"]["failed"]
    assert {row["llm"] for row in told["promised"] if row["domain"] == "sums"} == set(shared.roster)
    assert client.get("/admin/traffic", params={"hours": 0}).status_code == 400


def test_records_are_searched_over_http(client: Any) -> None:
    """By an LLM, by a part of an id; page after page."""
    ids = [client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"] for _ in range(3)]
    page = client.get("/admin/records", params={"most": 2}).json()
    assert [record["id"] for record in page["records"]] == ids[:0:-1]
    rest = client.get("/admin/records", params={"most": 2, "before": page["next"]}).json()
    assert rest["records"][0]["id"] == ids[0]
    (found,) = client.get("/admin/records", params={"words": ids[1]}).json()["records"]
    assert (found["id"], found["text"], "embedding" in found) == (ids[1], None, False)
    assert client.get("/admin/records", params={"status": "odd"}).status_code == 400


def test_a_key_is_made_listed_and_revoked(client: Any) -> None:
    """It works at once, its hash is told nobody, its spending is listed; revoked, it opens nothing."""
    wanted = {"name": "bot", "scopes": ["chat"], "usd_per_day": 2.0, "requests_per_minute": 60, "llms": ["echo"], "expires_in_days": 30}
    made = client.post("/admin/keys", json=wanted)
    assert made.status_code == 201
    key = made.json()["key"]
    assert client.post("/v1/chat/completions", json=ASK, headers=auth(key)).status_code == 200
    listed = client.get("/admin/keys").text
    assert key not in listed
    assert "sha256" not in listed
    (bot,) = [each for each in json.loads(listed)["keys"] if each["name"] == "bot"]
    assert (bot["usd_per_day"], bot["llms"], bot["day"]["requests"]) == (2.0, ["echo"], 1)
    taken = client.post("/admin/keys", json=wanted)
    assert (taken.status_code, taken.json()["error"]["code"], taken.json()["error"]["param"]) == (409, "key_name_taken", "name")
    assert client.delete("/admin/keys/bot").json() == {"name": "bot", "revoked": True}
    assert client.get("/v1/models", headers=auth(key)).status_code == 401
    unknown = client.delete("/admin/keys/bot")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "key_not_found")


def test_of_several_who_ask_for_one_name_at_once_one_gets_it(client: Any) -> None:
    """The others are told that it is taken, or gone, as if they had come later; nobody gets a server's error."""
    with ThreadPoolExecutor(6) as crowd:
        made = [each.status_code for each in crowd.map(lambda _: client.post("/admin/keys", json={"name": "same"}), range(6))]
        gone = [each.status_code for each in crowd.map(lambda _: client.delete("/admin/keys/same"), range(6))]
    assert (sorted(made), sorted(gone)) == ([201, *[409] * 5], [200, *[404] * 5])


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "a/b"}, {"name": "x", "scopes": ["root"]}, {"name": "x", "usd_per_day": -1}, {"name": "x", "llms": ["nobody"]}],
)
def test_a_key_that_cannot_be_is_refused(client: Any, wrong: dict[str, Any]) -> None:
    """And none is made."""
    before = client.get("/admin/keys").json()["keys"]
    assert client.post("/admin/keys", json=wrong).status_code in {400, 404}
    assert [each["name"] for each in client.get("/admin/keys").json()["keys"]] == [each["name"] for each in before]


def test_a_key_gives_no_more_than_it_has(client: Any) -> None:
    """An admin key without `audit` makes no auditor, and does not revoke itself."""
    admin = client.post("/admin/keys", json={"name": "clerk", "scopes": ["admin", "chat"]}).json()["key"]
    refused = client.post("/admin/keys", json={"name": "judge", "scopes": ["audit"]}, headers=auth(admin))
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "scopes")
    assert client.post("/admin/keys", json={"name": "asker", "scopes": ["chat"]}, headers=auth(admin)).status_code == 201
    assert client.delete("/admin/keys/clerk", headers=auth(admin)).status_code == 400
    asker = client.post("/admin/keys", json={"name": "plain", "scopes": ["chat"]}).json()["key"]
    assert client.get("/admin/keys", headers=auth(asker)).status_code == 403


def test_an_llm_is_probed_before_it_joins(client: Any, shared: World) -> None:
    """Nothing is written, and an address that nobody allowed is not asked."""
    before = (shared.home / "registry" / "pool.yaml").read_text()
    wanted = {"id": "maybe", **entry(shared.base_url, "echo", prompt={"system": "Be short.", "suffix": ""})}
    checked = client.post("/admin/llms/check", json=wanted).json()
    assert (checked["llm"]["id"], checked["asking"]) == ("maybe", None)
    down = {"id": "maybe", **entry(shared.base_url, "down", prompt={"system": "Be short.", "suffix": ""})}
    assert client.post("/admin/llms/check", json=down).json()["error"]["code"] == "llm_refused"
    far = {"id": "maybe", **entry("http://10.1.2.3/v1", "echo")}
    assert client.post("/admin/llms/check", json=far).status_code == 400
    assert (shared.home / "registry" / "pool.yaml").read_text() == before


def test_an_llm_is_repriced_and_retired(client: Any) -> None:
    """Servers follow at once; null makes its price unknown; what is no price changes nothing."""
    changed = client.patch("/admin/llms/slow", json={"price": {"input": 3.0, "output": 4.0}}).json()
    assert (changed["price"]["input"], changed["price"]["output"]) == (3.0, 4.0)
    assert client.patch("/admin/llms/slow", json={"price": None}).json()["price"]["input"] is None
    for wrong in ({"price": {"input": -1, "output": 1}}, {"price": {"in": 1}}, {"status": "gone"}, {}, {"endpoint": {}}):
        assert client.patch("/admin/llms/slow", json=wrong).status_code == 400
    assert client.patch("/admin/llms/nobody", json={"status": "retired"}).status_code == 404
    client.patch("/admin/llms/slow", json={"status": "retired", "price": {"input": 1.0, "output": 2.0}})
    assert {llm["id"]: llm["uncallable"] for llm in client.get("/admin/llms").json()["llms"]}["slow"] == "retired"
    assert client.patch("/admin/llms/slow", json={"status": "active"}).json()["status"] == "active"


def test_prices_are_found_by_name(client: Any) -> None:
    """As a pool entry has them; an unknown name is 404 and says what may be meant."""
    found = client.get("/admin/prices", params={"name": "openai/gpt-4o-mini"}).json()
    assert found["published_as"] == "openai/gpt-4o-mini"
    assert found["price"]["input"] < found["price"]["output"]
    unknown = client.get("/admin/prices", params={"name": "openai/gpt-4o-minee"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "price_unknown")
    assert "gpt-4o-mini" in unknown.json()["error"]["message"]


def test_a_jobs_log_is_read_as_it_grows(client: Any, shared: World) -> None:
    """From where the last look ended; of a long one the end; nothing before it printed anything."""
    job = client.post("/admin/jobs", json={"kind": "retrain"}).json()["id"]
    address = f"/admin/jobs/{job}/log"
    assert client.get(address).json() == {"text": "", "from": 0, "next": 0}
    log = Path(Jobs.of(shared.settings()).require(job).log)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("one\n")
    first = client.get(address).json()
    with log.open("a") as file:
        file.write("two\n")
    assert (first["text"], client.get(address, params={"after": first["next"]}).json()["text"]) == ("one\n", "two\n")
    log.write_text("x" * 200_000 + "end")
    assert client.get(address).json()["text"].endswith("end")
    assert len(client.get(address).json()["text"]) == 64 * 1024
    assert client.get("/admin/jobs/nobody/log").status_code == 404
