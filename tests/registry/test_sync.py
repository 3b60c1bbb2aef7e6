"""The sync follows a real MLflow server's `champion` and publishes real artifacts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient

from registry import certificate, local_store, promotion, versions
from registry.certificate import Certificate
from registry.errors import RegistryError
from registry.gate_rules import GateResult
from registry.mlflow_door import Door
from registry.settings import Settings
from registry.sync import RETRY_S, Sync
from registry.version import Version
from scorer import artifact, manifest
from tests.mlflow_server import MLflow

Register = Callable[..., Version]


def champion(settings: Settings, version: Version) -> None:
    """What a person does in the MLflow UI: sets the alias, and nothing else."""
    MlflowClient(tracking_uri=settings.mlflow_url).set_registered_model_alias(settings.scorer_name, "champion", version.version)


def events(settings: Settings) -> list[dict[str, Any]]:
    """What happened on this host."""
    path = settings.var / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def stored(mlflow: MLflow, version: Version) -> Path:
    """Where the server keeps this version's scorer artifact."""
    inside = urlsplit(version.artifact_source).path.split("/models/")[1]
    return next(mlflow.artifacts.glob(f"**/models/{inside}"))


def test_a_promotion_in_the_ui_is_live_within_five_seconds(settings: Settings, register: Register) -> None:
    """The real process: alias set, files published and verified in under 5 s, `previous` set, then SIGTERM ends it cleanly."""
    first, second = register(0), register(1)
    environment = {**os.environ, "ROUTEMOA_HOME": str(settings.home), "ROUTEMOA_MLFLOW_URL": settings.mlflow_url}
    environment["ROUTEMOA_SCORER_NAME"] = settings.scorer_name
    champion(settings, first)
    process = subprocess.Popen([sys.executable, "-m", "registry.sync"], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(settings, "1", seconds=60)
        champion(settings, second)
        began = time.monotonic()
        wait_for(settings, "2", seconds=20)
        took = time.monotonic() - began
        while "previous" not in versions.find("1", settings=settings).aliases and time.monotonic() - began < 20:
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
    assert took < 5
    assert artifact.verify(settings.var / "scorers" / "2").content_hash == second.content_hash
    assert versions.find("previous", settings=settings).version == "1"
    assert versions.find("champion", settings=settings).aliases == ("champion",)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in said.splitlines()][:2] == ["following", "scorer_published"]


def serving(settings: Settings) -> str | None:
    """The version that is published on this host."""
    current = local_store.current(settings.var)
    return current.version if current else None


def wait_for(settings: Settings, version: str, seconds: float) -> None:
    """Returns when `version` is published; fails after `seconds`."""
    give_up = time.monotonic() + seconds
    while serving(settings) != version:
        assert time.monotonic() < give_up, f"version {version} was not published within {seconds} s"
        time.sleep(0.05)


def test_nothing_to_follow_publishes_nothing(settings: Settings, register: Register) -> None:
    """A challenger alone is not served."""
    register(0)
    Sync(settings).step(0.0)
    assert local_store.current(settings.var) is None


def test_a_corrupted_artifact_is_never_published(settings: Settings, register: Register, mlflow: MLflow) -> None:
    """Files changed in storage: the old version stays, an event says why, the version is tagged, and it is not hammered."""
    sync = Sync(settings)
    champion(settings, register(0))
    sync.step(0.0)
    bad = register(1)
    with (stored(mlflow, bad) / manifest.WEIGHTS).open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\x00\x00\x80\x3f")
    champion(settings, bad)
    for now in (1.0, 2.0, 3.0 + RETRY_S):
        sync.step(now)
    assert serving(settings) == "1"
    assert sorted(path.name for path in (settings.var / "scorers").iterdir()) == ["1", "current.json"]
    refused = [event for event in events(settings) if event["event"] == "scorer_refused"]
    assert [(event["version"], event["kind"], event["still_serving"]) for event in refused] == [("2", "ArtifactRefused", "1")]
    assert versions.find("2", settings=settings).tags["refused"].startswith("version 2/scorer.safetensors: its sha256 is not")
    assert promotion.rollback(settings=settings).version == "1"


