"""What a person does about a group of unknown queries over HTTP: reads it, names it, has answers audited, starts jobs, leaves it."""

import json
from collections.abc import Iterator

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World

from monitoring.audits.group_actions import Actions
from monitoring.drift import named_domains
from monitoring.records.record import Draw
from monitoring.records.store import RecordStore
from registry import gains
from registry.jobs import Jobs


@pytest.fixture
def grouped(tmp_path_factory: pytest.TempPathFactory, upstream: str, either_url: str) -> Iterator[tuple[TestClient, World, list[str]]]:
    """A server whose monitor found twelve decisions to be one group; its records in a file, and in PostgreSQL."""
    made = World(tmp_path_factory.mktemp("grouped") / "project", upstream, database_url=either_url)
    made.publish("1")
    for client in ready(made, store_text=True):
        asked = [{"model": "routemoa-single", "messages": [{"role": "user", "content": f"which law is number {at} ?"}]} for at in range(12)]
        ids = [client.post("/v1/chat/completions", json=each).json()["routemoa"]["decision_id"] for each in asked]
        store = RecordStore.of(made.settings())
        store.decide_draws([Draw(each, 0.1, at == 0, "unlike any known domain") for at, each in enumerate(ids)])
        (made.home / "var" / "reports").mkdir()
        look = {"at": "now", "verdict": {"kind": "retrain"}, "groups": [{"id": "0123456789ab", "name": "unknown 1", "members": ids}]}
        (made.home / "var" / "reports" / "latest.json").write_text(json.dumps(look))
        yield client, made, ids


def test_a_named_group_is_a_domain_of_its_queries_and_later_ones(grouped) -> None:
    """Named by id or name, listed with its figures, its audits filed under the name; forgotten when the name is taken back."""
    client, world, ids = grouped
    listed = client.get("/admin/groups").json()
    assert (listed["verdict"], listed["groups"][0]["name"], listed["named"]) == ("retrain", "unknown 1", [])
    named = client.post("/admin/groups/unknown 1/name", json={"name": "statutes"})
    assert (named.status_code, named.json()) == (200, {"name": "statutes", "members": 12, "state": "named"})
    (told,) = client.get("/admin/groups").json()["named"]
    assert (told["name"], told["queries"], told["waiting"], told["named_by"]) == ("statutes", 12, 1, "everything")
    assert [each["decision_id"] for each in client.get("/v1/audits", params={"domain": "statutes"}).json()["audits"]] == ids[:1]
    assert client.get("/admin/quality").json()["by"]["domain"]["statutes"]["answers"] == 12
    assert client.delete("/admin/groups/statutes").json() == {"name": "statutes", "forgotten": True}
    assert client.delete("/admin/groups/statutes").json()["error"]["code"] == "group_not_found"
    assert not named_domains.load(RecordStore.of(world.settings())).domains


def test_what_the_monitor_has_not_decided_on_is_left_to_it(grouped) -> None:
    """A newer member of the group is drawn by nobody else, and neither it nor an older record is skipped by the monitor's next draw."""
    client, world, ids = grouped
    late = [
        client.post("/v1/chat/completions", json={"model": "routemoa-single", "messages": [{"role": "user", "content": text}]})
        for text in ("which law is new ?", "which law is newest ?")
    ]
    newer = [each.json()["routemoa"]["decision_id"] for each in late]
    file = world.home / "var" / "reports" / "latest.json"
    look = json.loads(file.read_text())
    look["groups"][0]["members"] = [*ids, newer[1]]
    file.write_text(json.dumps(look))
    assert client.post("/admin/groups/0123456789ab/audit").json()["drawn"] == 11
    assert [record.id for record in RecordStore.of(world.settings()).undecided(5)] == newer


