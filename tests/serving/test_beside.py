"""A shadow scores what the champion answers, a canary answers a share; neither a broken one nor a busy one touches an answer."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mlflow import MlflowClient
from routing_client import ready
from starlette.testclient import TestClient
from test_certified import CERTIFICATE, USED
from world import ROSTER, World

from monitoring.policies.shadow_value import ShadowValues
from registry.canary_plan import CanaryPlan
from registry.mlflow_door import Door
from registry.run_state import Runs
from registry.settings import Settings
from registry.sync import Sync
from scorer.artifact import verify
from serving.access import keys, shared_keys
from serving.scorers import shadowing
from serving.settings import ExploreSettings, MixtureSettings
from tests.mlflow_server import MLflow

serving = contextmanager(ready)
WORDS = "what is the sum of 1 and 2 ?"


def ask(text: str = WORDS, **more: Any) -> dict[str, Any]:
    """A request for one LLM by choice."""
    return {"model": "routemoa-single", "messages": [{"role": "user", "content": text}], **more}


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for what follows a file, or an answer."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def put(world: World, alias: str, version: str | None, *, seed: int = 1, plan: CanaryPlan | None = None) -> None:
    """Publishes a version beside the champion, as registry.sync does, or takes it back."""
    path = world.home / "var" / "scorers" / f"{alias}.json"
    if version is None:
        path.unlink()
        return
    folder = world.artifact(version, seed=seed)
    published: dict[str, Any] = {"version": version, "folder": version, "content_hash": verify(folder).content_hash}
    if plan is not None:
        published |= {"plan": plan.model_dump(), "since": (datetime.now(UTC) - timedelta(seconds=2)).isoformat()}
    path.with_suffix(".new").write_text(json.dumps(published))
    path.with_suffix(".new").replace(path)


def loaded(client: TestClient, alias: str) -> dict[str, Any]:
    """The version beside the champion as GET /admin/scorer has it."""
    told: dict[str, Any] = client.get("/admin/scorer").json()[alias]
    return told


def answered(client: TestClient, body: dict[str, Any], **headers: str) -> tuple[str, str]:
    """Who decided it, and its id."""
    response = client.post("/v1/chat/completions", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return response.headers["x-routemoa-scorer"], response.headers["x-routemoa-decision"]


def shadows(client: TestClient, decision: str) -> list[dict[str, Any]]:
    """What other versions would have decided, once it is kept."""
    until(lambda: "shadows" in client.get(f"/v1/decisions/{decision}").json())
    kept: list[dict[str, Any]] = client.get(f"/v1/decisions/{decision}").json()["shadows"]
    return kept


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    """A server on version 1, with version 2 as its shadow."""
    put(world, "shadow", "2")
    yield from ready(world)


def test_a_shadow_says_what_it_would_have_decided(client: TestClient) -> None:
    """Whom it would have asked, at which promise and cost, beside the record: as /v1/route says when asked for that version."""
    version, decision = answered(client, ask())
    (kept,) = shadows(client, decision)
    other = client.post("/v1/route", json=ask(scorer_version="shadow")).json()
    ours = client.post("/v1/route", json=ask()).json()
    assert (version, other["scorer_version"], ours["scorer_version"]) == ("1", "2", "1")
    assert kept["scorer_version"] == "2"
    assert [kept["llm"]] == other["chosen"]
    assert kept["promised"] == pytest.approx(other["scores"][kept["llm"]])
    assert kept["same"] == int(other["chosen"] == ours["chosen"])


def test_what_is_known_of_a_shadow_is_told(client: TestClient) -> None:
    """Requests, agreement, promises and money of both over the same requests, and that nothing tells who is right where they differ."""
    texts = [f"list {word} in python" for word in ("anna", "ben", "house", "street", "doctor", "fever")]
    for text in texts:
        shadows(client, answered(client, ask(text))[1])
    told = client.get("/admin/scorer/shadow").json()
    found = told["comparison"]
    assert (told["version"], told["champion"], told["refused"]) == ("2", "1", None)
    assert (found["requests"], found["not_scored"], found["dropped"]) == (len(texts), 0, 0)
    by_route = [
        (client.post("/v1/route", json=ask(text)).json(), client.post("/v1/route", json=ask(text, scorer_version="2")).json())
        for text in texts
    ]
    assert found["agreement"] == pytest.approx(sum(ours["chosen"] == other["chosen"] for ours, other in by_route) / len(texts))
    promised = sum(other["scores"][other["chosen"][0]] for _, other in by_route) / len(texts)
    assert found["challenger"]["promised"] == pytest.approx(promised)
    assert sum(each["challenger"] for each in found["by_llm"]) == len(texts)
    assert found["value"]["off_policy"] is None
    assert found["agreement"] == 1 or "or a canary can tell" in found["value"]["why"]


def test_a_shadows_choices_are_valued_by_what_chance_asked(world: World) -> None:
    """From the server's own records, draws and kept choices, as the monitor writes it; before that, that nothing tells."""
    put(world, "shadow", "2")
    texts = [f"list {word} in {place}" for word in ("anna", "ben", "house", "street", "doctor", "fever") for place in ("python", "town")]
    for client in ready(world, explore=ExploreSettings(share=0.5, delta=1000.0), mixture=MixtureSettings(value_per_second=0)):
        for text in texts:
            shadows(client, answered(client, ask(text))[1])
        wrote = ShadowValues(world.settings()).step()
        assert wrote is not None
        assert (wrote.requests, wrote.audited, dict(wrote.not_judged)) == (len(texts), 0, {})
        found = client.get("/admin/scorer/shadow").json()["comparison"]
        assert found["value"]["off_policy"] == wrote.as_dict()
        assert "outcomes" in found["value"]["off_policy"]["why"]
        assert wrote.theirs is not None
        assert wrote.theirs.quality.differs == pytest.approx(1 - found["agreement"])