def test_sound_files_that_were_not_registered_are_refused(settings: Settings, register: Register, mlflow: MLflow, tiny: ModuleType) -> None:
    """A whole artifact put in the place of the registered one verifies by itself, and is refused all the same."""
    version = register(0)
    place = stored(mlflow, version)
    shutil.rmtree(place)
    tiny.tiny_artifact(place, seed=2, roster=version.roster)
    champion(settings, version)
    Sync(settings).step(0.0)
    assert serving(settings) is None
    assert "not the ones that were registered" in events(settings)[0]["reason"]


def test_a_roster_the_pool_does_not_know_waits_for_the_pool(settings: Settings, register: Register) -> None:
    """A scorer that could choose an LLM nobody can reach is not loaded; when the pool knows the LLM, it is."""
    version = register(0, roster=("a", "unheard"))
    whole = settings.pool_file.read_text()
    settings.pool_file.write_text(whole[: whole.index("  unheard:")])
    champion(settings, version)
    sync = Sync(settings)
    sync.step(0.0)
    assert "unheard" in events(settings)[0]["reason"]
    assert "refused" not in versions.find("1", settings=settings).tags
    settings.pool_file.write_text(whole)
    sync.step(RETRY_S / 2)
    assert serving(settings) is None
    sync.step(RETRY_S + 1)
    assert serving(settings) == "1"


def test_a_rollback_is_served_from_the_kept_folder(settings: Settings, register: Register, mlflow: MLflow) -> None:
    """Going back needs no download: the folder is still here, and is checked again."""
    sync = Sync(settings)
    for seed in (0, 1):
        promotion.promote(register(seed).version, override="test", settings=settings)
        sync.step(0.0)
    shutil.rmtree(stored(mlflow, versions.find("1", settings=settings)))
    promotion.rollback(settings=settings)
    sync.step(1.0)
    assert serving(settings) == "1"
    assert versions.find("champion", settings=settings).version == "1"
    with pytest.raises(RegistryError, match="no previous champion"):
        promotion.rollback(settings=settings)


def test_a_champion_deleted_while_it_serves_goes_on_serving(settings: Settings, register: Register) -> None:
    """Its alias, then the version itself, deleted in MLflow: one event each time says so, and this host serves what it has.

    That the version before is gone stops nothing else after another is set: `challenger` goes, `previous` is the champion before that one.
    """
    sync = Sync(settings)
    client = MlflowClient(tracking_uri=settings.mlflow_url)
    for seed in (0, 1):
        champion(settings, register(seed))
        sync.step(0.0)
    client.delete_registered_model_alias(settings.scorer_name, "champion")
    for now in (1.0, 2.0):
        sync.step(now)
    champion(settings, versions.find("2", settings=settings))
    sync.step(3.0)
    client.delete_model_version(settings.scorer_name, "2")
    for now in (4.0, 5.0):
        sync.step(now)
    assert serving(settings) == "2"
    assert [each["still_serving"] for each in events(settings) if each["event"] == "champion_missing"] == ["2", "2"]
    champion(settings, register(2))
    sync.step(6.0)
    assert Door.of(settings).aliases() == {"champion": "3", "previous": "1"}


def test_champion_in_another_case_and_on_a_failed_gate_is_followed(settings: Settings, register: Register) -> None:
    """What a person set in MLflow is served, written properly afterwards, and its event and tag say that no gate was asked."""
    sync = Sync(settings)
    champion(settings, register(0))
    sync.step(0.0)
    failed = register(1)
    versions.record_gate(failed.version, GateResult(False, ("Overall: worse.",), {}), settings=settings)
    MlflowClient(tracking_uri=settings.mlflow_url).set_registered_model_alias(settings.scorer_name, "Champion", failed.version)
    sync.step(1.0)
    assert serving(settings) == "2"
    assert Door.of(settings).aliases() == {"champion": "2", "previous": "1"}
    assert (events(settings)[-1]["event"], events(settings)[-1]["gate"]) == ("scorer_published", "failed")
    assert "asks no gate" in versions.find("2", settings=settings).tags["override"]


