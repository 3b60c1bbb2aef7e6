"""Runs, models and files in MLflow, through its own package: imported where a run is filled or a version's files are fetched.

What only names, begins or ends a run is `registry.run_state`, which needs no package.
"""

import contextlib
import json
import math
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry import mlflow_model
from registry.errors import RegistryFailed
from registry.mlflow_rest import unreachable

HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One value of one metric; `step` is the epoch for a history, 0 for a final figure."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunInput:
    """A dataset that a run was made from or judged on.

    source: its file or folder. digest: at most 36 characters. context: training, validation or test. columns: name -> MLflow's word for
    its type. profile: what is worth knowing of it at a glance.
    """

    name: str
    source: str
    digest: str
    context: str = "training"
    columns: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunContent:
    """What a reviewer finds in a run.

    folders: name under the artifacts -> local folder; files: folder under the artifacts ("" is the top) -> local files. tables: artifact
    name without its ending -> column -> cells.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[MetricValue] = ()
    inputs: Sequence[RunInput] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredModel:
    """An MLflow model that a run made. source: where its files are. artifact: where the scorer artifact lies among them."""

    model_id: str
    source: str
    artifact: str


def fill(url: str, run_id: str, content: RunContent, *, model_id: str | None = None) -> None:
    """Logs `content` in the run. Metrics are the model's too where there is one. Raises RegistryUnreachable, RegistryFailed."""
    with translated(url) as client:
        _batch(client, run_id, content, model_id)
        client.log_inputs(run_id, [_dataset(one) for one in content.inputs])
        for name, folder in content.folders.items():
            client.log_artifacts(run_id, str(folder), name)
        for name, paths in content.files.items():
            for path in paths:
                client.log_artifact(run_id, str(path), name or None)
        with warnings.catch_warnings(action="ignore"):  # of pandas' next version, about MLflow
            for name, columns in content.tables.items():
                client.log_table(run_id, {column: list(cells) for column, cells in columns.items()}, f"{name}.json")


def store_model(url: str, run_id: str, artifact: Path, *, name: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> StoredModel:
    """Makes `artifact` an MLflow model of the run and uploads it. Raises RegistryUnreachable, RegistryFailed."""
    with translated(url) as client, tempfile.TemporaryDirectory(prefix="routemoa-model-") as folder:
        experiment = client.get_run(run_id).info.experiment_id
        texts = {_key(key): str(value) for key, value in params.items()}
        model = client.create_logged_model(experiment, name, run_id, tags=dict(tags), params=texts, model_type="scorer")
        try:
            saved = Path(folder) / "model"
            place = mlflow_model.save(artifact, saved, run_id=run_id, model_id=model.model_id, metadata=tags)
            client.log_model_artifacts(model.model_id, str(saved))
            client.finalize_logged_model(model.model_id, "READY")
            _note_output(client, run_id, model.model_id)
        except BaseException:
            with contextlib.suppress(*_exceptions()):
                client.finalize_logged_model(model.model_id, "FAILED")
            raise
        return StoredModel(model.model_id, str(model.artifact_location), place)


def download(url: str, source: str, target: Path) -> Path:
    """The files at `source`, a place that MLflow named, copied into `target`. Raises RegistryUnreachable, RegistryFailed."""
    with translated(url):
        from mlflow.artifacts import download_artifacts

        target.mkdir(parents=True, exist_ok=True)
        return Path(download_artifacts(artifact_uri=source, dst_path=str(target), tracking_uri=url, registry_uri=url))


@contextlib.contextmanager
def translated(url: str) -> Iterator[Any]:
    """A client of MLflow's; whatever it raises becomes an error of ours."""
    for key, value in {**HTTP_LIMITS, **QUIET}.items():
        os.environ.setdefault(key, value)
    import requests
    from mlflow import MlflowClient

    try:
        yield MlflowClient(tracking_uri=url, registry_uri=url)
    except _exceptions() as exc:
        beneath = exc.__cause__ or exc.__context__
        if isinstance(exc, requests.RequestException) or isinstance(beneath, requests.RequestException) or _is_down(exc):
            raise unreachable(url) from exc
        raise RegistryFailed(f"MLflow at {url}: {exc}", next_step="Read the server's log.", code=getattr(exc, "error_code", "")) from exc


def _batch(client: Any, run_id: str, content: RunContent, model_id: str | None) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    finite = [one for one in content.metrics if math.isfinite(one.value)]
    values = [Metric(_key(one.name), one.value, now, one.step, model_id=model_id) for one in finite]
    pairs = [Param(_key(key), str(value)) for key, value in content.params.items()]
    for start in range(0, max(len(values), 1), 900):  # MLflow takes 1,000 a request
        client.log_batch(run_id, metrics=values[start : start + 900], params=pairs[:90] if start == 0 else ())


def _dataset(one: RunInput) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [{"type": kind, "name": name, "required": False} for name, kind in one.columns.items()]
    written = Dataset(
        one.name,
        one.digest,
        "local",
        json.dumps({"uri": one.source}),
        json.dumps({"mlflow_colspec": columns}) if columns else None,
        json.dumps(dict(one.profile)) if one.profile else None,
    )
    tags = [InputTag("mlflow.data.context", one.context), *(InputTag(key, value) for key, value in one.tags.items())]
    return DatasetInput(written, tags)


def _note_output(client: Any, run_id: str, model_id: str) -> None:
    """Has the run's page show the model it made."""
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def _exceptions() -> tuple[type[Exception], ...]:
    import requests
    from mlflow.exceptions import MlflowException

    return MlflowException, requests.RequestException


def _is_down(exc: Exception) -> bool:
    """Whether a proxy answered in place of a server that is down."""
    return getattr(exc, "error_code", "") == "TEMPORARILY_UNAVAILABLE" or re.search(r"error code 50[234]", str(exc)) is not None


def _key(name: str) -> str:
    """`name` with only the characters MLflow takes in keys."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]
