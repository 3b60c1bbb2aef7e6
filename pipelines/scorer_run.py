"""A scorer's run in MLflow across the stages: `train` begins it, `register` fills it, `gate` ends it; where one of them fails, it says so.

MLflow need not answer while a scorer is trained: then there is no run, and a line says so. Which run it is stands in build/run.json.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

from pipelines import json_files
from pipelines.errors import PipelineError
from pipelines.project import Project
from registry import lineage
from registry.errors import RegistryError
from registry.run_state import Runs, Status
from registry.settings import Settings

PARENT, REASON = "ROUTEMOA_PARENT_RUN", "ROUTEMOA_REASON"  # what a job tells the stages it has DVC run


def reason() -> str:
    """What the training was asked for; empty where a person ran the stages."""
    return os.environ.get(REASON, "")


@contextlib.contextmanager
def of_a_job(settings: Settings, job: str, asked: str) -> Iterator[dict[str, str]]:
    """A run for a whole retraining, of which the scorer's is a part, ended with it; what it yields tells the stages of it."""
    tags = lineage.source(settings.home) | ({"job": job} if job else {}) | {"mlflow.source.name": "pipelines.retrain"}
    with _kept(settings, "retrain", asked, tags) as run_id:
        yield ({REASON: asked} if asked else {}) | ({PARENT: run_id} if run_id else {})


@contextlib.contextmanager
def training(settings: Settings) -> Iterator[Callable[[str], None]]:
    """A run for a training, ended with it; what it yields is called with the content hash of the artifact that came of it."""
    project = Project(settings.home)
    project.scorer_run.unlink(missing_ok=True)
    with _kept(settings, "train", reason(), lineage.source(project.home), parent=os.environ.get(PARENT) or None) as run_id:

        def made(content_hash: str) -> None:
            if run_id is not None:
                json_files.write(project.scorer_run, {"run_id": run_id, "url": settings.mlflow_url, "content_hash": content_hash})

        yield made


@contextlib.contextmanager
def _kept(settings: Settings, stage: str, asked: str, tags: Mapping[str, str], parent: str | None = None) -> Iterator[str | None]:
    """A run of the training or retraining, ended with it as it ended; None, with a line that says so, where MLflow keeps none."""
    runs, run_id = Runs(settings.mlflow_url), None
    try:
        run_id = runs.begin(f"{stage}ing: {asked or 'by hand'}"[:120], tags, parent=parent)
    except RegistryError as exc:
        print(f"No run is kept of this {stage}ing: {exc}", flush=True)
    with _ending(runs, run_id, stage):
        yield run_id
    if run_id is not None:
        _end(runs, run_id, "FINISHED")


@contextlib.contextmanager
def noting_failure(settings: Settings, stage: str) -> Iterator[None]:
    """Ends the scorer's run as failed, with the reason, where `stage` fails."""
    project = Project(settings.home)
    with _ending(Runs(settings.mlflow_url), registered(project) if stage == "gate" else begun(settings), stage):
        yield


def begun(settings: Settings) -> str | None:
    """The run of the training that made what lies in build/scorer, where MLflow was there."""
    project = Project(settings.home)
    try:
        kept, train = json_files.read(project.scorer_run, "train"), json_files.read(project.training, "train")
    except PipelineError:
        return None
    same = kept.get("content_hash") == train.get("content_hash") and kept.get("url") == settings.mlflow_url
    return str(kept["run_id"]) if same else None


def registered(project: Project) -> str | None:
    """The run of the version registered last."""
    try:
        return str(json_files.read(project.registered, "register").get("run_id") or "") or None
    except PipelineError:
        return None


@contextlib.contextmanager
def _ending(runs: Runs, run_id: str | None, stage: str) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        if run_id is not None:
            _end(runs, run_id, "FAILED", f"{stage}: {exc}")
        raise
    except BaseException:  # Ctrl-C, or a job that was cancelled
        if run_id is not None:
            _end(runs, run_id, "KILLED", f"{stage}: stopped")
        raise


def _end(runs: Runs, run_id: str, status: Status, note: str = "") -> None:
    """Ends the run; that MLflow is down or the run deleted changes nothing about the stage."""
    try:
        runs.end(run_id, status, note)
    except RegistryError as exc:
        print(f"The run {run_id} is not ended in MLflow: {exc}")