def test_what_could_not_be_written_is_written_later(settings: Settings, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow refuses while a champion is settled: it serves, and RETRY_S later the registry agrees."""
    sync = Sync(settings)
    for seed in (0, 1):
        champion(settings, register(seed))
        sync.step(0.0)
    champion(settings, register(2))
    with monkeypatch.context() as broken:
        broken.setattr(promotion, "settle", lambda *_, **__: (_ for _ in ()).throw(RegistryError("No space left.")))
        sync.step(1.0)
    sync.step(2.0)
    assert serving(settings) == "3"
    assert Door.of(settings).aliases() == {"champion": "3", "previous": "1", "challenger": "3"}
    sync.step(1.0 + RETRY_S)
    assert Door.of(settings).aliases() == {"champion": "3", "previous": "2"}


def test_a_damaged_folder_is_fetched_again(settings: Settings, register: Register) -> None:
    """A version whose local files were damaged while another served is downloaded anew into another folder."""
    sync = Sync(settings)
    first, second = register(0), register(1)
    for version in (first, second):
        champion(settings, version)
        sync.step(0.0)
    (settings.var / "scorers" / "1" / manifest.ROSTER).unlink()
    champion(settings, first)
    sync.step(1.0)
    now = local_store.current(settings.var)
    assert now.version == "1"
    assert now.folder == f"1-{first.content_hash[:12]}"
    assert artifact.verify(settings.var / "scorers" / now.folder).content_hash == first.content_hash


def test_five_versions_are_kept(settings: Settings, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder does not grow without end; what serves is never removed."""
    monkeypatch.setattr(local_store, "GRACE_S", 0.0)
    sync = Sync(settings)
    for seed in range(7):
        champion(settings, register(seed))
        sync.step(float(seed))
    kept = {path.name for path in (settings.var / "scorers").iterdir() if path.is_dir()}
    assert kept == {"3", "4", "5", "6", "7"}


def test_a_full_disk_keeps_the_last_good_version(settings: Settings, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that cannot be stored is an event; nothing half-written is left, the old one serves."""
    sync = Sync(settings)
    champion(settings, register(0))
    sync.step(0.0)
    champion(settings, register(1))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_store.versions, "download", full)
    sync.step(1.0)
    assert serving(settings) == "1"
    assert events(settings)[-1]["reason"].endswith("No space left on device")
    assert not list((settings.var / "scorers").glob(".incoming-*"))


def test_a_damaged_current_file_is_published_again(settings: Settings, register: Register) -> None:
    """Half a `current.json` is no reason to stop."""
    champion(settings, register(0))
    Sync(settings).step(0.0)
    (settings.var / "scorers" / "current.json").write_text('{"version": "1"')
    Sync(settings).step(0.0)
    assert serving(settings) == "1"


def test_one_sync_a_host(settings: Settings) -> None:
    """A second process says that one already runs, and ends."""
    import threading

    from filelock import FileLock

    from registry.sync import run

    (settings.var / "scorers").mkdir()
    with FileLock(settings.var / "scorers" / ".sync.lock"), pytest.raises(RegistryError, match="already follows"):
        run(settings, threading.Event())


def test_mlflow_killed_and_back(settings: Settings, register: Register, mlflow: MLflow, capsys: pytest.CaptureFixture[str]) -> None:
    """Without MLflow the last good version stays published and one line says so; when it is back, following goes on."""
    sync = Sync(settings)
    champion(settings, register(0))
    second = register(1)
    sync.step(0.0)
    mlflow.kill()
    try:
        for now in (1.0, 2.0):
            sync.step(now)
        assert serving(settings) == "1"
        assert artifact.verify(settings.var / "scorers" / "1")
        assert capsys.readouterr().out.count("registry_unreachable") == 1
    finally:
        mlflow.start()
    champion(settings, second)
    sync.step(3.0)
    assert serving(settings) == "2"


def test_a_certificate_reaches_the_servers_with_its_version(settings: Settings, register: Register) -> None:
    """As the gate recorded it, and again where a later run of the gate changes it."""
    version = register(0)
    found = Certificate("a", 0.01, 0.95, 700, usd=12.0, difference=0.0, cost_share=0.4, prices={"a": (0.1, 0.2)})
    recorded = versions.record_certificate(version.version, found, settings=settings)
    assert found.sentence() in recorded.description
    assert recorded.tags["certificate"] == found.sentence()
    champion(settings, version)
    sync = Sync(settings)
    sync.step(now=0.0)
    published = local_store.current(settings.var)
    assert published is not None
    assert certificate.read(published.certificate) == found
    other = replace(found, usd=None, needed=900)
    versions.record_certificate(version.version, other, settings=settings)
    sync.step(now=1.0)
    published = local_store.current(settings.var)
    assert published is not None
    assert certificate.read(published.certificate) == other
