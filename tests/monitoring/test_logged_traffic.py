"""Traffic is gone through in batches of a real record file: the same figures as of records that are held, in little memory."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from monitoring.policies import policy_value
from monitoring.policies.logged_actions import Target
from monitoring.policies.logged_traffic import Traffic
from monitoring.policies.policy_value import Report
from monitoring.records import record_batches
from monitoring.records.record import AUDIT, Draw, Record, to_row
from monitoring.records.record_batches import RecordBatches
from monitoring.records.store import INSERT, RecordStore
from tests.monitoring.test_logged_actions import served

QUALITY = {"small": 0.25, "middle": 0.5, "large": 1.0}
UNTIL = 2.0**40


def keep(folder: Path, records: Sequence[Record]) -> RecordStore:
    """A file with these, each audited."""
    store = RecordStore(folder / "records.db")
    store.change(INSERT, [to_row(record) for record in records])
    store.decide_draws([Draw(record.id, 1.0, drawn=True) for record in records])
    statement = "INSERT INTO outcomes (record_id, score, source, reported_at) VALUES (?, ?, ?, 0)"
    store.change(statement, [(record.id, QUALITY[record.llm], AUDIT) for record in records if record.llm])
    return store


def answers(count: int) -> list[Record]:
    """So many of several costs, the later ones made earlier."""
    kinds = [served(number, at=number / 10, usd=float(number % 3)) for number in range(10)]
    made = [kinds[at % 10] for at in range(count)]
    made = [replace(each, id=f"r-{at}", created_at=1e6 - at // 2, cost_usd=each.cost_usd + at / 7e5) for at, each in enumerate(made)]
    return [*made, served(count, status="error", llm=None), served(count + 1, options={"max_layers": 3})]


def reported(records: Traffic, targets: Sequence[Target]) -> Report:
    """Of these targets."""
    return policy_value.evaluate(records, targets, version="2", floor=0.9)


def test_figures_are_those_of_records_that_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit, whatever is read at once."""
    store = keep(tmp_path, answers(90))
    scores = {f"r-{at}": {"small": 0.1, "middle": 0.9, "large": 0.2 + at % 2} for at in range(60)}
    targets = [Target("dear", usd=1e6), Target("poor", without=frozenset({"large"})), Target("other", scores)]
    held = reported(Traffic.of(store.scan(0, UNTIL), None), targets)
    for at_once in (7, 500):
        monkeypatch.setattr(record_batches, "AT_ONCE", at_once)
        assert reported(Traffic.of(RecordBatches.between(store, 0, UNTIL), None), targets) == held
    assert [row.quality.requests for row in held.rows] == [90, 90, 90, 60]
    assert sum(row.usd.value is not None for row in held.rows) >= 2
    assert len(held.not_judged) == 3


def test_memory_does_not_grow_with_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a batch, less than 3 kB a record beside its numbers: the decisions alone would take ten times that."""
    monkeypatch.setattr(record_batches, "AT_ONCE", 20)
    peaks = []
    for count in (60, 260):
        folder = tmp_path / str(count)
        folder.mkdir()
        store = keep(folder, answers(count))
        tracemalloc.start()
        reported(Traffic.of(RecordBatches.between(store, 0, UNTIL), None), [Target("dear", usd=1e6)])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 200 * 3000


def test_a_record_that_is_forgotten_meanwhile_is_left_out(tmp_path: Path) -> None:
    """Of the figures; nothing fails."""
    store = keep(tmp_path, answers(90))
    traffic = Traffic.of(RecordBatches.between(store, 0, UNTIL), None)
    store.change("DELETE FROM outcomes WHERE record_id = ?", [("r-3",)])
    store.change("DELETE FROM records WHERE id = ?", [("r-3",)])
    assert reported(traffic, [Target("dear", usd=1e6)]).rows[1].quality.requests == 89
