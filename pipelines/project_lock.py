"""One at a time: a retraining, or a harvest, of a project."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pipelines.errors import RetrainRefused
from pipelines.project import Project

END_WITHIN_S = 10.0  # for what a killed retraining ran, which its lock is held for
WAIT_S = 15.0  # for a retraining that was killed or stopped a moment ago


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """Holds the project's lock, once whoever was killed or stopped is gone. Raises RetrainRefused where it is not free within WAIT_S."""
    project.var.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.retrain_lock)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another retraining or harvest of this project runs, or ends: waiting for it, at most {WAIT_S:.0f} s.", flush=True)
            lock.acquire(timeout=WAIT_S)
    except Timeout as exc:
        raise RetrainRefused("Another retraining of this project runs.", next_step="Wait for it: `routemoa jobs` shows it.") from exc
    try:
        yield
    finally:
        lock.release()
