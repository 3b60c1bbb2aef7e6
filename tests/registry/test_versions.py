"""Scorer versions against a real MLflow server."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import mlflow.pyfunc
import numpy as np
import pytest
from mlflow import MlflowClient

from registry import mlflow_runs, promotion, versions
from registry.errors import PromotionRefused, RegistryFailed, RegistryUnreachable, VersionUnknown
from registry.gate_rules import GateResult
from registry.mlflow_door import Door
from registry.run_state import Runs
from registry.settings import Settings
from registry.version import Version
from scorer import artifact, manifest, runtime
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


def test_a_run_holds_params_metrics_history_tables_and_lineage(settings: Settings, register: Register, tmp_path: Path) -> None:
    """Everything a reviewer asks of a version is in its run: settings, figures in groups, loss per epoch, tables, hashes."""
    version = register(0)
    client = MlflowClient(tracking_uri=settings.mlflow_url)
    run = client.get_run(version.run_id)
    assert run.data.params == {"encoder": "tiny", "train/seed": "0"}
    assert run.data.metrics["test/ours/quality"] == 0.71
    assert [(point.step, point.value) for point in client.get_metric_history(version.run_id, "train/history/loss")] == [(0, 1.0), (1, 0.5)]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("queries-train", "d" * 8)
    assert json.loads(dataset.dataset.schema)["mlflow_colspec"][0]["name"] == "text"
    assert json.loads(dataset.dataset.profile) == {"queries": 3}
    assert [file.path for file in client.list_artifacts(version.run_id, "evaluation")] == ["evaluation/baselines.csv"]
    assert [file.path for file in client.list_artifacts(version.run_id, "project")] == ["project/pool.yaml"]
    table = json.loads(mlflow_runs.download(settings.mlflow_url, f"runs:/{version.run_id}/answers.json", tmp_path / "got").read_text())
    assert table == {"columns": ["question", "answer"], "data": [["2 + 2?", "4"]]}
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.user"]
    assert version.tags["git_commit"] == "1" * 40
    assert version.tags["validation.warnings"] == "2"


def test_a_run_is_named_for_its_reason(settings: Settings, register: Register) -> None:
    """The first; an LLM that joined; one that left; what a job was asked for; a training that began its run keeps it."""
    client = MlflowClient(tracking_uri=settings.mlflow_url)
    begun = Runs(settings.mlflow_url).begin("training", {"job": "retrain-1"})
    made = [
        register(0, run_id=begun),
        register(1, roster=("a", "b", "c", "unheard")),
        register(2),
        register(3, reason="promises are too high"),
    ]
    assert [client.get_run(one.run_id).info.run_name for one in made] == [
        "scorer 1: the first scorer",
        "scorer 2: unheard joined",
        "scorer 3: unheard left",
        "scorer 4: promises are too high",
    ]
    assert made[0].run_id == begun
    assert client.get_run(begun).data.tags["job"] == "retrain-1"


def test_a_version_is_a_model_that_anybody_loads(settings: Settings, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its alias, with a signature and an example, and with the scores that a server gives; its metrics are the model's too."""
    version = promotion.promote(register(0).version, override="the first", settings=settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.mlflow_url)
    mlflow.set_tracking_uri(settings.mlflow_url)
    loaded = mlflow.pyfunc.load_model(f"models:/{settings.scorer_name}@champion")
    texts = ["What is 2 + 2?", "Why?"]
    predicted = loaded.predict(texts)
    served = runtime.load(versions.download(version, settings.var / "got", settings=settings)).score(texts).scores_QL
    np.testing.assert_allclose([list(row.values()) for row in predicted], served, atol=1e-6)
    assert list(predicted[0]) == ["a", "b", "c"]
    assert str(loaded.metadata.signature.inputs) == "[string (required)]"
    model = MlflowClient(tracking_uri=settings.mlflow_url).get_logged_model(str(loaded.metadata.model_id))
    assert {metric.key: metric.value for metric in model.metrics}["test/ours/quality"] == 0.71


def test_a_stored_model_holds_no_pickle_and_asks_for_little(settings: Settings, register: Register, tmp_path: Path) -> None:
    """Code and plain files, and requirements that bring no torch."""
    version = register(0)
    folder = mlflow_runs.download(settings.mlflow_url, version.source, tmp_path / "model")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "MLmodel",
        "scorer_pyfunc.py",
        "code/scorer/runtime.py",
        "input_example.json",
        "artifacts/scorer-0-a-b-c/manifest.json",
    } <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pyc"))]
    asked = {line.split("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()}
    assert asked == {"mlflow-skinny", "pandas", "numpy", "onnxruntime", "tokenizers", "safetensors"}


def test_a_version_of_before_is_served(settings: Settings, register: Register, tmp_path: Path) -> None:
    """Versions that are the artifact itself, as earlier releases registered them, are fetched as before."""
    new = register(0)
    with mlflow_runs.translated(settings.mlflow_url) as client:
        client.log_artifacts(new.run_id, str(tmp_path / "scorer-0-a-b-c"), "scorer")
        source = f"{client.get_run(new.run_id).info.artifact_uri}/scorer"
    tags = {key: value for key, value in new.tags.items() if key != "artifact"}
    old = Door.of(settings).create_version(source=source, run_id=new.run_id, tags=tags, description="")
    assert artifact.verify(versions.download(old, tmp_path / "got", settings=settings)).content_hash == new.content_hash


def test_a_copy_by_mlflows_promote_button_can_be_followed(settings: Settings, register: Register, tmp_path: Path) -> None:
    """The button copies a version into another registered model; where ROUTEMOA_SCORER_NAME names that one, its files are fetched."""
    version = register(0)
    other = settings.model_copy(update={"scorer_name": f"{settings.scorer_name}-prod"})
    with mlflow_runs.translated(settings.mlflow_url) as client:
        client.copy_model_version(f"models:/{settings.scorer_name}/{version.version}", other.scorer_name)
    copied = versions.find("1", settings=other)
    assert artifact.verify(versions.download(copied, tmp_path / "got", settings=other)).content_hash == version.content_hash


def test_what_cannot_be_registered_leaves_a_failed_run(settings: Settings, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason on its page, and no version."""

    def refused(*_: object, **__: object) -> None:
        raise RegistryFailed("the disk is full")

    monkeypatch.setattr(mlflow_runs, "fill", refused)
    begun = Runs(settings.mlflow_url).begin("training", {})
    with pytest.raises(RegistryFailed):
        register(0, run_id=begun)
    run = MlflowClient(tracking_uri=settings.mlflow_url).get_run(begun)
    assert (run.info.status, run.data.tags["mlflow.note.content"]) == ("FAILED", "register: the disk is full")
    assert versions.list_versions(settings=settings) == []


def test_the_description_is_a_readable_card(register: Register) -> None:
    """The version's page in MLflow shows figures with intervals beside baselines, the roster's prices, the gate and how to promote."""
    text = register(0).description
    assert "| **this scorer** | 0.710 [0.660, 0.760] |" in text
    assert "| an LLM at random | 0.500 |" in text
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