def test_versions_of_one_encoder_share_it(client: TestClient) -> None:
    """A shadow with the champion's encoder brings no second one into memory, and embeds nothing anew."""
    state = client.app.state.serving  # type: ignore[attr-defined]
    assert state.beside.shadow.value.active.scorer.encoder is state.scorer.value.scorer.encoder


def test_a_broken_shadow_is_none(world: World, client: TestClient) -> None:
    """It never loads and says why; the one before is not kept in its place; the champion answers, and the server is ready."""
    folder = world.artifact("3", seed=2)
    put(world, "shadow", "3")
    until(lambda: loaded(client, "shadow")["version"] == "3")
    content = bytearray((folder / "scorer.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "scorer.safetensors").write_bytes(content)
    os.utime(world.home / "var" / "scorers" / "shadow.json")
    until(lambda: loaded(client, "shadow")["version"] is None)
    assert "sha256" in loaded(client, "shadow")["refused"]
    assert any(event["event"] == "VersionBesideRefused" for event in client.get("/admin/scorer").json()["events"])
    assert client.get("/readyz").json()["scorer_version"] == "1"
    version, decision = answered(client, ask())
    assert version == "1"
    assert "shadows" not in client.get(f"/v1/decisions/{decision}").json()


def test_too_many_waiting_requests_are_left_out(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are answered, not scored by the shadow, and counted."""
    monkeypatch.setattr(shadowing, "MOST", 0)
    assert answered(client, ask())[0] == "1"
    monkeypatch.undo()
    shadows(client, answered(client, ask("who is anna"))[1])
    assert client.get("/admin/scorer/shadow").json()["comparison"]["dropped"] == 1
    assert 'routemoa_shadowed_total{result="dropped"} 1.0' in client.get("/metrics").text


def test_what_is_scored_is_kept_though_requests_never_stop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server where one always waits, what was found lies in no list that grows."""
    queue = client.app.state.serving.shadowing  # type: ignore[attr-defined]
    take = queue.take

    def endless() -> Any:
        queue.note(*(waiting := take()))
        return waiting

    monkeypatch.setattr(queue, "take", endless)
    (kept,) = shadows(client, answered(client, ask())[1])
    assert kept["scorer_version"] == "2"


def test_a_version_is_chosen_by_admins_alone(world: World, client: TestClient) -> None:
    """And only one that is loaded; a chat request takes no version at all."""
    key = keys.create(shared_keys.store(world.settings()), "caller", ("chat",))
    caller = {"Authorization": f"Bearer {key}"}
    until(lambda: client.get("/v1/models", headers=caller).status_code == 200)
    assert client.post("/v1/route", json=ask(scorer_version="2"), headers=caller).status_code == 403
    unknown = client.post("/v1/route", json=ask(scorer_version="9"))
    assert unknown.status_code == 400
    assert "1, 2, champion, shadow are" in unknown.text


def test_a_session_stays_with_its_version(world: World) -> None:
    """A canary answers its share of sessions, each from its first request to its last; no header changes that."""
    put(world, "canary", "2", plan=CanaryPlan(share=0.5))
    with serving(world) as client:
        deciders = {}
        for number in range(16):
            named = {"session": f"talk {number}"}
            first = answered(client, ask(f"who is {number}", routemoa=named))
            again = [{"role": "user", "content": f"who is {number}"}, {"role": "assistant", "content": "anna"}]
            later = [*again, {"role": "user", "content": f"where is house {number}"}]
            second = answered(client, {"model": "routemoa-single", "messages": later, "routemoa": named}, **{"x-routemoa-scorer": "2"})
            assert first[0] == second[0]
            deciders[number] = first
        assert {version for version, _ in deciders.values()} == {"1", "2"}
        for version, decision in deciders.values():
            assert [each["scorer_version"] for each in shadows(client, decision)] == ["2" if version == "1" else "1"]
        told = client.get("/admin/scorer/canary").json()
        assert (told["version"], told["share"], told["canary"]["state"]) == ("2", 0.5, "goes on")
        assert sum(told["canary"]["requests"].values()) == 32
        put(world, "canary", None)
        until(lambda: loaded(client, "canary")["version"] is None)
        assert {answered(client, ask(f"who is {number}", routemoa={"session": f"talk {number}"}))[0] for number in range(16)} == {"1"}


def test_who_is_served_by_another_rule_is_said(world: World) -> None:
    """Either version by its own certificate, as it would be as champion: where one has none they differ by more than their scores."""
    put(world, "canary", "2", plan=CanaryPlan(share=0.5))
    world.publish("1", certificate=CERTIFICATE.as_json())
    with contextmanager(ready)(world, certificate=USED) as client:
        shown = client.get("/admin/scorer/canary").json()["served_by"]
        assert shown == {"champion": "its certificate", "beside": "the operator's settings"}
        usd = {version: client.post("/v1/route", json=ask(scorer_version=version)).json()["options"]["weights"]["usd"] for version in "12"}
        assert usd["1"] == 123.0
        assert usd["2"] != 123.0
        assert client.get("/admin/scorer/shadow").json()["served_by"] == {}


def test_a_conversation_without_a_name_stays_with_its_version(world: World) -> None:
    """Its requests have their beginning in common."""
    put(world, "canary", "2", plan=CanaryPlan(share=0.5))
    with serving(world) as client:
        seen = set()
        for number in range(12):
            talk = [{"role": "system", "content": "you help"}, {"role": "user", "content": f"list {number}"}]
            first = answered(client, {"model": "routemoa-single", "messages": talk})[0]
            talk += [{"role": "assistant", "content": "anna, ben"}, {"role": "user", "content": "and sorted ?"}]
            assert answered(client, {"model": "routemoa-single", "messages": talk})[0] == first
            seen.add(first)
        assert seen == {"1", "2"}


def test_a_session_that_had_begun_stays_with_the_champion(world: World) -> None:
    """A canary that starts meanwhile answers none of it, and what it answers says nothing in the test."""
    with serving(world) as client:
        named = [{"session": f"talk {number}"} for number in range(10)]
        for each in named:
            answered(client, ask("who is anna", routemoa=each))
        put(world, "canary", "2", plan=CanaryPlan(share=0.5))
        until(lambda: loaded(client, "canary")["version"] == "2")
        assert {answered(client, ask("who is ben", routemoa=each))[0] for each in named} == {"1"}


def test_a_version_that_is_shadow_and_canary_scores_once(world: World) -> None:
    """Each of the champion's requests, and is counted once for it."""
    put(world, "shadow", "2")
    put(world, "canary", "2", plan=CanaryPlan(share=1e-9))
    with serving(world) as client:
        assert len(shadows(client, answered(client, ask())[1])) == 1
        assert 'routemoa_shadowed_total{result="kept"} 1.0' in client.get("/metrics").text


def test_a_key_stays_with_its_version(world: World) -> None:
    """Where keys are divided, all that a key asks is answered by one version."""
    made = {f"key {number}": keys.create(shared_keys.store(world.settings()), f"key {number}", ("chat",)) for number in range(8)}
    put(world, "canary", "2", plan=CanaryPlan(share=0.5, by="key"))
    with serving(world) as client:
        of_keys = [
            {answered(client, ask(f"list {number}"), Authorization=f"Bearer {key}")[0] for number in range(3)} for key in made.values()
        ]
        assert all(len(deciders) == 1 for deciders in of_keys)
        assert set().union(*of_keys) == {"1", "2"}


def test_a_broken_canary_answers_nothing(world: World) -> None:
    """The champion answers in its place."""
    put(world, "canary", "2", plan=CanaryPlan(share=0.5))
    (world.home / "var" / "scorers" / "2" / "roster.json").unlink()
    with serving(world) as client:
        assert "missing" in loaded(client, "canary")["refused"]
        assert {answered(client, ask(f"list {number}"))[0] for number in range(10)} == {"1"}


def test_jobs_start_and_end_them(client: TestClient) -> None:
    """With what the worker needs to know; a plan that is none is refused."""
    started = client.post("/admin/scorer/canary", json={"version": "2", "share": 0.2, "by": "key", "then": "promote"})
    assert (started.status_code, started.json()["kind"]) == (202, "canary")
    assert started.json()["arguments"]["plan"]["share"] == 0.2
    assert client.delete("/admin/scorer/canary", params={"reason": "enough"}).json()["arguments"] == {"version": None, "reason": "enough"}
    assert client.post("/admin/scorer/shadow", json={"version": "2"}).json()["arguments"] == {"version": "2"}
    assert client.delete("/admin/scorer/shadow").json()["arguments"] == {"version": None}
    assert client.post("/admin/scorer/canary", json={"version": "2", "share": 0.9}).status_code == 400


def test_an_alias_in_mlflow_is_all_it_takes(world: World, mlflow: MLflow) -> None:
    """Somebody sets `shadow` and `canary` in a real MLflow server: this host's servers load them, and leave them with the alias."""
    settings = Settings(_env_file=None, home=world.home, mlflow_url=mlflow.url, scorer_name=f"beside-{time.time_ns()}")
    client, door = MlflowClient(tracking_uri=mlflow.url), Door.of(settings)
    run_id = Runs(mlflow.url).begin("a run", {})
    for number in (1, 2, 3):
        folder = world.artifact(f"made-{number}", seed=number)
        client.log_artifacts(run_id, str(folder), f"scorer-{number}")
        tags = {"content_hash": verify(folder).content_hash, "roster": ",".join(ROSTER)}
        source = f"{client.get_run(run_id).info.artifact_uri}/scorer-{number}"
        door.create_version(source=source, run_id=run_id, tags=tags, description="")
    pool = world.pool()
    world.write_pool(pool | {"stranger": pool["echo"]})  # a host publishes no version whose LLMs it does not know
    client.set_registered_model_alias(settings.scorer_name, "champion", "1")
    sync = Sync(settings)
    sync.step(0.0)
    with serving(world) as server:
        assert server.get("/readyz").json()["scorer_version"] == "1"
        client.set_registered_model_alias(settings.scorer_name, "shadow", "2")
        client.set_registered_model_alias(settings.scorer_name, "canary", "3")
        for now in (1.0, 2.0):
            sync.step(now)
        until(lambda: (loaded(server, "shadow")["version"], loaded(server, "canary")["version"]) == ("2", "3"))
        assert loaded(server, "canary")["share"] == CanaryPlan().share
        client.set_registered_model_alias(settings.scorer_name, "champion", "3")  # promoted: nothing beside itself
        client.delete_registered_model_alias(settings.scorer_name, "shadow")
        sync.step(3.0)
        until(lambda: server.get("/readyz").json()["scorer_version"] == "3")
        until(lambda: (loaded(server, "shadow")["version"], loaded(server, "canary")["version"]) == (None, None))
        assert "canary" not in door.aliases()
