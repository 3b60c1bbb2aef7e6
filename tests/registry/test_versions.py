"""Scorer versions against a real MLflow server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry import promotion, versions
from registry.errors import PromotionRefused, RegistryUnreachable, VersionUnknown
from registry.gate_rules import GateResult
from registry.settings import Settings
from registry.version import Version
from scorer import artifact, manifest
from scorer.errors import ArtifactRefused

Register = Callable[..., Version]
PASSED = GateResult(True, ("Overall: better.",), {"quality": 0.71, "overall.low": 0.01, "maths.low": -0.02})
FAILED = GateResult(False, ("Overall: worse.",), {"quality": 0.41})


def test_same_content_is_the_same_version(settings: Settings, register: Register) -> None:
    """Registering the same files twice gives one version and one run; other files give another."""
    first, again, other = register(0), register(0), register(1)
    assert again == first
    assert (first.version, other.version) == ("1", "2")
    assert [one.version for one in versions.list_versions(settings=settings)] == ["2", "1"]


def test_a_registered_version_is_the_challenger(settings: Settings, register: Register) -> None:
    """`challenger` follows the newest registration, and never lands on the champion."""
    first = register(0)
    assert first.aliases == ("challenger",)
    promotion.promote(first.version, override="the first", settings=settings)
    assert register(0).aliases == ("champion",)
    assert register(1).aliases == ("challenger",)


def test_a_run_holds_params_metrics_history_tables_and_lineage(settings: Settings, register: Register) -> None:
    """Everything a reviewer asks of a version is in its run: settings, figures, loss per epoch, tables, DVC's hash, the commit."""
    version = register(0)
    client = MlflowClient(tracking_uri=settings.mlflow_url)
    run = client.get_run(version.run_id)
    assert run.data.params == {"encoder": "tiny", "train/seed": "0"}
    assert run.data.metrics["test.ours.quality"] == 0.71
    assert [(point.step, point.value) for point in client.get_metric_history(version.run_id, "train/history/loss")] == [(0, 1.0), (1, 0.5)]
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest == "d" * 8
    assert {tag.key: tag.value for tag in dataset.tags}["query_pool_md5"] == "d" * 32 + ".dir"
    assert [file.path for file in client.list_artifacts(version.run_id, "evaluation")] == ["evaluation/baselines.csv"]
    assert run.info.status == "FINISHED"
    assert version.tags["git_commit"] == "1" * 40


def test_the_description_is_a_readable_card(register: Register) -> None:
    """The version's page in MLflow shows figures with intervals beside baselines, the roster's prices, the gate and how to promote."""
    text = register(0).description
    assert "| ours | 0.71 [0.66, 0.76] |" in text
    assert "| random | 0.5 |" in text
    assert "| `a` | The LLM a | 0.1 / 0.2 |" in text
    assert "**Not run**" in text
    assert "routemoa promote 1" in text


def test_the_gate_is_written_into_the_version(settings: Settings, register: Register) -> None:
    """Passed or failed, the gate's reasons stand in tags and description, and registering again keeps them."""
    number = register(0).version
    assert versions.record_gate(number, FAILED, settings=settings).gate == "failed"
    passed = versions.record_gate(number, PASSED, settings=settings)
    assert passed.gate == "passed"
    assert passed.reasons == ("Overall: better.",)
    assert passed.tags["gate.overall.low"] == "0.01"
    assert "**Passed**\n\n- Overall: better." in passed.description
    assert "worse" not in passed.description
    assert register(0).description == passed.description


def test_a_refused_version_is_not_promoted_and_registers_anew(settings: Settings, register: Register) -> None:
    """Files that a host refused are no champion, whoever asks; the same content can be registered afresh."""
    number = register(0).version
    promotion.refuse(number, "encoder.onnx: its sha256 is not the one in manifest.json.", settings=settings)
    with pytest.raises(PromotionRefused, match="refused by a host"):
        promotion.promote(number, override="please", settings=settings)
    assert register(0).version == "2"


def test_an_unsound_artifact_is_not_registered(settings: Settings, register: Register, tmp_path: Path) -> None:
    """What the servers would refuse never reaches the registry."""
    register(0)
    folder = tmp_path / "scorer-0-a-b-c"
    (folder / manifest.WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(ArtifactRefused, match="sha256"):
        register(0)
    assert len(versions.list_versions(settings=settings)) == 1


def test_downloaded_files_are_the_registered_ones(settings: Settings, register: Register, tmp_path: Path) -> None:
    """A download is complete: its manifest verifies and has the registered content."""
    version = register(0)
    assert artifact.verify(versions.download("1", tmp_path / "got", settings=settings)).content_hash == version.content_hash


def test_an_unknown_version_is_named(settings: Settings, register: Register) -> None:
    """Asking for a version nobody registered says which, and where to look."""
    register(0)
    with pytest.raises(VersionUnknown, match=r"Scorer version '77' is not in MLflow at .*routemoa list"):
        promotion.promote("77", settings=settings)
    with pytest.raises(VersionUnknown, match="No scorer version is previous"):
        versions.find("previous", settings=settings)


def test_an_empty_registry_is_no_error(settings: Settings) -> None:
    """Before the first registration there is no champion, and the list is empty."""
    assert versions.champion(settings=settings) is None
    assert versions.list_versions(settings=settings) == []


def test_a_server_that_is_down_is_named(settings: Settings) -> None:
    """Nothing listens: the error names the URL and how to start it."""
    nowhere = settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    with pytest.raises(RegistryUnreachable, match=r"http://127.0.0.1:9 does not answer.*routemoa up"):
        versions.champion(settings=nowhere)
