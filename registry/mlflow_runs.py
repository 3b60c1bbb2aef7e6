"""Runs and files in MLflow, through its own package: it is imported where a run is recorded or a version's files are fetched."""

import contextlib
import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import RegistryFailed
from registry.mlflow_rest import unreachable

EXPERIMENT = "routemoa"
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
    """A dataset that a run was made from; `digest` is DVC's hash."""

    name: str
    path: str
    digest: str
    tags: Mapping[str, str]


def record(
    url: str,
    *,
    params: Mapping[str, Any],
    metrics: Sequence[MetricValue],
    tags: Mapping[str, str],
    inputs: Sequence[RunInput],
    folders: Mapping[str, Path],
) -> tuple[str, str]:
    """Logs one finished run; returns its id and where its artifacts are. `folders`: name under the artifacts -> local folder.

    Raises RegistryUnreachable, RegistryFailed.
    """
    with translated(url) as client:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        where = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
        run = client.create_run(where, tags=dict(tags))
        run_id = run.info.run_id
        try:
            _fill(client, run_id, params, metrics, inputs)
            for name, folder in folders.items():
                client.log_artifacts(run_id, str(folder), name)
        except BaseException:
            with contextlib.suppress(*_exceptions()):
                client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id, "FINISHED")
    return run_id, str(run.info.artifact_uri)


def download(url: str, source: str, target: Path) -> Path:
    """The files at `source`, a place that MLflow named, copied into `target`. Raises RegistryUnreachable, RegistryFailed."""
    with translated(url):
        from mlflow.artifacts import download_artifacts

        target.mkdir(parents=True, exist_ok=True)
        return Path(download_artifacts(artifact_uri=source, dst_path=str(target), tracking_uri=url))


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


def _fill(client: Any, run_id: str, params: Mapping[str, Any], metrics: Sequence[MetricValue], inputs: Sequence[RunInput]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    now = int(time.time() * 1000)
    values = [Metric(_key(one.name), one.value, now, one.step) for one in metrics if math.isfinite(one.value)]
    pairs = [Param(_key(key), str(value)) for key, value in params.items()]
    for start in range(0, max(len(values), 1), 900):  # MLflow takes 1,000 a request
        client.log_batch(run_id, metrics=values[start : start + 900], params=pairs[:90] if start == 0 else ())
    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset(one.name, one.digest[:8], "local", f'{{"uri": "{one.path}"}}'),  # longer digests are refused
                [InputTag("mlflow.data.context", "training"), *(InputTag(key, value) for key, value in one.tags.items())],
            )
            for one in inputs
        ],
    )


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
