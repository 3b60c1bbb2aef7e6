"""Starting this host's own MLflow server: `python -m registry.server` (a team's server is only another ROUTEMOA_MLFLOW_URL)."""

import base64
import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from registry import extras, variables
from registry.errors import ExtraMissing, VariableRefused
from registry.settings import Settings
from scorer.atomic_write import replacing


def command(port: int, host: str = "127.0.0.1") -> list[str]:
    """The command line of an MLflow server. Where it keeps things is in its environment: a database may have a password.

    One worker without job execution: two processes and 0.5 GB instead of fifteen and 2.4 GB.
    """
    return [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]


def environment(settings: Settings) -> dict[str, str]:
    """What that server needs in its environment; makes `var/mlflow` and its webhook key on first use.

    Versions and files are there, in SQLite and a folder, where the settings name no other database and no other storage. A database that
    a first start left half made, which MLflow could not go on with, is set aside.
    """
    home = settings.var.resolve() / "mlflow"
    (home / "artifacts").mkdir(parents=True, exist_ok=True)
    if _is_half_made(home / "mlflow.db"):
        (home / "mlflow.db").replace(home / "mlflow.db.half-made")
    return {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_database.get_secret_value() or f"sqlite:///{home / 'mlflow.db'}",
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifacts or str(home / "artifacts"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_MODEL_CATALOG_URI": "",
        # versions may only point at files this server keeps
        "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": r"^(mlflow-artifacts|runs|models):/.*",
        # without a key of our own every process invents one, and a webhook made in the UI is unreadable after a restart
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": _webhook_key(settings),
    }


def _is_half_made(database: Path) -> bool:
    """Whether MLflow was stopped while it made its tables: the first thing that it writes once they are whole is an experiment."""
    if not database.is_file():
        return False
    with closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return "experiments" not in tables or connection.execute("SELECT 1 FROM experiments").fetchone() is None


def _webhook_key(settings: Settings) -> str:
    path = settings.var / "mlflow" / "webhook.key"
    if not path.exists():
        with replacing(path) as partial:
            partial.touch(mode=0o600)
            partial.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
    return path.read_text()


def main() -> None:
    """Becomes the MLflow server of this project."""
    settings = Settings()
    try:
        extras.need("train")
        variables.check()
    except (ExtraMissing, VariableRefused) as exc:
        sys.exit(str(exc))
    line = command(urlsplit(settings.mlflow_url).port or 5001, settings.mlflow_host)
    os.execve(line[0], line, {**os.environ, **environment(settings)})  # noqa: S606 - a list of our own making


if __name__ == "__main__":
    main()
