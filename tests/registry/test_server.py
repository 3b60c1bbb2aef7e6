"""The MLflow server of a host: where it keeps things, and what its environment must hold."""

import base64
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

from registry import child_process, server
from registry.settings import Settings


def test_the_server_listens_here_only_and_keeps_everything_in_var(tmp_path: Path) -> None:
    """One worker on 127.0.0.1; database and artifacts under var/mlflow, named by whole paths."""
    settings = Settings(_env_file=None, home=tmp_path)
    line = server.command(5099)
    assert line[:4] == [sys.executable, "-m", "mlflow", "server"]
    options = dict(zip(line[4::2], line[5::2], strict=True))
    assert (options["--host"], options["--port"], options["--workers"]) == ("127.0.0.1", "5099", "1")
    environment = server.environment(settings)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path.resolve()}/var/mlflow/mlflow.db"
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == str(tmp_path.resolve() / "var" / "mlflow" / "artifacts")


def test_a_database_and_a_storage_of_its_own(tmp_path: Path) -> None:
    """By settings; a password stands in no command line."""
    database = "postgresql+psycopg://mlflow:secret@db/mlflow"
    settings = Settings(_env_file=None, home=tmp_path, mlflow_database=database, mlflow_artifacts="s3://bucket/mlflow")
    environment = server.environment(settings)
    assert (environment["MLFLOW_BACKEND_STORE_URI"], environment["MLFLOW_ARTIFACTS_DESTINATION"]) == (database, "s3://bucket/mlflow")
    assert "secret" not in repr(settings)


def test_the_webhook_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    """A restarted server reads the webhooks it wrote; nobody else on the machine reads the key."""
    settings = Settings(_env_file=None, home=tmp_path)
    first = server.environment(settings)["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"]
    assert server.environment(settings)["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"] == first
    assert len(base64.urlsafe_b64decode(first)) == 32
    assert stat.S_IMODE((settings.var / "mlflow" / "webhook.key").stat().st_mode) == 0o600
    assert (settings.var / "mlflow" / "artifacts").is_dir()


def test_a_first_start_that_was_stopped_is_begun_anew(tmp_path: Path) -> None:
    """MLflow cannot go on with tables that it made half; whatever has an experiment was started once, and stays."""
    database = tmp_path / "var" / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    for rows, stays in ((None, False), (0, False), (1, True)):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            if rows is not None:
                connection.execute("CREATE TABLE experiments (name TEXT)")
                connection.executemany("INSERT INTO experiments VALUES (?)", [("Default",)] * rows)
            connection.commit()
        server.environment(Settings(_env_file=None, home=tmp_path))
        assert database.exists() is stays


def test_nothing_is_sent_anywhere(tmp_path: Path) -> None:
    """Telemetry and the list of models on the network are off."""
    environment = server.environment(Settings(_env_file=None, home=tmp_path))
    assert (environment["MLFLOW_DISABLE_TELEMETRY"], environment["DO_NOT_TRACK"]) == ("true", "1")
    assert environment["MLFLOW_MODEL_CATALOG_URI"] == ""


def test_a_childs_python_is_this_one(monkeypatch) -> None:
    """`python` of a stage in dvc.yaml is found beside the interpreter that runs, whatever PATH says."""
    monkeypatch.setenv("PATH", "/somewhere/else")
    monkeypatch.setenv("KEPT", "yes")
    environment = child_process.environment()
    assert environment["PATH"].split(":") == [str(Path(sys.executable).parent), "/somewhere/else"]
    assert environment["KEPT"] == "yes"
