"""An acknowledged record survives everything; what cannot be kept is never acknowledged."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from monitoring.errors import RecordNotKept, RecordRefused, RecordsRefused, ReferenceRefused
from monitoring.records import record_file
from monitoring.records.record import COLUMNS, Draw, to_row
from monitoring.records.record_file import RecordFile
from monitoring.records.record_place import RecordPlace
from monitoring.records.record_tables import RecordTables
from monitoring.records.reference import Reference
from monitoring.records.store import Noticed, Outcome, RecordStore
from registry.database import postgres as postgres_database
from registry.database.postgres import opened
from tests.servers.postgres import Postgres

UNDER_LOAD = """
import asyncio, resource, sys
from pathlib import Path
import numpy as np
from monitoring.errors import RecordNotKept
from monitoring.records.store import Record, RecordStore
from registry.settings import Settings

async def one(store, id):
    while True:
        record = Record(id, 1.0, "routemoa", "1", ("a",), (0.5,), np.ones(384, np.float32), {}, "a", 0.0, 0.1, 1, 1, "ok")
        try:
            await store.append(record)
        except RecordNotKept as exc:
            sys.exit(f"RecordNotKept {exc}")
        sys.stdout.write(id + "\\n")
        sys.stdout.flush()
        head, _, tail = id.rpartition("-")
        id = f"{head}-{int(tail) + 1}"

async def main(where, prefix, limit):
    settings = Settings(_env_file=None, home=Path(where), database_url=where if "://" in where else "")
    store = RecordStore.of(settings) if "://" in where else RecordStore(Path(where))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    await asyncio.gather(*(one(store, f"{prefix}-{client}-0") for client in range(16)))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.fixture
def place(either_url: str, tmp_path: Path) -> RecordPlace:
    """In a file, and in PostgreSQL: the same tests."""
    return RecordTables(opened(either_url)) if either_url else RecordFile(tmp_path / "records.db")


def test_a_record_comes_back_as_it_was_kept(place: RecordPlace, make_record) -> None:
    """Every field survives; the embedding to float16 precision; get() leaves embedding and text out."""

    async def scenario() -> None:
        store = RecordStore(place)
        vector = np.random.default_rng(0).normal(size=384).astype(np.float32)
        vector /= np.linalg.norm(vector)
        kept = make_record("r-1", embedding=vector, domain="law", text="What is estoppel?")
        await store.append(kept)
        (read,) = store.scan(0, 2000)
        for name in ("id", "created_at", "roster", "scores", "decision", "llm", "cost_usd", "status", "domain", "text", "outcome"):
            assert getattr(read, name) == getattr(kept, name)
        np.testing.assert_allclose(read.embedding, vector, atol=1e-3)
        seen = await store.get("r-1")
        assert seen is not None
        assert seen["scores"] == {"small": 0.25, "large": 0.75}
        assert seen["predicted"] == 0.75
        assert not {"embedding", "text"} & seen.keys()
        assert await store.get("r-2") is None
        await store.close()

    asyncio.run(scenario())


def test_an_id_is_kept_once(place: RecordPlace, make_record) -> None:
    """Appending the same id again (a retried request) changes nothing and is acknowledged."""

    async def scenario() -> None:
        store = RecordStore(place)
        await store.append(make_record("r-1", cost_usd=1.0))
        await asyncio.gather(*(store.append(make_record("r-1", cost_usd=2.0)) for _ in range(5)))
        assert [record.cost_usd for record in store.scan(0, 2000)] == [1.0]
        await store.close()

    asyncio.run(scenario())


def test_scan_is_a_half_open_window(place: RecordPlace, make_record) -> None:
    """Consecutive spans of time share no record."""

    async def scenario() -> None:
        store = RecordStore(place)
        for number in range(6):
            await store.append(make_record(f"r-{number}", created_at=float(number)))
        assert [record.id for record in store.scan(1, 3)] == ["r-1", "r-2"]
        assert [record.id for record in store.scan(3, 5)] == ["r-3", "r-4"]
        await store.close()

    asyncio.run(scenario())


