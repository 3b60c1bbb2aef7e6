"""A real MLflow server for tests: `with running(home) as server` (its database is copied from a template: no migration to wait for)."""

import contextlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from local.processes import Processes, free_ports
from registry import server
from registry.settings import Settings

MAKE_DATABASE = """
import sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore(sys.argv[1], sys.argv[2])
"""


@dataclass
class MLflow:
    """A server that can be killed and started again on the same port, its state kept."""

    settings: Settings
    port: int
    processes: Processes = field(repr=False)
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def artifacts(self) -> Path:
        """Where it keeps runs' files."""
        return self.settings.var / "mlflow" / "artifacts"

    def start(self) -> None:
        """Returns when it answers."""
        environment = {**server.environment(self.settings), **self.more}
        self.processes.start("mlflow", server.command(self.port), environment=environment)
        self.processes.wait_until_ready("mlflow", f"{self.url}/health", seconds=300)

    def kill(self) -> None:
        """Ends it without a goodbye."""
        self.processes.stop("mlflow", grace=0)


@contextlib.contextmanager
def running(home: Path, *, more: Mapping[str, str] | None = None, **settings: str) -> Iterator[MLflow]:
    """A server with its state under `home/var/mlflow`, or where `settings` say. more: of its environment."""
    made = Settings(_env_file=None, home=home, **settings)
    (home / "var" / "mlflow").mkdir(parents=True, exist_ok=True)
    shutil.copy(template(), home / "var" / "mlflow" / "mlflow.db")
    with Processes(logs=home / "var" / "logs", home=home) as processes:
        mlflow = MLflow(made, next(free_ports(5300)), processes, more or {})
        mlflow.start()
        yield mlflow


def template() -> Path:
    """An empty, migrated database, made once per MLflow version and user."""
    kept = Path(tempfile.gettempdir()) / f"routemoa-tests-{Path.home().name}" / f"mlflow-{importlib.metadata.version('mlflow')}.db"
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            partial = kept.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            subprocess.run([sys.executable, "-c", MAKE_DATABASE, f"sqlite:///{partial}", str(kept.parent / "unused")], check=True)
            partial.replace(kept)
    return kept