def test_what_somebody_else_draws_meanwhile_stays_drawn(grouped, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two persons ask for the same group at once: nothing that either got is taken back."""
    client, world, _ = grouped
    store = RecordStore.of(world.settings())
    first, second = (Actions(world.settings().var, store) for _ in range(2))
    change = RecordStore.change

    def late(self: RecordStore, statement: str, rows: list[tuple[object, ...]]) -> int:
        monkeypatch.setattr(RecordStore, "change", change)
        assert second.audit("unknown 1", 5) == 5
        return change(self, statement, rows)

    monkeypatch.setattr(RecordStore, "change", late)
    assert first.audit("unknown 1", 5) == 5
    assert client.get("/v1/audits").json()["waiting"] == 6


def test_audits_of_a_group_are_drawn_by_chance_and_come_first(grouped) -> None:
    """Five of eleven more, with the chance that they had; a second wish takes others, more than there are takes all."""
    client, _, ids = grouped
    assert client.post("/admin/groups/0123456789ab/audit", json={"count": 5}).json() == {"group": "0123456789ab", "drawn": 5, "not_kept": 0}
    waiting = client.get("/v1/audits").json()
    assert waiting["waiting"] == 6
    assert {tuple(each["why"]) for each in waiting["audits"][:5]} == {("asked for: unknown 1",)}
    assert [each["probability"] for each in waiting["audits"]] == pytest.approx([1 - 0.9 * (1 - 5 / 11)] * 6)
    assert client.post("/admin/groups/0123456789ab/audit").json()["drawn"] == 6
    assert client.get("/v1/audits").json()["waiting"] == len(ids)
    assert client.post("/admin/groups/0123456789ab/audit").json()["drawn"] == 0
    assert client.post("/admin/groups/0123456789ab/audit", json={"count": 0}).status_code == 400


def test_a_group_starts_jobs_that_know_its_decisions(grouped) -> None:
    """To harvest it, and to retrain for it."""
    client, world, ids = grouped
    for kind in ("harvest", "retrain"):
        job = client.post(f"/admin/groups/unknown 1/{kind}")
        assert (job.status_code, job.json()["kind"]) == (202, kind)
        assert job.json()["arguments"]["groups"] == [{"name": "unknown 1", "members": ids}]
    assert [job.kind for job in Jobs.of(world.settings()).list()] == ["harvest", "retrain"]


def test_a_host_that_does_not_train_tells_no_plan(grouped) -> None:
    """It has no query pool; a group that is none is refused all the same."""
    client, _, _ = grouped
    assert client.get("/admin/groups/unknown 1/plan").json()["plan"] is None
    assert client.get("/admin/groups/nobody/plan").status_code == 404


def test_a_left_group_is_kept_as_left_and_an_unknown_one_refused(grouped) -> None:
    """404 names near groups; a name that is none is 400."""
    client, _, _ = grouped
    assert client.post("/admin/groups/unknown 1/leave").json()["state"] == "left"
    assert client.get("/admin/groups").json()["named"][0]["state"] == "left"
    refused = client.post("/admin/groups/unknwn 1/name", json={"name": "x"}).json()["error"]
    assert (refused["code"], "'unknown 1'" in refused["message"]) == ("group_not_found", True)
    assert client.post("/admin/groups/unknown 1/name", json={"name": " "}).status_code == 400


def test_a_retraining_for_several_groups_is_planned_and_started(grouped) -> None:
    """The job has their decisions; a host that does not train says so instead of a plan; what a job bought is told of it alone."""
    client, world, ids = grouped
    job = client.post("/admin/jobs", json={"kind": "retrain", "groups": ["0123456789ab"]}).json()
    assert job["arguments"]["groups"] == [{"name": "unknown 1", "members": ids}]
    assert job["arguments"]["harvest"] is True
    assert client.post("/admin/jobs", json={"kind": "retrain", "groups": ["none such"]}).json()["error"]["code"] == "group_not_found"
    assert client.get("/admin/jobs/plan", params={"group": "none such"}).json()["error"]["code"] == "group_not_found"
    planned = client.get("/admin/jobs/plan", params={"group": "unknown 1"}).json()
    assert planned["plan"] is None
    assert planned["why_not"]
    gains.keep(world.settings(), job["id"], "2", "1", [{"group": "unknown 1", "queries": 12, "kept_out": 0}])
    (gained,) = client.get("/admin/gains", params={"job": job["id"]}).json()["gains"]
    assert (gained["version"], gained["against"], gained["groups"][0]["group"]) == ("2", "1", "unknown 1")
    assert client.get("/admin/gains", params={"job": "another"}).json() == {"gains": []}
