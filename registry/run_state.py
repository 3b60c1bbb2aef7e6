"""A scorer's run in MLflow, from outside: begun, named, tagged and ended, without MLflow's package."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from registry import os_user
from registry.errors import RegistryFailed
from registry.mlflow_rest import Rest

EXPERIMENT = "routemoa"
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"}
NAME, NOTE, PARENT, USER = "mlflow.runName", "mlflow.note.content", "mlflow.parentRunId", "mlflow.user"  # tags MLflow reads
LONGEST_NOTE = 5_000

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of MLflow at `url`. Every method raises RegistryUnreachable where it does not answer, RegistryFailed where it refuses."""

    url: str

    def begin(self, name: str, tags: Mapping[str, str], *, parent: str | None = None) -> str:
        """A new run that goes on; returns its id."""
        everything = {NAME: name, USER: os_user.name(), **({PARENT: parent} if parent else {}), **tags}
        run = self._call(
            "POST",
            "runs/create",
            experiment_id=self._experiment(),
            run_name=name,
            user_id=everything[USER],
            start_time=_now(),
            tags=[{"key": key, "value": value} for key, value in everything.items()],
        )
        return str(run["run"]["info"]["run_id"])

    def exists(self, run_id: str) -> bool:
        """Whether MLflow has this run, and nobody deleted it."""
        try:
            run = self._call("GET", "runs/get", run_id=run_id)
        except RegistryFailed as exc:
            if exc.code in ABSENT:
                return False
            raise
        return str(run["run"]["info"].get("lifecycle_stage", "active")) == "active"

    def go_on(self, run_id: str, name: str | None = None) -> None:
        """The run goes on, under another name where one is given."""
        self._call("POST", "runs/update", run_id=run_id, status="RUNNING", **({"run_name": name} if name else {}))

    def end(self, run_id: str, status: Status, note: str = "") -> None:
        """Ends the run; `note` says why, on its page."""
        if note:
            self.tag(run_id, {NOTE: note[:LONGEST_NOTE]})
        self._call("POST", "runs/update", run_id=run_id, status=status, end_time=_now())

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Sets tags of the run."""
        self.log(run_id, {}, tags)

    def log(self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Logs figures and sets tags of the run."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._call(
            "POST",
            "runs/log-batch",
            run_id=run_id,
            metrics=[{"key": key, "value": value, "timestamp": _now(), "step": 0} for key, value in finite.items()],
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )

    def _experiment(self) -> str:
        try:
            found = self._call("GET", "experiments/get-by-name", experiment_name=EXPERIMENT)
            return str(found["experiment"]["experiment_id"])
        except RegistryFailed as exc:
            if exc.code not in ABSENT:
                raise
        try:
            return str(self._call("POST", "experiments/create", name=EXPERIMENT)["experiment_id"])
        except RegistryFailed as exc:
            if exc.code != "RESOURCE_ALREADY_EXISTS":  # another process was first
                raise
            return self._experiment()

    def _call(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        return Rest(self.url).call(method, path, **fields)


def _now() -> int:
    return int(time.time() * 1000)
