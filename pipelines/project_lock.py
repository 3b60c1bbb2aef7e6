"""One at a time: a retraining, or a harvest, of a project."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pipelines.errors import RetrainRefused
from pipelines.project import Project


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """Holds the project's lock. Raises RetrainRefused where a retraining or harvest holds it."""
    project.var.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(project.retrain_lock, timeout=0):
            yield
    except Timeout as exc:
        raise RetrainRefused("Another retraining of this project runs.", next_step="Wait for it: `routemoa jobs` shows it.") from exc
