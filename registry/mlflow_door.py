"""The only door to MLflow: every call to it is made here, and its exceptions become those of `registry.errors`."""

import contextlib
import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import RegistryFailed, RegistryUnreachable, VersionUnknown
from registry.version import Version

EXPERIMENT = "routemoa"
HTTP_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}


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


@dataclass(frozen=True, slots=True)
class Door:
    """MLflow at `url`, and the registered model `name` whose versions are our scorer versions."""

    url: str
    name: str

    def versions(self) -> list[Version]:
        """All versions, the newest first; none where nothing was ever registered."""
        with self._translated() as client:
            try:
                aliases = client.get_registered_model(self.name).aliases
            except self._exceptions() as exc:
                if getattr(exc, "error_code", "") in ABSENT:
                    return []
                raise
            rows = client.search_model_versions(f"name='{self.name}'", order_by=["version_number DESC"])
        return [_version(row, [alias for alias, number in aliases.items() if str(number) == str(row.version)]) for row in rows]

    def version(self, number: str) -> Version:
        """The version called `number`. Raises VersionUnknown."""
        with self._translated(f"Scorer version {number!r}") as client:
            return _version(client.get_model_version(self.name, number))

    def by_alias(self, alias: str) -> Version | None:
        """The version that `alias` points to, or None."""
        with self._translated() as client:
            try:
                return _version(client.get_model_version_by_alias(self.name, alias))
            except self._exceptions() as exc:
                if getattr(exc, "error_code", "") in ABSENT or f"alias {alias} not found" in str(exc).lower():
                    return None
                raise

    def record_run(
        self,
        *,
        params: Mapping[str, Any],
        metrics: Sequence[MetricValue],
        tags: Mapping[str, str],
        inputs: Sequence[RunInput],
        folders: Mapping[str, Path],
    ) -> tuple[str, str]:
        """Logs one finished run; returns its id and where its artifacts are. `folders`: name under the artifacts -> local folder."""
        with self._translated() as client:
            experiment = client.get_experiment_by_name(EXPERIMENT)
            where = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
            run = client.create_run(where, tags=dict(tags))
            run_id = run.info.run_id
            try:
                self._fill(client, run_id, params, metrics, inputs)
                for name, folder in folders.items():
                    client.log_artifacts(run_id, str(folder), name)
            except BaseException:
                with contextlib.suppress(*self._exceptions()):
                    client.set_terminated(run_id, "FAILED")
                raise
            client.set_terminated(run_id, "FINISHED")
        return run_id, str(run.info.artifact_uri)

    def create_version(self, *, source: str, run_id: str, tags: Mapping[str, str], description: str) -> Version:
        """A new version whose files are at `source`."""
        with self._translated() as client:
            try:
                client.create_registered_model(
                    self.name, description="Predicts, from a query alone, which LLMs of its roster answer it well."
                )
            except self._exceptions() as exc:
                if getattr(exc, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                    raise
            return _version(
                client.create_model_version(self.name, source, run_id, tags=dict(tags), description=description, await_creation_for=0)
            )

    def set_alias(self, alias: str, number: str) -> None:
        """Moves `alias` to the version `number`. Raises VersionUnknown."""
        with self._translated(f"Scorer version {number!r}") as client:
            client.set_registered_model_alias(self.name, alias, number)

    def delete_alias(self, alias: str) -> None:
        """Removes `alias`, if it is there."""
        with self._translated() as client:
            client.delete_registered_model_alias(self.name, alias)

    def annotate(self, number: str, *, tags: Mapping[str, str], description: str | None = None) -> None:
        """Sets tags, and the description where one is given, of the version `number`."""
        with self._translated(f"Scorer version {number!r}") as client:
            for key, value in tags.items():
                client.set_model_version_tag(self.name, number, key, value)
            if description is not None:
                client.update_model_version(self.name, number, description)

    def delete_tag(self, number: str, tag: str) -> None:
        """Removes `tag` from the version `number`."""
        with self._translated(f"Scorer version {number!r}") as client:
            client.delete_model_version_tag(self.name, number, tag)

    def download(self, version: Version, target: Path) -> Path:
        """The artifact's files of `version`, copied into `target`."""
        with self._translated(f"The files of scorer version {version.version}"):
            from mlflow.artifacts import download_artifacts

            target.mkdir(parents=True, exist_ok=True)
            return Path(download_artifacts(artifact_uri=version.source, dst_path=str(target), tracking_uri=self.url))

    def _fill(
        self, client: Any, run_id: str, params: Mapping[str, Any], metrics: Sequence[MetricValue], inputs: Sequence[RunInput]
    ) -> None:
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

    @contextlib.contextmanager
    def _translated(self, what: str = "") -> Iterator[Any]:
        """A client; whatever it raises becomes an error of ours. `what`: the thing asked for, named where it does not exist."""
        for key, value in {**HTTP_LIMITS, **QUIET}.items():
            os.environ.setdefault(key, value)
        import requests
        from mlflow import MlflowClient

        try:
            yield MlflowClient(tracking_uri=self.url, registry_uri=self.url)
        except self._exceptions() as exc:
            code = getattr(exc, "error_code", "")
            beneath = exc.__cause__ or exc.__context__
            if isinstance(exc, requests.RequestException) or isinstance(beneath, requests.RequestException) or _is_down(exc):
                raise RegistryUnreachable(
                    f"MLflow at {self.url} does not answer.",
                    next_step="Start it with `routemoa up` or `python -m registry.server`, or set ROUTEMOA_MLFLOW_URL.",
                ) from exc
            if what and code in {*ABSENT, "INVALID_PARAMETER_VALUE"}:
                raise VersionUnknown(f"{what} is not in MLflow at {self.url}.", next_step="See `routemoa list`.") from exc
            raise RegistryFailed(f"MLflow at {self.url}: {exc}", next_step="Read the server's log.") from exc

    @staticmethod
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


def _version(raw: Any, aliases: Sequence[str] | None = None) -> Version:
    return Version(
        version=str(raw.version),
        aliases=tuple(sorted(raw.aliases if aliases is None else aliases)),
        tags=dict(raw.tags),
        description=raw.description or "",
        run_id=raw.run_id or "",
        source=raw.source or "",
        created_at=raw.creation_timestamp / 1000,
    )