def test_scored_records_keep_the_order_they_came_in(place: RecordPlace, make_record) -> None:
    """A late record (its clock runs behind) never moves others to another window; pass-through requests and other versions are left out."""

    async def scenario() -> None:
        store = RecordStore(place)
        for number, created_at in enumerate([5.0, 6.0, 1.0, 7.0]):
            await store.append(make_record(f"r-{number}", created_at=created_at))
        await store.append(make_record("other", scorer_version="2"))
        await store.append(make_record("through", roster=(), scores=(), embedding=np.zeros(0, dtype=np.float32)))
        assert store.count_scored("1") == 4
        assert [record.id for record in store.scored("1", 0, 3)] == ["r-0", "r-1", "r-2"]
        assert [record.id for record in store.scored("1", 3, 10)] == ["r-3"]
        await store.close()

    asyncio.run(scenario())


def test_outcomes_join_their_record(place: RecordPlace, make_record) -> None:
    """The last report wins, an unknown id is answered False, a score outside [0, 1] is refused."""

    async def scenario() -> None:
        store = RecordStore(place, clock=lambda: 77.0)
        await store.append(make_record("r-1"))
        assert await store.report_outcome("r-1", 1.0, "user")
        assert await store.report_outcome("r-1", 0.0, "audit")
        assert not await store.report_outcome("nobody", 1.0, "user")
        outcome = store.scan(0, 2000)[0].outcome
        assert outcome is not None
        assert (outcome.score, outcome.source, outcome.reported_at) == (0.0, "audit", 77.0)
        with pytest.raises(RecordRefused, match="outside"):
            await store.report_outcome("r-1", 1.5, "user")
        with pytest.raises(RecordRefused, match="outside"):
            await store.report_outcome("r-1", float("nan"), "user")
        await store.close()

    asyncio.run(scenario())


def test_an_outcome_keeps_its_reference(place: RecordPlace, make_record) -> None:
    """Grader, text and choices come back; the last report wins with what it brought; one that no grader can use is refused."""

    async def scenario() -> None:
        store = RecordStore(place, clock=lambda: 77.0)
        await store.append(make_record("r-1"))
        choice = Reference("choice", "B", ("Bergen", "Oslo"))
        assert await store.report_outcome("r-1", 1.0, "grader:x", choice)
        assert store.scan(0, 2000)[0].outcome == Outcome(1.0, "grader:x", 77.0, choice)
        seen = await store.get("r-1")
        assert seen is not None
        assert seen["outcome"]["reference"] == {"grader": "choice", "text": "B", "choices": ("Bergen", "Oslo")}
        assert await store.report_outcome("r-1", 0.5, "grader:x", Reference("exact", "Oslo"))
        assert store.scan(0, 2000)[0].outcome == Outcome(0.5, "grader:x", 77.0, Reference("exact", "Oslo"))
        with pytest.raises(ReferenceRefused, match="not one number"):
            await store.report_outcome("r-1", 1.0, "grader:x", Reference("number", "Oslo"))
        assert await store.report_outcome("r-1", 0.0, "user")
        assert store.scan(0, 2000)[0].outcome == Outcome(0.0, "user", 77.0)
        await store.close()

    asyncio.run(scenario())


