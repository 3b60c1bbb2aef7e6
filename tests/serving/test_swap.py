"""A scorer version is swapped as one reference: no request fails, none sees two versions, a bad one changes nothing."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import ROSTER, World

from scorer.manifest import sha256
from serving.app import create_app

ASK = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}


def scorer(client) -> dict:
    return client.get("/admin/scorer").json()


def until(client, true, seconds=10.0) -> None:
    give_up = time.monotonic() + seconds
    while not true(scorer(client)):
        assert time.monotonic() < give_up, scorer(client)
        time.sleep(0.02)


def test_swaps_under_load_fail_nobody_and_mix_nothing(world: World) -> None:
    """While current.json flips between two versions of different rosters, every answer is of one of them, whole."""
    backwards = tuple(reversed(ROSTER))
    world.artifact("2", roster=backwards, seed=1)
    with world.served() as server:
        with server.client() as client:
            expected = {}
            for version in ("1", "2"):
                world.publish(version)
                until(client, lambda told, version=version: told["version"] == version)
                expected[version] = client.post("/v1/route", json=ASK).json()["scores"]
        assert expected["1"] != expected["2"]
        stop, seen = threading.Event(), []

        def visit(path: str) -> None:
            with server.client() as client:
                while not stop.is_set():
                    response = client.post(path, json={**ASK, "routemoa": {"explain": True}})
                    told = response.json()
                    told = told.get("routemoa", told)
                    seen.append((response.status_code, told["scorer_version"], told["scores"]))

        with ThreadPoolExecutor(4) as visitors:
            visits = [visitors.submit(visit, path) for path in ("/v1/route", "/v1/chat/completions") * 2]
            with server.client() as client:
                for flip in range(20):
                    version = "12"[flip % 2]
                    world.publish(version)
                    until(client, lambda told, version=version: told["version"] == version)
            stop.set()
            for visited in visits:
                visited.result()
        assert {status for status, _, _ in seen} == {200}
        assert {version for _, version, _ in seen} == {"1", "2"}
        assert all(list(scores) == list(ROSTER if version == "1" else backwards) for _, version, scores in seen)
        assert all(scores == pytest.approx(expected[version]) for _, version, scores in seen)


def _corrupt_byte(world: World, version: str = "2") -> None:
    file = world.home / "var" / "scorers" / version / "encoder.int8.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _other_rule(world: World) -> None:
    """Constants by which a server before this one weighed answers."""
    folder = world.home / "var" / "scorers" / "2"
    calibration, manifest = (json.loads((folder / name).read_text()) for name in ("calibration.json", "manifest.json"))
    (folder / "calibration.json").write_text(json.dumps({**calibration, "answers": {"base": 0.7, "prior": 0.2}}))
    manifest["files"]["calibration.json"] = sha256(folder / "calibration.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _write_current(world: World, content: object) -> None:
    (world.home / "var" / "scorers" / "current.json").write_text(content if isinstance(content, str) else json.dumps(content))


BROKEN = {
    "a changed byte": (_corrupt_byte, "sha256"),
    "a missing file": (lambda world: (world.home / "var/scorers/2/roster.json").unlink(), "missing"),
    "an extra file": (lambda world: (world.home / "var/scorers/2/model.pkl").write_bytes(b"\x80\x04."), "does not belong"),
    "another rule for answers": (_other_rule, "by another rule"),
    "no folder": (lambda world: _write_current(world, {"version": "3", "folder": "3"}), "not a folder"),
    "a way out": (lambda world: _write_current(world, {"version": "3", "folder": "../../registry"}), "not a plain name"),
    "half a file": (lambda world: _write_current(world, '{"version": "2", '), "does not name"),
    "no version": (lambda world: _write_current(world, {"version": None, "folder": None}), "does not name"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_version_keeps_the_old_one(world: World, how: str) -> None:
    """Whatever is wrong with the published version, the one in force goes on, and a typed event says what it is."""
    damage, says = BROKEN[how]
    client = next(running := ready(world))
    world.artifact("2", seed=1)
    damage(world)
    if how in {"a changed byte", "a missing file", "an extra file", "another rule for answers"}:
        world.publish("2")
    until(client, lambda told: told["refused"] is not None)
    assert says in scorer(client)["refused"]
    event = scorer(client)["events"][0]
    assert (event["event"], event["keeps"]) == ("ScorerRefused", "1")
    assert client.get("/readyz").json()["scorer_version"] == "1"
    assert client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["scorer_version"] == "1"
    (world.home / "var" / "scorers" / "current.json").unlink()
    world.publish("4", seed=2)
    until(client, lambda told: told["version"] == "4" and told["refused"] is None)
    running.close()


def test_a_version_whose_int8_is_wrong_here_is_served_in_fp32(world: World) -> None:
    """It answers, more slowly; an event and /admin/scorer say so, and where its int8 was right."""
    client = next(running := ready(world))
    assert scorer(client)["precision"] == "int8"
    path = world.artifact("2", seed=1) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["int8"]["tolerance"] = 0.001
    path.write_text(json.dumps(manifest))
    world.publish("2")
    until(client, lambda shown: shown["version"] == "2")
    active = scorer(client)
    assert (active["precision"], active["events"][0]["event"]) == ("fp32", "ScorerServedInFp32")
    assert "allowed are 0.001: served in fp32" in active["precision_note"]
    assert active["precision_note"] == active["events"][0]["reason"]
    assert active["int8"]["machine"]["onnxruntime"]
    running.close()


def test_without_a_sound_scorer_nothing_is_routed(world: World) -> None:
    """A start on nothing but corrupted artifacts is alive and not ready: routed requests get 503, pass-through goes on."""
    for version in ("1", "2"):
        world.artifact(version, seed=1)
        _corrupt_byte(world, version)
    world.publish("2")
    with TestClient(create_app(world.settings()), headers={"Authorization": f"Bearer {world.key}"}) as client:
        assert "sha256" in scorer(client)["refused"]
        assert client.get("/livez").status_code == 200
        for response in (client.get("/readyz"), client.post("/v1/chat/completions", json=ASK), client.post("/v1/route", json=ASK)):
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "not_ready"
            assert str(world.home) not in response.text  # where the server's files lie is not told to callers
            assert int(response.headers["retry-after"]) > 0
        assert client.post("/v1/chat/completions", json={**ASK, "model": "echo"}).status_code == 200
        world.publish("3", seed=2)
        until(client, lambda told: told["version"] == "3")
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("how", ["half a file", "a changed byte", "no folder"])
def test_a_start_falls_back_to_the_newest_sound_version(world: World, how: str) -> None:
    """What current.json names cannot be loaded: the sound version published last answers at once, and the refusal shows."""
    damage, says = BROKEN[how]
    world.artifact("0", seed=3)
    os.utime(world.home / "var/scorers/0", (1, 1))
    world.artifact("2", seed=1)
    world.publish("2")
    damage(world)
    if how != "a changed byte":
        _corrupt_byte(world)
    with TestClient(create_app(world.settings()), headers={"Authorization": f"Bearer {world.key}"}) as client:
        assert client.get("/readyz").json()["scorer_version"] == "1"
        assert client.post("/v1/chat/completions", json=ASK).json()["routemoa"]["scorer_version"] == "1"
        assert says in scorer(client)["refused"]
        world.publish("3", seed=2)
        until(client, lambda told: told["version"] == "3" and told["refused"] is None)


def test_before_the_first_version_the_way_to_it_is_said(world: World) -> None:
    """A new project is not ready, which is no error of a file: nothing was refused."""
    (world.home / "var/scorers/current.json").unlink()
    with TestClient(create_app(world.settings()), headers={"Authorization": f"Bearer {world.key}"}) as client:
        unready = client.get("/readyz")
        assert (unready.status_code, unready.json()["error"]["code"]) == (503, "not_ready")
        assert "No scorer version is promoted yet. Train the first by `dvc repro`" in unready.json()["error"]["message"]
        assert (scorer(client)["version"], scorer(client)["refused"]) == (None, None)
        assert "ScorerRefused" not in {each["event"] for each in scorer(client)["events"]}


def test_a_scorer_of_nobody_who_can_be_called_is_not_ready(world: World) -> None:
    """Of recorded and retired LLMs alone: not ready, which tells strangers no names, and a question is refused with each one's reason."""
    world.publish("2", roster=("recorded-one", "retired-one"))
    with TestClient(create_app(world.settings()), headers={"Authorization": f"Bearer {world.key}"}) as client:
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert "No LLM of scorer version 2 can be called" in unready.json()["error"]["message"]
        assert "retired-one" not in unready.text
        refused = client.post("/v1/chat/completions", json=ASK)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_capable_llm")
        world.publish("1")
        until(client, lambda told: told["version"] == "1")
        assert client.get("/readyz").json()["llms"] == 5


def test_the_pool_is_followed_and_a_broken_file_changes_nothing(world: World) -> None:
    """An LLM retired in pool.yaml is not called from then on; a file that is no pool is told as an event, and the old pool stays."""
    client = next(running := ready(world))
    entries = world.pool()
    world.write_pool(entries | {"echo": {**entries["echo"], "status": "retired"}})
    until(client, lambda told: told["events"][0]["event"] == "PoolReloaded" and len(told["events"]) > 3)
    assert client.post("/v1/route", json=ASK).json()["excluded"]["echo"] == "retired"
    assert client.post("/v1/chat/completions", json={**ASK, "model": "echo"}).status_code == 404
    (world.home / "registry" / "pool.yaml").write_text("llms: [")
    until(client, lambda told: told["events"][0]["event"] == "PoolFileRefused")
    assert client.post("/v1/chat/completions", json={**ASK, "model": "tooled"}).status_code == 200
    world.write_pool(entries)
    until(client, lambda told: told["events"][0]["event"] == "PoolReloaded")
    assert client.post("/v1/chat/completions", json={**ASK, "model": "echo"}).status_code == 200
    running.close()
