"""`routemoa database`: a host's own files are taken in, and nothing is lost on the way."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitoring.records.record import Draw
from monitoring.records.store import RecordStore
from registry.jobs import Jobs
from serving.access import budgets, keys, shared_keys
from serving.settings import ServingSettings
from tests.cli.command_line import output, usage_error
from tests.monitoring.one_record import record_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "pool.yaml").write_text("llms: {}\n")
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    return tmp_path


def test_what_a_host_kept_is_shared_from_then_on(home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records in their order with outcomes and draws, jobs, what keys spent, the keys themselves; a second time brings nothing."""
    alone = ServingSettings(_env_file=None, home=home)

    async def before() -> None:
        store = RecordStore.of(alone)
        for number in range(7):
            await store.append(record_of(f"r-{number}", text="a \x00 query"))
        await store.report_outcome("r-2", 0.5, "user")
        store.decide_draws([Draw(f"r-{number}", 0.25, number == 3, "law", ("novel",)) for number in range(5)])
        await store.close()
        spending = budgets.make(alone)
        await spending.book(budgets.windows("k", datetime.now(UTC)), budgets.Spend(1.5, 0, 3, 1.0))
        await spending.close()

    asyncio.run(before())
    Jobs.of(alone).submit("retrain", {"reason": "drift"})
    key = keys.create(shared_keys.store(alone), "ci", ("chat",))

    monkeypatch.setenv("ROUTEMOA_DATABASE_URL", database_url)
    said = output("database", "import")
    assert "7 records, 1 outcomes, 5 draws, 1 jobs, 2 sums of spending, 1 keys" in said
    assert "took in: nothing that it had not yet" in output("database", "import")
    assert "is up to date" in output("database", "upgrade")
    sharing = ServingSettings(_env_file=None, home=home, database_url=database_url)
    store = RecordStore.of(sharing)
    assert [record.id for record in store.scored("1", 0, 100)] == [f"r-{number}" for number in range(7)]
    assert [record.id for record in store.undecided(100)] == ["r-5", "r-6"]
    assert [(record.id, record.drawn_with) for record in store.to_audit(9)] == [("r-3", 0.25)]
    (outcome,) = [record.outcome for record in store.scan(0, 2**40) if record.outcome is not None]
    assert (outcome.score, outcome.source) == (0.5, "user")
    assert [job.arguments for job in Jobs.of(sharing).list()] == [{"reason": "drift"}]
    assert budgets.read(sharing, budgets.windows("k", datetime.now(UTC)))[0].spent_usd == 1.5
    shared_keys.refresh(sharing)
    assert keys.read(sharing.keys_file).holder(f"Bearer {key}", 0.0).name == "ci"
    assert (home / "var" / "keys.json").exists()


def test_without_an_address_there_is_nothing_to_share(home: Path) -> None:
    """It says which variable is missing."""
    assert "ROUTEMOA_DATABASE_URL is not set" in usage_error("database", "import")
