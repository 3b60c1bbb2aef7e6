"""A real PostgreSQL: tables laid out once, one leader of many, what its failures say."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from monitoring.looks import Looks
from registry.database import lead, migrate, postgres
from registry.database.postgres import Postgres
from registry.errors import DatabaseFailed
from registry.jobs import Jobs
from registry.settings import Settings
from serving.sessions.responses_place import ResponsesFile
from tests.servers.postgres import Postgres as Server

ROOT = Path(__file__).parents[3]
LEADS = """
import sys
from registry.database.postgres import Postgres
leading = Postgres(sys.argv[1]).lead("worker")
print(leading.holds(), flush=True)
input()
"""
LISTS = """
import sys
from registry.jobs import Jobs
from registry.settings import Settings
from serving.sessions.responses_place import ResponsesFile
Jobs.of(Settings(_env_file=None)).list()
print({"psycopg", "sqlalchemy", "alembic"} & {*sys.modules})
"""


def test_many_start_at_once_and_lay_it_out_once(database_url: str) -> None:
    """Eight hosts at an empty database: one makes the tables, all use them."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Postgres(database_url).upgrade(), range(8)))
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(migrate.HEAD,)]


def test_head_is_the_newest_version() -> None:
    """Nobody forgets to raise it."""
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(migrate._config()).get_current_head() == migrate.HEAD


def test_a_newer_platforms_database_is_left_alone(database_url: str) -> None:
    """It is told to upgrade, and changes nothing."""
    Postgres(database_url).upgrade()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseFailed, match=r"laid out by version 9999.*Upgrade the platform"):
        Postgres(database_url).upgrade()


def test_laying_out_takes_as_long_as_it_takes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends a statement of a request after a while ends no index that is made over years of records."""
    from alembic import command

    monkeypatch.setattr(postgres, "OPTIONS", "-c statement_timeout=2s")
    upgrade = command.upgrade

    def slowly(config: Any, revision: str) -> None:
        config.attributes["connection"].execute(text("SELECT pg_sleep(2.5)"))
        upgrade(config, revision)

    monkeypatch.setattr(command, "upgrade", slowly)
    opened = Postgres(database_url)
    opened.upgrade()
    with opened.reading() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2s",)


def test_a_connection_that_broke_is_told_in_its_own_words(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not by a second error of undoing what is undone already; the next one is new."""
    database = Postgres(database_url)
    with pytest.raises(DatabaseFailed, match="terminating connection due to administrator command"), database.transaction() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert caplog.records == []
    with database.reading() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("url", ["nonsense", "postgresql://u:secret@127.0.0.1:1/x", "mysql://u:secret@127.0.0.1/x"])
def test_a_wrong_address_is_told_without_its_password(url: str) -> None:
    """Neither a typing error nor a server that is not there prints what logs in."""
    with pytest.raises(DatabaseFailed) as caught, Postgres(url).reading():
        pass
    assert "secret" not in str(caught.value)
    assert caught.value.next_step


def test_the_tables_are_those_of_the_files(database_url: str, tmp_path: Path) -> None:
    """Every table and column that SQLite's files have."""
    Postgres(database_url).upgrade()
    Jobs.in_file(tmp_path / "jobs.db")
    Looks.of(Settings(_env_file=None, home=tmp_path))
    with ResponsesFile(tmp_path / "responses.db").transaction():
        pass
    with psycopg.connect(database_url) as connection:
        query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        shared = set(connection.execute(query).fetchall())
    for path in tmp_path.rglob("*.db"):
        with sqlite3.connect(path) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            assert {(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")} <= shared


def test_of_many_one_leads_until_it_dies(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The second waits, and leads once the first's process is gone, however it went; so it does when the first leaves."""
    command = [sys.executable, "-c", LEADS, database_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert "lead_taken" in first.stdout.readline()
        assert first.stdout.readline() == "True\n"
        second = Postgres(database_url).lead("worker")
        assert [second.holds(), second.holds()] == [False, False]
        assert capsys.readouterr().out.count("lead_waits") == 1  # not every two seconds
        assert Postgres(database_url).lead("monitor").holds()
        first.kill()
        first.wait()
        until = time.monotonic() + 10
        while not second.holds():
            assert time.monotonic() < until
            time.sleep(0.05)
    third = Postgres(database_url).lead("worker")
    assert second.holds()
    assert not third.holds()
    second.leave()
    assert third.holds()


def test_a_leader_whose_server_restarts_asks_again(database_url: str, postgres: Server) -> None:
    """It does not go on as if nothing had happened, and leads again where nobody came in between."""
    first = Postgres(database_url).lead("worker")
    assert first.holds()
    postgres.kill()
    try:
        with pytest.raises(DatabaseFailed):
            first.holds()
    finally:
        postgres.start()
    assert first.holds()


def test_a_host_of_its_own_asks_nobody(tmp_path: Path) -> None:
    """And has no driver in its memory."""
    command, environment = [sys.executable, "-c", LISTS], {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout == "set()\n"
    assert lead.lead(Settings(_env_file=None, home=tmp_path), "worker").holds()


def test_one_pool_for_a_process(database_url: str) -> None:
    """However many stores use it."""
    assert postgres.opened(database_url) is postgres.opened(database_url)