def test_a_file_of_the_first_version_is_upgraded_in_place(tmp_path: Path, make_record) -> None:
    """Its records and outcomes stay, and an outcome may bring a reference from then on."""
    path = tmp_path / "records.db"
    first = """
        CREATE TABLE records (
            number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at REAL NOT NULL,
            virtual_model TEXT NOT NULL, scorer_version TEXT NOT NULL,
            roster TEXT NOT NULL, scores TEXT NOT NULL, embedding BLOB NOT NULL, decision TEXT NOT NULL, llm TEXT,
            cost_usd REAL NOT NULL, latency_s REAL NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('ok', 'error')), domain TEXT, text TEXT);
        CREATE TABLE outcomes (
            record_id TEXT PRIMARY KEY REFERENCES records (id), score REAL NOT NULL, source TEXT NOT NULL, reported_at REAL NOT NULL);
        PRAGMA user_version = 1;"""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(first)
        for name in ("old", "older"):
            row, columns = to_row(make_record(name))[:-1], COLUMNS[:-1]  # nobody said then who asked
            connection.execute(f"INSERT INTO records ({', '.join(columns)}) VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("INSERT INTO outcomes VALUES ('old', 0.25, 'audit', 7.0)")
        connection.commit()

    async def scenario() -> None:
        store = RecordStore(path, clock=lambda: 77.0)
        assert [record.outcome for record in store.scan(0, 2000)] == [Outcome(0.25, "audit", 7.0), None]
        assert await store.report_outcome("older", 1.0, "audit", Reference("number", "42"))
        assert store.scan(0, 2000)[1].outcome == Outcome(1.0, "audit", 77.0, Reference("number", "42"))
        await store.close()

    asyncio.run(scenario())
    RecordStore(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (9,)


def test_many_appends_share_a_commit(tmp_path: Path, make_record) -> None:
    """400 concurrent appends take far fewer fsyncs than 400."""

    class Traced(RecordFile):
        """Lists every statement that SQLite runs."""

        statements: list[str] = []  # noqa: RUF012 - one store a test

        def _connect(self) -> sqlite3.Connection:
            connection = super()._connect()
            connection.set_trace_callback(self.statements.append)
            return connection

    async def scenario() -> None:
        place = Traced(tmp_path / "records.db")
        store = RecordStore(place)
        await asyncio.gather(*(store.append(make_record(f"r-{number}")) for number in range(400)))
        assert len(store.scan(0, 2000)) == 400
        assert 1 <= place.statements.count("COMMIT") <= 40
        await store.close()

    asyncio.run(scenario())


def test_a_value_the_file_refuses_fails_alone(place: RecordPlace, make_record) -> None:
    """One impossible record in a batch is not acknowledged; its neighbours are kept."""

    async def scenario() -> None:
        store = RecordStore(place)
        records = [make_record(f"r-{number}") for number in range(20)]
        records.insert(7, make_record("impossible", input_tokens=2**70))
        results = await asyncio.gather(*(store.append(record) for record in records), return_exceptions=True)
        failed = [(record.id, result) for record, result in zip(records, results, strict=True) if result is not None]
        assert [failure[0] for failure in failed] == ["impossible"]
        assert isinstance(failed[0][1], RecordNotKept)
        assert len(store.scan(0, 2000)) == 20
        await store.close()

    asyncio.run(scenario())


def test_a_closed_store_acknowledges_nothing(place: RecordPlace, make_record) -> None:
    """close() keeps what was accepted before it and refuses what comes after."""

    async def scenario() -> None:
        store = RecordStore(place)
        appends = [asyncio.create_task(store.append(make_record(f"r-{number}"))) for number in range(50)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*appends)
        assert len(store.scan(0, 2000)) == 50
        with pytest.raises(RecordNotKept, match="closed"):
            await store.append(make_record("late"))

    asyncio.run(scenario())


def test_a_cancelled_caller_does_not_harm_the_others(place: RecordPlace, make_record) -> None:
    """A client that disconnects while its record is written leaves the writer working."""

    async def scenario() -> None:
        store = RecordStore(place)
        gone = asyncio.create_task(store.append(make_record("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await store.append(make_record("stays"))
        assert "stays" in {record.id for record in store.scan(0, 2000)}
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"id": ""}, "without an id"),
        ({"scores": (0.5,)}, "1 scores for a roster of 2"),
        ({"scores": (0.5, float("nan"))}, "not a finite number"),
        ({"latency_s": float("inf")}, "not a finite number"),
        ({"embedding": np.full(4, np.nan, dtype=np.float32)}, "not one finite vector"),
        ({"embedding": np.zeros((2, 2), dtype=np.float32)}, "not one finite vector"),
    ],
)
def test_a_record_that_cannot_be_true_is_refused(make_record, changed, message) -> None:
    """Reports are never built on rows of unequal lengths or on numbers that are not finite."""
    with pytest.raises(RecordRefused, match=message):
        make_record(**({"id": "r-1"} | changed))


def test_a_file_of_a_newer_version_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    """An older platform never writes into a newer record file, nor into something that is not one."""
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordsRefused, match="schema version 99"):
        RecordStore(newer)
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database at all " * 100)
    with pytest.raises(RecordsRefused, match=r"garbage\.db: cannot hold records"):
        RecordStore(garbage)


