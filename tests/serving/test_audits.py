"""The audit queue over HTTP: who grades what, without being told before what a machine thinks of it; the quality estimated from it."""

from collections.abc import Iterator

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World

from monitoring.audits.audit_queue import ASKED_FOR, AuditQueue, Opinion
from monitoring.records.record import Draw
from monitoring.records.store import RecordStore
from serving.access import keys, shared_keys

ASK = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def told(tmp_path_factory: pytest.TempPathFactory, upstream: str, request: pytest.FixtureRequest) -> Iterator[tuple[TestClient, World]]:
    """A server that keeps texts, and its project: records in a file, and in PostgreSQL."""
    url = request.getfixturevalue("postgres").create_for_tests() if request.param == "postgres" else ""
    made = World(tmp_path_factory.mktemp("told") / "project", upstream, database_url=url)
    made.publish("1")
    for client in ready(made, store_text=True):
        yield client, made


def drawn(client: TestClient, world: World, *domains: str | None) -> list[str]:
    """Answers that are asked for and drawn, one a domain; the ids of their decisions."""
    ids = [client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"] for _ in domains]
    store = RecordStore.of(world.settings())
    store.decide_draws([Draw(each, 0.25, True, domain, ("unlike anything labelled",)) for each, domain in zip(ids, domains, strict=True)])
    return ids


def test_a_drawn_answer_is_listed_claimed_graded_and_gone(told) -> None:
    """The queue shows query, answer and why it was drawn; one person claims it, grades it right, and reads what the judge thought after."""
    client, world = told
    (decision,) = drawn(client, world, "tax")
    store = RecordStore.of(world.settings())
    AuditQueue(store).opine({decision: Opinion("judge:big", 0.3, 0.001, 5.0)})
    listed = client.get("/v1/audits", params={"domain": "tax"}).json()
    (audit,) = listed["audits"]
    assert (listed["waiting"], audit["decision_id"], audit["domain"]) == (1, decision, "tax")
    assert (audit["probability"], audit["why"]) == (0.25, ["unlike anything labelled"])
    assert audit["query"] == "what is the sum of 1 and 2 ?"
    assert audit["answer"]
    assert "opinions" not in audit
    assert client.post(f"/v1/audits/{decision}/claim", json={"by": "ann"}).json()["claimed_by"] == "everything/ann"
    refused = client.post(f"/v1/audits/{decision}/claim", json={"by": "bob"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "audit_claimed")
    assert client.get("/v1/audits", params={"domain": "tax", "by": "bob"}).json()["audits"] == []
    assert len(client.get("/v1/audits", params={"domain": "tax", "by": "ann"}).json()["audits"]) == 1
    graded = client.post(f"/v1/audits/{decision}", json={"right": True, "by": "ann"}).json()
    assert (graded["score"], graded["graded_by"]) == (1.0, "everything/ann")
    assert [(each["grader"], each["score"]) for each in graded["opinions"]] == [("judge:big", 0.3)]
    assert client.get("/v1/audits", params={"domain": "tax"}).json() == {"waiting": 0, "not_kept": 0, "audits": []}
    outcome = client.get(f"/v1/decisions/{decision}").json()["outcome"]
    assert (outcome["source"], outcome["reported_by"]) == ("audit", "everything/ann")


def test_an_answer_whose_text_is_not_kept_is_counted_and_not_shown(told) -> None:
    """Nobody can grade what cannot be shown; whoever has its texts and knows its id still may."""
    client, world = told
    (decision,) = drawn(client, world, "untold")
    store = RecordStore.of(world.settings())
    store.change("UPDATE records SET text = NULL WHERE id = ?", [(decision,)])
    assert client.get("/v1/audits", params={"domain": "untold"}).json() == {"waiting": 0, "not_kept": 1, "audits": []}
    assert client.get(f"/v1/audits/{decision}").json()["query"] is None
    assert client.post(f"/v1/audits/{decision}", json={"right": True}).json()["score"] == 1.0
    assert client.get("/v1/audits", params={"domain": "untold"}).json()["not_kept"] == 0


def test_a_skipped_answer_waits_for_others(told) -> None:
    """Whoever skips it sees it no more; everybody else does."""
    client, world = told
    (decision,) = drawn(client, world, "skipping")
    assert client.post(f"/v1/audits/{decision}/skip").json() == {"decision_id": decision, "skipped": True}
    assert client.get("/v1/audits", params={"domain": "skipping"}).json()["audits"] == []
    assert len(client.get("/v1/audits", params={"domain": "skipping", "by": "bob"}).json()["audits"]) == 1


def test_a_grade_says_one_thing_of_an_answer_that_was_drawn(told) -> None:
    """Score or right, in [0, 1]; a reference its grader reads; a decision that was drawn; a key with the scope `audit`."""
    client, world = told
    (decision,) = drawn(client, world, "odd")
    for wrong, param in [
        ({}, None),
        ({"score": 1.0, "right": True}, None),
        ({"score": 2}, "score"),
        ({"right": False, "reference": "3"}, None),
        ({"right": False, "reference": "many", "grader": "number"}, "reference"),
        ({"right": False, "reference": "3", "grader": "nomber"}, "grader"),
    ]:
        refused = client.post(f"/v1/audits/{decision}", json=wrong)
        assert refused.status_code == 400, refused.text
        assert param is None or refused.json()["error"]["param"] == param
    undrawn = client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["decision_id"]
    assert client.post(f"/v1/audits/{undrawn}", json={"right": True}).json()["error"]["code"] == "audit_not_found"
    assert client.get(f"/v1/audits/{undrawn}").status_code == 404
    assert client.get("/v1/audits", params={"limit": 0}).status_code == 400
    chatting = keys.create(shared_keys.store(world.settings()), "chatting", ("chat",))
    refused = client.get("/v1/audits", headers={"Authorization": f"Bearer {chatting}"})
    assert refused.status_code in {401, 403}  # 401 until the server has read the new key
    kept = client.post(f"/v1/audits/{decision}", json={"score": 0.0, "reference": "3", "grader": "number"})
    assert kept.status_code == 200
    assert client.get(f"/v1/decisions/{decision}").json()["outcome"]["reference"]["text"] == "3"


def test_a_domain_is_what_the_monitor_calls_it_and_a_group_is_what_was_asked_for_by_its_name(told) -> None:
    """The draw's domain, else the caller's tag; and answers of a named group that were asked for, whatever their callers called them."""
    client, world = told
    first, second, third = (drawn(client, world, domain)[0] for domain in ("wine", None, "wine too"))
    store = RecordStore.of(world.settings())
    store.change("UPDATE records SET domain = ? WHERE id = ?", [("beer", first), ("beer", second), ("wine too", third)])
    store.change("UPDATE draws SET why = ? WHERE number = (SELECT number FROM records WHERE id = ?)", [(f"{ASKED_FOR}: wine", third)])

    def waiting(domain: str) -> dict[str, str]:
        listed = client.get("/v1/audits", params={"domain": domain}).json()
        assert listed["waiting"] == len(listed["audits"])
        return {audit["decision_id"]: audit["domain"] for audit in listed["audits"]}

    assert waiting("wine") == {first: "wine", third: "wine too"}
    assert waiting("beer") == {second: "beer"}
    assert waiting("wine too") == {third: "wine too"}
    assert waiting("win") == {}


def test_quality_is_told_with_what_is_missing_and_with_an_interval_once_enough_is_graded(told) -> None:
    """Before there are audits only what was promised is told; after six, each group has its own estimate."""
    client, world = told
    ids = drawn(client, world, *["measured"] * 6)
    before = client.get("/admin/quality").json()["by"]["domain"]["measured"]
    assert (before["audited"], before["value"], before["low"]) == (0, None, None)
    assert "no audit" in before["why"]
    for decision, right in zip(ids, (True, True, True, True, True, False), strict=True):
        assert client.post(f"/v1/audits/{decision}", json={"right": right}).status_code == 200
    found = client.get("/admin/quality", params={"days": 1}).json()
    measured = found["by"]["domain"]["measured"]
    assert (measured["answers"], measured["audited"], measured["why"]) == (6, 6, "")
    assert measured["low"] < 5 / 6 < measured["high"]
    assert found["by"].keys() == {"version", "domain", "llm", "key"}
    assert found["by"]["key"].keys() == {"everything"}
    assert found["all"]["answers"] >= 6
    assert client.get("/admin/quality", params={"days": 0}).status_code == 400


def test_quality_says_where_it_is_of_the_newest_answers_alone(told, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of how many."""
    client, world = told
    drawn(client, world, *["newest"] * 3)
    assert client.get("/admin/quality").json()["newest"] is None
    monkeypatch.setattr("monitoring.quality.served_answers.MOST", 2)
    found = client.get("/admin/quality").json()
    assert (found["newest"], found["all"]["answers"]) == (2, 2)
