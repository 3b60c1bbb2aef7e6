"""What retrainings bought is kept a job each, the newest first."""

import os
from pathlib import Path

import pytest

from registry import gains
from registry.database.postgres import Postgres
from registry.errors import JobRefused
from registry.settings import Settings


@pytest.fixture
def settings(either_url: str, tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path / "a", database_url=either_url)


def test_the_newest_comes_first(settings: Settings, tmp_path: Path) -> None:
    """A job that is done again replaces its own; where hosts share a database each of them tells it."""
    assert gains.listed(settings) == []
    for job, version in (("a", "2"), ("b", "3"), ("a", "4")):
        gains.keep(settings, job, version, "1", [{"group": "tax"}])
    other = settings.model_copy(update={"home": tmp_path / "b"}) if settings.database_url.get_secret_value() else settings
    told = [(told["job"], told["version"], told["groups"]) for told in gains.listed(other)]
    assert told == [("a", "4", [{"group": "tax"}]), ("b", "3", [{"group": "tax"}])]
    assert [told["version"] for told in gains.listed(other, "b")] == ["3"]
    assert gains.listed(other, "c") == []


def test_so_many_are_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go."""
    monkeypatch.setattr(gains, "KEPT", 3)
    for number in range(5):
        gains.keep(settings, f"job-{number}", "2", None, [])
        for path in (settings.var / gains.FOLDER).glob(f"job-{number}.json"):
            os.utime(path, (number, number))
    assert [told["job"] for told in gains.listed(settings)] == ["job-4", "job-3", "job-2"]


def test_what_is_no_gain_is_left_out(tmp_path: Path) -> None:
    """A file of another kind, or half written, is passed over."""
    settings = Settings(_env_file=None, home=tmp_path)
    gains.keep(settings, "a", "2", "1", [])
    (settings.var / gains.FOLDER / "c.json").write_text('{"job": "c"')
    (settings.var / gains.FOLDER / "d.json").write_text("[]")
    assert [told["job"] for told in gains.listed(settings)] == ["a"]


def test_a_hosts_gains_come_with_it(database_url: str, tmp_path: Path) -> None:
    """Once, however often they are moved."""
    own = Settings(_env_file=None, home=tmp_path)
    gains.keep(own, "a", "2", "1", [{"group": "tax"}])
    came = [gains.move(own.var / gains.FOLDER, Postgres(database_url)) for _ in range(2)]
    assert came == [{"gains of retrainings": 1}, {"gains of retrainings": 0}]
    shared = Settings(_env_file=None, home=tmp_path / "b", database_url=database_url)
    assert gains.listed(shared) == gains.listed(own)


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    """A retraining says then that its gain cannot be told; it does not end."""
    away = Settings(_env_file=None, home=tmp_path, database_url="postgresql://u:secret@127.0.0.1:1/x")
    for attempt in (lambda: gains.listed(away), lambda: gains.keep(away, "a", "2", None, [])):
        with pytest.raises(JobRefused, match="What retrainings bought cannot be told") as caught:
            attempt()
        assert "secret" not in str(caught.value)