def test_killed_under_load_loses_nothing_acknowledged(place: RecordPlace, either_url: str, tmp_path: Path) -> None:
    """After each of five `kill -9`, every id printed as acknowledged is there, once."""
    path = either_url or tmp_path / "records.db"
    acknowledged: set[str] = set()
    for number in range(5):
        process = subprocess.Popen([sys.executable, "-c", UNDER_LOAD, str(path), f"round{number}", "0"], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        time.sleep(0.02 * number)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0]
        complete = ("".join(lines) + rest).rpartition("\n")[0]
        acknowledged |= set(complete.split("\n"))
    kept = [record.id for record in RecordStore(place).scan(0, 10)]
    assert len(acknowledged) >= 200
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_full_disk_is_an_error_and_not_an_acknowledgement(tmp_path: Path) -> None:
    """Where the file cannot grow, append raises RecordNotKept, and all that was acknowledged before is there."""
    path = tmp_path / "records.db"
    process = subprocess.run(
        [sys.executable, "-c", UNDER_LOAD, str(path), "full", str(400_000)], capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 1
    assert "RecordNotKept" in process.stderr
    assert "Free the disk" in process.stderr
    acknowledged = set(process.stdout.split())
    assert acknowledged
    assert acknowledged <= {record.id for record in RecordStore(path).scan(0, 10)}


def test_two_processes_write_one_file_while_a_third_reads(tmp_path: Path) -> None:
    """Server workers share the record file; a report reads it meanwhile."""
    path = tmp_path / "records.db"
    workers = [
        subprocess.Popen([sys.executable, "-c", UNDER_LOAD, str(path), f"worker{number}", "0"], stdout=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        for _ in range(60):
            assert worker.stdout.readline()
    while_written = len(RecordStore(path).scan(0, 10))
    acknowledged: set[str] = set()
    for worker in workers:
        worker.kill()
        acknowledged |= set(worker.communicate()[0].rpartition("\n")[0].split())
    assert while_written >= 120
    assert acknowledged <= {record.id for record in RecordStore(path).scan(0, 10)}


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Server workers start together on a host that has no record file yet; each of them gets it."""
    for attempt in range(10):
        path = tmp_path / f"{attempt}.db"
        together = threading.Barrier(6)

        def opened(path: Path = path, together: threading.Barrier = together) -> RecordStore:
            together.wait()
            return RecordStore(path)

        with ThreadPoolExecutor(6) as threads:
            stores = [waiting.result() for waiting in [threads.submit(opened) for _ in range(6)]]
        assert all(store.scan(0, 10) == [] for store in stores)


def test_records_of_the_second_version_are_kept_and_belong_to_nobody(tmp_path: Path, make_record) -> None:
    """A file made before records said who asked is read and written on; its outcomes have no reporter."""
    path = tmp_path / "records.db"

    async def scenario() -> None:
        before = RecordStore(path)
        await before.append(make_record("old"))
        await before.report_outcome("old", 0.5, "user")
        await before.close()
        with sqlite3.connect(path) as connection:
            connection.executescript(
                "ALTER TABLE records DROP COLUMN asked_by; ALTER TABLE outcomes DROP COLUMN reported_by; DROP TABLE forgotten;"
                "DROP TABLE draws; DROP TABLE opinions; DROP TABLE claims; DROP TABLE named_domains; DROP TABLE shadows;"
                + "".join(f"DROP TABLE ledger_{each};" for each in ("days", "baselines", "judges", "cursors", "answers", "audits"))
                + "PRAGMA user_version = 2;"
            )
        store = RecordStore(path)
        await store.append(make_record("new", asked_by="alice"))
        assert await store.report_outcome("new", 1.0, "user", reported_by="alice")
        old, new = store.scan(0, 2e12)
        assert (old.asked_by, old.outcome.score, old.outcome.reported_by) == (None, 0.5, None)
        assert (new.asked_by, new.outcome.reported_by) == ("alice", "alice")
        await store.close()

    asyncio.run(scenario())


def test_no_report_replaces_an_audits(place: RecordPlace, make_record) -> None:
    """Whatever comes after it, but another audit."""

    async def scenario() -> None:
        store = RecordStore(place)
        await store.append(make_record("r"))
        kept = [await store.report_outcome("r", score, source) for score, source in ((0.1, "user"), (0.2, "audit"), (0.3, "user"))]
        assert kept == [True, True, False]
        assert await store.report_outcome("r", 0.4, "audit")
        (read,) = store.scan(0, 2e12)
        assert (read.outcome.score, read.outcome.source) == (0.4, "audit")
        await store.close()

    asyncio.run(scenario())


def test_old_records_are_forgotten_and_still_counted(tmp_path: Path, make_record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, outcomes and texts go; the monitor's windows of what is left stay where they were."""
    monkeypatch.setattr("monitoring.records.store.MOST_AT_ONCE", 3)
    path = tmp_path / "records.db"

    async def scenario() -> None:
        store = RecordStore(path)
        for at in range(10):
            await store.append(make_record(f"r-{at}", created_at=float(at), text=f"secret word {at}"))
        assert await store.report_outcome("r-0", 1.0, "user")
        whole = [record.id for record in store.scored("1", 0, 100)]
        window = [record.id for record in store.scored("1", 8, 2)]
        assert store.forget(before=8.0) == 8
        assert store.forget(before=8.0) == 0
        assert (store.count_scored("1"), [record.id for record in store.scored("1", 8, 2)]) == (10, window)
        assert [record.id for record in store.scored("1", 6, 3)] == whole[8:9]
        assert store.scored("1", 0, 8) == []
        assert [record.id for record in store.scan(0, 100)] == ["r-8", "r-9"]
        assert store.forget(before=100.0) == 2
        await store.append(make_record("r-10", created_at=100.0))
        assert (store.count_scored("1"), [record.id for record in store.scored("1", 10, 5)]) == (11, ["r-10"])
        await store.close()

    asyncio.run(scenario())
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (0,)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"secret word" not in path.read_bytes()


def test_a_record_behind_a_kept_one_is_kept(place: RecordPlace, make_record) -> None:
    """A clock that was set back leaves no holes: what was appended after a record that is kept is kept too."""

    async def scenario() -> None:
        store = RecordStore(place)
        for at in (1.0, 50.0, 2.0):
            await store.append(make_record(f"r-{at}", created_at=at))
        assert store.forget(before=10.0) == 1
        assert {record.id for record in store.scan(0, 100)} == {"r-50.0", "r-2.0"}
        await store.close()

    asyncio.run(scenario())


class Log(list):
    """What a store noticed."""

    def __call__(self, what: Noticed, why: str) -> None:
        self.append(what)


@pytest.mark.parametrize("how", ["removed", "moved", "removed with its log", "another put in its place"])
def test_what_is_acknowledged_is_in_the_file_that_is_there(tmp_path: Path, make_record, how: str) -> None:
    """Whatever happens to the file under open stores, each acknowledged record is found, once, in the old or in the new one."""
    path, elsewhere = tmp_path / "records.db", tmp_path / "elsewhere.db"

    async def scenario() -> tuple[Log, Log]:
        first, second = Log(), Log()
        stores = [RecordStore(path, noticed=first), RecordStore(path, noticed=second)]
        for number in range(10):
            await stores[number % 2].append(make_record(f"before-{number}"))
        if how == "moved":
            path.rename(elsewhere)
        elif how == "another put in its place":
            other = RecordStore(elsewhere)
            await other.append(make_record("other"))
            await other.close()
            elsewhere.replace(path)
        else:
            path.unlink()
        if how == "removed with its log":
            for side in ("-wal", "-shm"):
                path.with_name(path.name + side).unlink()
        for number in range(20):
            await stores[number % 2].append(make_record(f"after-{number}"))
        assert len(RecordStore(path).scan(0, 2000)) >= 20
        for store in stores:
            await store.close()
        return first, second

    noticed = asyncio.run(scenario())
    after = {f"after-{number}" for number in range(20)}
    assert {record.id for record in RecordStore(path).scan(0, 2000)} == after | ({"other"} if how == "another put in its place" else set())
    if how == "moved":
        assert {f"before-{number}" for number in range(10)} <= {record.id for record in RecordStore(elsewhere).scan(0, 2000)}
    assert noticed == ([Noticed.REPLACED], [Noticed.REPLACED])
    assert path.stat().st_mode & 0o077 == 0


def test_a_locked_file_is_waited_for_as_long_as_the_caller_may(tmp_path: Path, make_record, monkeypatch) -> None:
    """One caller's time ends before the lock's, another's after: the first is told, the second is kept once the lock is gone."""
    monkeypatch.setattr(record_file, "WRITER_BUSY_S", 0.1)

    async def scenario() -> None:
        log = Log()
        store = RecordStore(tmp_path / "records.db", noticed=log)
        lock = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        patient = asyncio.create_task(store.append(make_record("patient")))
        began = time.monotonic()
        with pytest.raises(RecordNotKept, match=r"not kept within 0\.5 s"):
            await store.append(make_record("hurried"), within_s=0.5)
        assert time.monotonic() - began < 5
        assert store.refusal is not None
        assert not patient.done()
        lock.execute("ROLLBACK")
        await patient
        while store.refusal is not None:  # noqa: ASYNC110  the writer's thread clears it
            await asyncio.sleep(0.05)
        assert log == [Noticed.INTERRUPTED, Noticed.RESUMED]
        await store.append(make_record("later"))
        assert {"patient", "later"} <= {record.id for record in store.scan(0, 2000)}
        await store.close()
        lock.close()

    asyncio.run(scenario())


def test_a_killed_database_loses_nothing_acknowledged(database_url: str, postgres: Postgres, make_record) -> None:
    """PostgreSQL is killed under load and started again: what was acknowledged is there, what was not said so, and commits go on."""

    async def scenario() -> None:
        log = Log()
        store = RecordStore(RecordTables(opened(database_url)), noticed=log)
        kept: list[str] = []

        async def append(number: int) -> None:
            await asyncio.sleep(number / 400)
            try:
                await store.append(make_record(f"r-{number}"))
            except RecordNotKept:
                return
            kept.append(f"r-{number}")

        appends = [asyncio.create_task(append(number)) for number in range(400)]
        while len(kept) < 50:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.to_thread(postgres.kill)
        await asyncio.gather(*appends)
        with pytest.raises(RecordNotKept, match="PostgreSQL"):
            await store.append(make_record("while away"))
        await asyncio.to_thread(postgres.start)
        while store.refusal is not None:  # noqa: ASYNC110  the writer's thread clears it
            await asyncio.sleep(0.05)
        await store.append(make_record("later"))
        assert {*kept, "later"} <= {record.id for record in store.scan(0, 2000)}
        assert log == [Noticed.INTERRUPTED, Noticed.RESUMED]
        await store.close()

    asyncio.run(scenario())


def test_what_two_hosts_append_is_counted_in_the_order_it_was_committed(database_url: str, make_record) -> None:
    """A draw that was decided for the last record was decided for all before it: no later commit has an earlier number."""

    async def scenario() -> None:
        stores = [RecordStore(RecordTables(postgres_database.Postgres(database_url))) for _ in range(2)]
        seen: list[str] = []

        async def append(number: int) -> None:
            await stores[number % 2].append(make_record(f"r-{number}"))

        appends = [asyncio.create_task(append(number)) for number in range(300)]
        while len(seen) < 300:
            new = await asyncio.to_thread(stores[0].undecided, 50)
            stores[0].decide_draws([Draw(record.id, 0.5, drawn=False) for record in new])
            seen += [record.id for record in new]
            await asyncio.sleep(0)
        await asyncio.gather(*appends)
        assert len(set(seen)) == 300

    asyncio.run(asyncio.wait_for(scenario(), 60))
