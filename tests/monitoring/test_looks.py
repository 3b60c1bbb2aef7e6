"""What one host's monitor found is read on every host that shares its database, also while that is away."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from monitoring import certificate_void, looks, watch
from monitoring.certificate_void import Void
from monitoring.errors import RecordsRefused
from monitoring.looks import Looks
from registry.database.shared import shared
from registry.settings import Settings
from tests.servers.postgres import Postgres

VOID = Void("3", "2026-11-01T12:00:00+00:00", "v3", ("Law is new.",))


def look(number: int, kind: str = "keep") -> dict[str, Any]:
    said = {"id": f"v{number}", "kind": kind, "reasons": ["a reason"], "stats": {"scorer_version": "3", "index": 0, "size": 100 * number}}
    return {"at": f"2026-11-01T12:00:0{number}+00:00", "verdict": said, "groups": [{"text": "naïve"}], "report": None, "job": None}


@pytest.fixture
def hosts(tmp_path: Path, database_url: str) -> tuple[Settings, Settings]:
    """Two hosts; nothing but the database is common to them."""
    one, other = (Settings(_env_file=None, home=tmp_path / name, database_url=database_url) for name in "ab")
    return one, other


def latest(settings: Settings) -> dict[str, Any]:
    return dict(json.loads((looks.folder(settings) / looks.LATEST).read_text(encoding="utf-8")))


def test_the_history_of_looks_is_kept(tmp_path: Path, either_url: str) -> None:
    """The newest first, with what each said; what it saw is kept of the last alone. On a host of its own too. Taken twice, it is one."""
    settings = Settings(_env_file=None, home=tmp_path, database_url=either_url)
    assert Looks.of(settings).history(10) == []
    for number in (1, 2, 3, 3):
        looks.keep(settings, look(number, "retrain" if number == 2 else "keep"))
    assert [(each.verdict, each.kind) for each in Looks.of(settings).history(2)] == [("v3", "keep"), ("v2", "retrain")]
    assert Looks.of(settings).history(1)[0].reasons == ("a reason",)
    assert [each.figures for each in Looks.of(settings).history(9)] == [{"index": 0, "size": size} for size in (300, 200, 100)]
    assert latest(settings) == look(3)


def test_every_host_reads_the_same_look(hosts: tuple[Settings, Settings]) -> None:
    """Before the first one there is none; a host that had another of its own takes the shared one."""
    one, other = hosts
    looks.refresh(other)
    assert not (looks.folder(other) / looks.LATEST).exists()
    looks.keep(one, look(1))
    looks.keep(one, look(2))
    looks.refresh(other)
    assert latest(other) == latest(one) == look(2)
    looks.keep(other, look(3))
    looks.refresh(one)
    assert latest(one) == look(3)
    assert [each.verdict for each in Looks.of(one).history(9)] == ["v3", "v2", "v1"]


def test_a_void_certificate_is_void_on_every_host_until_it_is_taken_back(hosts: tuple[Settings, Settings]) -> None:
    """By whom, on whichever host, it is taken back: nobody writes it again."""
    one, other = hosts
    looks.keep_void(one, VOID)
    looks.refresh(other)
    assert certificate_void.read(looks.folder(other) / certificate_void.NAME) == VOID
    assert looks.take_void_back(other)
    looks.refresh(one)
    assert not certificate_void.read(looks.folder(one) / certificate_void.NAME).covers("3")
    assert not looks.take_void_back(one)


def test_while_the_database_is_away_the_copies_stay(hosts: tuple[Settings, Settings], postgres: Postgres) -> None:
    """A host goes on by what it knew; a look that cannot be shared is none."""
    one, other = hosts
    looks.keep(one, look(1))
    looks.keep_void(one, VOID)
    looks.refresh(other)
    postgres.kill()
    try:
        with pytest.raises(RecordsRefused, match="cannot be shared"):
            looks.refresh(other)
        with pytest.raises(RecordsRefused):
            looks.keep(one, look(2))
        assert latest(other) == latest(one) == look(1)
        assert certificate_void.read(looks.folder(other) / certificate_void.NAME) == VOID
    finally:
        postgres.start()


def test_a_host_brings_what_it_found_along(tmp_path: Path, hosts: tuple[Settings, Settings]) -> None:
    """Its history and its void certificate, once; the shared last look stays the newest of all."""
    alone = Settings(_env_file=None, home=tmp_path / "alone")
    looks.keep(alone, look(1))
    looks.keep_void(alone, VOID)
    looks.keep(hosts[0], look(2))
    database = shared(hosts[0])
    assert database is not None
    for came in (1, 0):
        assert looks.move(looks.folder(alone) / "looks.db", database) == {"looks": came}
        assert looks.move_void(looks.folder(alone) / certificate_void.NAME, database) == {"void certificates": came}
    looks.refresh(hosts[1])
    assert latest(hosts[1]) == look(2)
    assert [each.verdict for each in Looks.of(hosts[1]).history(9)] == ["v2", "v1"]


def test_a_monitor_that_takes_over_goes_on_after_the_last_look_of_any(
    hosts: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch, rules: Any
) -> None:
    """It does not judge again what another host's monitor has judged, nor tell people twice."""
    one, other = hosts
    looks.keep(one, look(2))
    seen: list[Any] = []
    stop = threading.Event()

    def due(_: Settings, __: Any, last: Any) -> list[Any]:
        seen.append(last)
        stop.set()
        return []

    monkeypatch.setattr(watch, "draw_audits", lambda *_: 0)
    monkeypatch.setattr(watch, "looks_due", due)
    watch.run(other, rules, stop)
    assert [(each.scorer_version, each.index, each.size) for each in seen] == [("3", 0, 200)]


class Lost:
    """A place that a host's database gave to another one, the third time it is asked for."""

    asked = 0

    def holds(self) -> bool:
        self.asked += 1
        return self.asked < 3

    def leave(self) -> None:
        """Nothing."""


def test_a_monitor_that_lost_the_lead_knows_before_its_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would take over from its successor until then."""
    monkeypatch.setattr(watch, "ASK_S", 0.01)
    assert not watch._still_leads(Lost(), 600, threading.Event())
    assert watch._still_leads(Lost(), 0, threading.Event())
    ended = threading.Event()
    ended.set()
    assert watch._still_leads(Lost(), 600, ended)
