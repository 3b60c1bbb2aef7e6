"""Whose decisions a key may read and report on."""

import time

import pytest
from routing_client import ready
from world import World

from serving.access import keys

ASK = {"model": "echo", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}
SCOPES = {
    "alice": ("chat", "feedback"),
    "bob": ("chat", "feedback"),
    "reporter": ("feedback",),
    "auditor": ("feedback", "audit"),
    "boss": ("chat", "feedback", "admin"),
}


@pytest.fixture(scope="module")
def as_(tmp_path_factory, upstream):
    """Sends a request with the key of that name."""
    made = World(tmp_path_factory.mktemp("ownership") / "project", upstream)
    made.publish("1")
    keyring = {name: keys.create(made.settings().keys_file, name, scopes) for name, scopes in SCOPES.items()}
    running = ready(made)
    client = next(running)
    give_up = time.monotonic() + 10
    while client.get("/v1/models", headers={"Authorization": f"Bearer {keyring['alice']}"}).status_code != 200:
        assert time.monotonic() < give_up

    def request(name: str, method: str, path: str, json=None):
        return client.request(method, path, json=json, headers={"Authorization": f"Bearer {keyring[name]}"})

    yield request
    running.close()


@pytest.fixture
def decision(as_) -> str:
    """One of alice's."""
    return as_("alice", "POST", "/v1/chat/completions", ASK).json()["routemoa"]["decision_id"]


def report(as_, name: str, decision: str, score: float = 1.0, **more):
    return as_(name, "POST", "/v1/feedback", {"decision_id": decision, "score": score, **more})


def test_a_key_reads_its_own_decisions_and_admin_reads_all(as_, decision) -> None:
    """Another's decision is as unknown as one that never was; the record says who asked."""
    for name in ("alice", "boss"):
        assert as_(name, "GET", f"/v1/decisions/{decision}").json()["asked_by"] == "alice"
    other, nobody = (as_("bob", "GET", f"/v1/decisions/{each}") for each in (decision, "0" * 32))
    assert other.status_code == nobody.status_code == 404
    assert other.json()["error"]["message"].replace(decision, "0" * 32) == nobody.json()["error"]["message"]


def test_a_key_reports_on_its_own_decisions_and_admin_on_all(as_, decision) -> None:
    """The outcome says who reported it."""
    for name in ("bob", "reporter"):
        refused = report(as_, name, decision, 0.0)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "decision_not_found")
    assert as_("alice", "GET", f"/v1/decisions/{decision}").json()["outcome"] is None
    for name in ("alice", "boss"):
        assert report(as_, name, decision).status_code == 200
        assert as_("alice", "GET", f"/v1/decisions/{decision}").json()["outcome"]["reported_by"] == name


def test_an_audit_needs_its_scope_and_stays(as_, decision) -> None:
    """Only a key with `audit` says `audit`, about anybody's decision; no user's word replaces it, another audit does."""
    for name in ("alice", "boss"):
        refused = report(as_, name, decision, 1.0, source="audit")
        assert (refused.status_code, refused.json()["error"]["param"]) == (403, "source")
    assert report(as_, "auditor", decision, 0.25, source="audit").status_code == 200
    assert report(as_, "auditor", decision, 1.0).status_code == 404  # what is no audit is about one's own
    for name in ("alice", "boss"):
        refused = report(as_, name, decision, 1.0)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "already_audited")
    assert report(as_, "auditor", decision, 0.5, source="audit").status_code == 200
    outcome = as_("alice", "GET", f"/v1/decisions/{decision}").json()["outcome"]
    assert (outcome["score"], outcome["source"], outcome["reported_by"]) == (0.5, "audit", "auditor")
