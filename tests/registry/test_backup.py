"""Backups: what is in one, what a wrong one says. The whole way, wiped and restored, is in tests/deploy/test_restore.py."""

import json
import re
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.backup import backup, manifest, places, postgres, restore
from registry.errors import BackupFailed
from registry.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project with a database in use, a key file, an answer, and what need not be kept."""
    home = tmp_path / "home"
    for name, text in {
        "registry/pool.yaml": "llms: {}\n",
        "var/keys.json": "[]",
        "var/keys.lock": "",
        "var/logs/server.log": "long",
        "build/answers/a.parquet": "answers",
        "build/embeddings/1.npz": "vectors",
        "dvc.lock": "schema: '2.0'\n",
        ".env": "ROUTEMOA_PORT=8080\n",
        "docs/page.md": "in git",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / "var" / "keys.json").chmod(0o600)
    return Settings(_env_file=None, home=home)


def test_a_database_in_use_is_copied_as_of_one_moment(settings: Settings, tmp_path: Path) -> None:
    """What was committed is there, what is in flight is not, and the files beside it are not needed."""
    with closing(sqlite3.connect(settings.var / "records.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE records (id INTEGER)")
        writer.execute("INSERT INTO records VALUES (1)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO records VALUES (2)")
        made = backup.take(settings, tmp_path / "kept", now=NOW)
        writer.execute("COMMIT")
    kept = {name for name in made.sha256 if name.startswith("files/var/")}
    assert kept == {"files/var/keys.json", "files/var/records.db"}
    with closing(sqlite3.connect(tmp_path / "kept" / "files" / "var" / "records.db")) as copy:
        assert copy.execute("SELECT id FROM records").fetchall() == [(1,)]


def test_what_is_kept_and_what_is_made_again(settings: Settings, tmp_path: Path) -> None:
    """Answers are bought, so they are kept; embeddings, logs and what git has are not; nobody else may read it."""
    made = backup.take(settings, tmp_path / "kept", now=NOW)
    assert set(made.sha256) == {
        "files/registry/pool.yaml",
        "files/var/keys.json",
        "files/build/answers/a.parquet",
        "files/dvc.lock",
        "files/.env",
    }
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "kept" / "files" / "var" / "keys.json").stat().st_mode) == 0o600
    assert manifest.read(tmp_path / "kept") == made


def test_it_goes_back_where_nothing_is(settings: Settings, tmp_path: Path) -> None:
    """A host's own `.env` stays; a project in use is left alone."""
    backup.take(settings, tmp_path / "kept", now=NOW)
    other = Settings(_env_file=None, home=tmp_path / "other")
    other.home.mkdir()
    (other.home / ".env").write_text("ROUTEMOA_PORT=9090\n")
    restore.put_back(other, tmp_path / "kept")
    assert (other.home / "build" / "answers" / "a.parquet").read_text() == "answers"
    assert (other.home / ".env").read_text() == "ROUTEMOA_PORT=9090\n"
    with pytest.raises(BackupFailed, match=r"var has keys\.json: a project is in use there\."):
        restore.put_back(other, tmp_path / "kept")


def test_an_interrupted_or_damaged_backup_is_refused_before_anything_is_written(settings: Settings, tmp_path: Path) -> None:
    """No manifest, another byte, a file that is not there, another format."""
    folder, other = tmp_path / "kept", Settings(_env_file=None, home=tmp_path / "other")
    backup.take(settings, folder, now=NOW)
    text = (folder / manifest.NAME).read_text()
    for damage, says in (
        ((folder / manifest.NAME).unlink, r"holds no manifest\.json: it is no backup, or one that was interrupted"),
        (lambda: (folder / "files" / "dvc.lock").write_text("another"), r"dvc\.lock is missing or is not what was backed up"),
        (lambda: (folder / manifest.NAME).write_text(text.replace('"format": 1', '"format": 7')), r"is of format 7, this release reads 1"),
        (lambda: (folder / manifest.NAME).write_text(json.dumps({"format": 1, "at": "x"})), r"manifest\.json cannot be read: 'release'"),
        (lambda: (folder / manifest.NAME).write_text(text.replace("files/dvc.lock", "files/gone")), r"gone is missing or is not"),
    ):
        (folder / manifest.NAME).write_text(text)
        damage()
        with pytest.raises(BackupFailed, match=says):
            restore.put_back(other, folder)
        assert not other.home.exists()


@pytest.mark.parametrize("name", ["../outside", "files/../dvc.lock", "files//etc/passwd", "/etc/passwd", "files\\..\\x"])
def test_a_path_that_leads_out_of_a_project_is_refused(settings: Settings, tmp_path: Path, name: str) -> None:
    """Though a file with that checksum is there, below the backup even: a restore would write it beside the project."""
    folder, other = tmp_path / "kept", Settings(_env_file=None, home=tmp_path / "other")
    backup.take(settings, folder, now=NOW)
    (folder / "dvc.lock").write_bytes((folder / "files" / "dvc.lock").read_bytes())
    kept = json.loads((folder / manifest.NAME).read_text())
    kept["sha256"][name] = kept["sha256"].pop("files/dvc.lock")
    (folder / manifest.NAME).write_text(json.dumps(kept))
    with pytest.raises(BackupFailed, match=f"lists {re.escape(repr(name))}: no path below a backup"):
        restore.put_back(other, folder)
    assert not other.home.exists()


def test_a_folder_that_is_used_is_refused(settings: Settings, tmp_path: Path) -> None:
    """Nothing is written over, and no backup holds itself."""
    with pytest.raises(BackupFailed, match=r"home/var is not empty"):
        backup.take(settings, settings.var, now=NOW)
    with pytest.raises(BackupFailed, match=r"dvc\.lock is no folder"):
        backup.take(settings, settings.home / "dvc.lock", now=NOW)
    with pytest.raises(BackupFailed, match=r"is in what is backed up"):
        backup.take(settings, settings.var / "backups" / "1", now=NOW)


def test_a_damaged_database_makes_no_backup(settings: Settings, tmp_path: Path) -> None:
    """It is named, and what was written by then has no manifest."""
    (settings.var / "spend.db").write_bytes(b"SQLite format 3\0" + b"torn" * 1000)
    with pytest.raises(BackupFailed, match=r"var/spend\.db: "):
        backup.take(settings, tmp_path / "kept", now=NOW)
    assert not (tmp_path / "kept" / manifest.NAME).exists()


def test_a_restore_writes_nothing_into_the_backup(settings: Settings, tmp_path: Path) -> None:
    """Which may lie on a disk that is only read: SQLite's own files would be made beside a database that is opened there."""
    folder = tmp_path / "kept"
    with closing(sqlite3.connect(settings.var / "spend.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE spend (usd REAL)")
        writer.execute("INSERT INTO spend VALUES (1.5)")
    backup.take(settings, folder, now=NOW)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    restore.put_back(Settings(_env_file=None, home=tmp_path / "other"), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with closing(sqlite3.connect(tmp_path / "other" / "var" / "spend.db")) as copy:
        assert copy.execute("SELECT usd FROM spend").fetchall() == [(1.5,)]


def test_a_dump_needs_a_database(settings: Settings, tmp_path: Path) -> None:
    """The variable to set is named."""
    folder = tmp_path / "kept"
    backup.take(settings, folder, now=NOW)
    (folder / "routemoa.dump").write_bytes(b"PGDMP")
    manifest.of(folder, "x").write(folder)
    with pytest.raises(BackupFailed, match=r"The backup holds routemoa\.dump, and ROUTEMOA_DATABASE_URL names no place for it"):
        restore.put_back(Settings(_env_file=None, home=tmp_path / "other"), folder)


def test_places_are_read_from_settings_and_dvcs_files(settings: Settings) -> None:
    """PostgreSQL by its URLs, S3 by MLflow's setting and DVC's default remote; SQLite and folders are files."""
    assert places.of(settings) == places.Places({}, {})
    (settings.home / ".dvc").mkdir()
    (settings.home / ".dvc" / "config").write_text("[core]\n    remote = team\n['remote \"team\"']\n    url = s3://bucket/dvc\n")
    (settings.home / ".dvc" / "config.local").write_text("['remote \"team\"']\n    endpointurl = http://127.0.0.1:9\n")
    url = "postgresql://routemoa:s%40cret@db/routemoa?sslmode=require"
    used = places.of(
        settings.model_copy(update={"database_url": type(settings.database_url)(url), "mlflow_artifacts": "s3://bucket/mlflow"})
    )
    assert used.databases == {"routemoa.dump": url}
    assert {name: (each.name, each.prefix, each.endpoint) for name, each in used.buckets.items()} == {
        "mlflow": ("bucket", "mlflow", None),
        "dvc": ("bucket", "dvc", "http://127.0.0.1:9"),
    }
    assert postgres.without_password(url) == ("postgresql://routemoa@db/routemoa?sslmode=require", "s@cret")
