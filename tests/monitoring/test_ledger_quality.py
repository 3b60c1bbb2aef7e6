"""Quality in the ledger: that of a whole period, told from daily sums and a few audits as from every answer, whoever books and forgets."""

import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixture.llm import LLM
from mixture.price import Price
from monitoring.audits.audit_queue import AuditQueue, Opinion
from monitoring.drift import named_domains
from monitoring.drift.profile import ReferenceProfile
from monitoring.quality.answers import Answers
from monitoring.quality.given_up import Change, by_name
from monitoring.records import graded_draws, record_import
from monitoring.records.record import COLUMNS, Draw, Record, to_row
from monitoring.records.record_tables import RecordTables
from monitoring.records.store import INSERT, RecordStore
from monitoring.savings import ledger_quality, savings
from monitoring.savings.ledger import Ledger
from monitoring.savings.ledger_quality import beside
from registry.database.postgres import Postgres
from registry.pool import Pool
from registry.settings import Settings
from tests.monitoring.one_record import record_of
from tests.monitoring.row_by_row import Rows, change

LARGE = LLM("large", "large", Price(10.0, 50.0))
SMALL = LLM("small", "small", Price(1.0, 5.0))
POOL = Pool((LARGE, SMALL))
DAY_S = 86_400.0
FIRST = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
SINCE, UNTIL = date(2026, 11, 2), date(2026, 11, 5)
BY = ("day", "key", "domain")
Told = dict[str, dict[str | None, Change]]


@pytest.fixture
def store(tmp_path: Path, either_url: str) -> RecordStore:
    """An empty place of records, whose clock stands still long after the last one."""
    place = RecordStore.of(Settings(_env_file=None, home=tmp_path, database_url=either_url)).place
    return RecordStore(place, clock=lambda: FIRST + 30 * DAY_S)


def answers(rng: np.random.Generator, n: int, *, first: int = 0, start: float = 0.0, days: float = 4.0) -> list[Record]:
    """N requests in order of time; some fail, some named their LLM, some scorers do not know `large`, some say nothing of the answer."""
    made = []
    for at in range(first, first + n):
        roster = ("small", "large") if rng.random() < 0.9 else ("small", "tiny")
        scores = tuple(map(float, rng.uniform(0.3, 0.9, size=2)))
        named, failed = rng.random() < 0.05, rng.random() < 0.05
        changed: dict[str, Any] = {"roster": (), "scores": (), "embedding": np.zeros(0)} if named else {"roster": roster, "scores": scores}
        made.append(
            record_of(
                f"r-{at}",
                created_at=FIRST + DAY_S * (start + days * (at - first) / n),
                llm=None if failed or rng.random() < 0.05 else str(rng.choice(roster)),
                status="error" if failed else "ok",
                decision={"score": float(rng.random())} if rng.random() < 0.7 else {},
                asked_by=str(rng.choice(["bot", "team"])),
                domain=str(rng.choice(["law", "code"])) if rng.random() < 0.5 else None,
                **changed,
            )
        )
    return made


def keep(store: RecordStore, records: list[Record]) -> None:
    store.change(INSERT, [to_row(each) for each in records])


def audit(store: RecordStore, rng: np.random.Generator, *, share: float = 0.3, judged: bool = False) -> None:
    """Decides about what nobody decided on, and grades most of what is drawn; some that was not drawn is graded, too."""
    undecided = store.undecided(100_000)
    chances = [float(rng.uniform(share / 2, min(1.0, share * 1.5))) for _ in undecided]
    domains = [each.domain or str(rng.choice(["near law", "near code", "near that"], p=[0.5, 0.45, 0.05])) for each in undecided]
    draws = [
        Draw(each.id, chance, bool(rng.random() < chance), domain) for each, chance, domain in zip(undecided, chances, domains, strict=True)
    ]
    store.decide_draws(draws)
    if judged:
        AuditQueue(store).opine(
            {each.record_id: Opinion("judge:x", float(rng.random()), 0.0, FIRST) for each in draws if each.drawn and rng.random() < 0.7}
        )
    graded = [each.record_id for each in draws if (rng.random() < 0.7 if each.drawn else rng.random() < 0.05)]
    insert = "INSERT INTO outcomes (record_id, score, source, reported_at) VALUES (?, ?, 'audit', ?)"
    store.change(insert, [(each, float(rng.random() < 0.6), FIRST) for each in graded])


def told(store: RecordStore, llm: str = "large") -> Told:
    return {by: by_name(beside(store, llm, since=SINCE, until=UNTIL, by=by)) for by in BY}


def row_by_row(store: RecordStore, by: str, llm: str = "large") -> dict[str | None, Change]:
    """The same from every record that is kept."""
    records = [each for each in store.scan(FIRST, FIRST + 4 * DAY_S) if each.status == "ok" and len(each.embedding)]
    of_draws = dict(store.ask("SELECT records.id, draws.domain FROM draws JOIN records ON records.number = draws.number"))
    opinions = dict(store.ask("SELECT record_id, score FROM opinions"))
    domain_N = np.array([of_draws[each.id] for each in records])
    key_N = np.array([each.asked_by for each in records])
    day_N = np.array([datetime.fromtimestamp(each.created_at, UTC).date().isoformat() for each in records])

    def numbers(values: list[float | None]) -> Any:
        return np.array([np.nan if each is None else each for each in values], dtype=np.float64)

    every = Answers(
        version_N=key_N,
        domain_N=domain_N,
        llm_N=np.array([each.llm or "several" for each in records]),
        key_N=key_N,
        forecast_N=numbers([each.expected for each in records]),
        promised_N=numbers([each.predicted for each in records]),
        drawn_with_N=numbers([each.drawn_with for each in records]),
        grade_N=numbers([None if each.outcome is None else each.outcome.score for each in records]),
        opinion_N=numbers([opinions.get(each.id) for each in records]),
        usd_N=np.zeros(len(records)),
    )
    score_N = numbers([dict(zip(each.roster, each.scores, strict=True)).get(llm) for each in records])
    name_N = {"day": day_N, "key": key_N, "domain": domain_N}[by]
    return {name: change(Rows(every, score_N, name_N), llm, name) for name in (None, *map(str, np.unique(name_N)))}


def same(one: dict[str | None, Change], other: dict[str | None, Change]) -> None:
    assert set(one) == set(other)
    for name, each in one.items():
        expected = other[name]
        assert (each.audits, each.baseline_audits, each.why) == (expected.audits, expected.baseline_audits, expected.why)
        for left, right in ((each.change, expected.change), (each.low, expected.low), (each.high, expected.high)):
            assert left == (None if right is None else pytest.approx(right, abs=1e-9))


@pytest.mark.parametrize("judged", [False, True])
def test_sums_and_audits_say_what_every_record_says(store: RecordStore, judged: bool) -> None:
    """By day, key and domain, beside either LLM; also where it comes in parts and somebody looks in between."""
    rng = np.random.default_rng(3)
    for first in (0, 400):
        keep(store, answers(rng, 400, first=first))
        audit(store, rng, judged=judged)
        Ledger(store).book([LARGE, SMALL])
    for llm in ("large", "small"):
        for by, found in told(store, llm).items():
            same(found, row_by_row(store, by, llm))
            assert found[None].low is not None


def test_a_grade_that_comes_late_counts(store: RecordStore) -> None:
    """Its answer was booked long before."""
    rng = np.random.default_rng(4)
    keep(store, answers(rng, 300))
    audit(store, rng)
    Ledger(store).book([LARGE])
    before = told(store)["day"][None].audits
    store.change("DELETE FROM outcomes WHERE score = 1.0", [()])
    assert told(store)["day"][None].audits < before
    same(told(store)["day"], row_by_row(store, "day"))


def test_who_waits_for_a_draw_is_booked_after_it(store: RecordStore) -> None:
    """However late the monitor comes: its domain is that of the draw, and until then it is no part of what audits are drawn from."""
    rng = np.random.default_rng(5)
    keep(store, answers(rng, 200))
    Ledger(store).book([LARGE])
    assert told(store)["domain"] == {}
    audit(store, rng)
    Ledger(store).book([LARGE])
    same(told(store)["domain"], row_by_row(store, "domain"))


def test_bookers_at_once_book_nothing_twice(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers, monitor and command line may book at the same time."""
    monkeypatch.setattr(ledger_quality, "READ", ledger_quality.READ.replace("500", "9"))
    rng = np.random.default_rng(6)
    keep(store, answers(rng, 150))
    audit(store, rng)
    threads = [threading.Thread(target=Ledger(store).book, args=([LARGE],)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    same(told(store)["key"], row_by_row(store, "key"))


def test_what_is_forgotten_stays_in_the_quality_of_its_days(store: RecordStore) -> None:
    """Half of the records, then all, with what audits said of them; later ones are added, whose numbers may begin anew."""
    rng = np.random.default_rng(7)
    keep(store, answers(rng, 600, days=2.0))
    audit(store, rng, judged=True)
    Ledger(store).book([LARGE])
    before = told(store)
    for days, forgotten in ((1, 300), (9, 300)):
        assert store.forget(FIRST + days * DAY_S) == forgotten
        for by in BY:
            same(told(store)[by], before[by])
    keep(store, answers(rng, 300, first=1000, start=3.0, days=1.0))
    audit(store, rng)
    Ledger(store).book([LARGE, SMALL])
    assert told(store)["day"][None].audits == before["day"][None].audits + row_by_row(store, "day")[None].audits
    same(told(store, "small")["day"], row_by_row(store, "day", "small"))  # asked for when all the others were forgotten


def test_a_group_that_gets_a_name_stays_where_it_was_booked(store: RecordStore) -> None:
    """Its answers, and what audits say of them; the draw says the new name."""
    rng = np.random.default_rng(8)
    keep(store, answers(rng, 300))
    audit(store, rng)
    Ledger(store).book([LARGE])
    before = told(store)
    profile = ReferenceProfile(
        ("small", "large"),
        rng.normal(size=(9, 16)).astype(np.float32),
        np.full((9, 2), 0.5, dtype=np.float32),
        np.full(9, "law"),
        rng.normal(size=(9, 16)).astype(np.float32),
        np.full((9, 2), 0.5, dtype=np.float32),
        np.full(9, "law"),
    )
    members = [each for each in store.scan(FIRST, FIRST + DAY_S) if len(each.embedding)]
    named_domains.name(store, "tax", members, profile, None, "named")
    assert store.ask("SELECT count(*) FROM draws WHERE domain = 'tax'")[0][0] > 10
    Ledger(store).book([LARGE])
    for by in BY:
        same(told(store)[by], before[by])


def test_of_too_many_audits_a_random_part_is_read_and_said(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums stay whole; the interval gets wider, and says of how many."""
    rng = np.random.default_rng(9)
    keep(store, answers(rng, 1500))
    audit(store, rng, share=0.6)
    Ledger(store).book([LARGE])
    whole = told(store)["day"][None]
    monkeypatch.setattr(graded_draws, "MOST", 200)
    part = told(store)["day"][None]
    ((graded,),) = store.ask(f"SELECT count(*) FROM ({graded_draws.LIVE}) AS graded")
    assert 150 <= int(part.why.split()[1]) <= 200
    assert part.why == f"from {part.why.split()[1]} of {graded} graded answers, taken by chance"
    assert part.low is not None
    assert part.high is not None
    assert whole.low is not None
    assert whole.high is not None
    assert part.high - part.low > whole.high - whole.low
    assert part.low <= (whole.change or 0) <= part.high


def test_a_second_look_reads_no_answer_that_nobody_graded(store: RecordStore) -> None:
    """But the newest by which the baseline is chosen: here it is named."""
    rng = np.random.default_rng(10)
    keep(store, answers(rng, 1200))
    audit(store, rng, share=0.05)
    counted = Counted(store.place, clock=store.now)
    first = savings.report(counted, POOL, since=SINCE, until=UNTIL, baseline="large")
    counted.rows = 0
    again = savings.report(counted, POOL, since=SINCE, until=UNTIL, baseline="large")
    assert again.as_dict() == first.as_dict()
    assert counted.rows < 150


class Counted(RecordStore):
    """Counts the rows that it is asked for."""

    rows = 0

    def ask(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        found = super().ask(statement, values)
        self.rows += len(found)
        return found


def test_more_answers_than_are_read_elsewhere_are_told_whole(tmp_path: Path) -> None:
    """The first 2,000 of 22,000 are by an LLM that is always wrong, the others by the baseline: the newest 20,000 give nothing up."""
    store = RecordStore(tmp_path / "records.db", clock=lambda: FIRST + 30 * DAY_S)
    row = to_row(record_of("x", scores=(0.8, 0.8), created_at=FIRST))
    llm = COLUMNS.index("llm")
    by = ["small"] * 2000 + ["large"] * 20_000
    store.change(INSERT, [(f"r-{at}", *row[1:llm], each, *row[llm + 1 :]) for at, each in enumerate(by)])
    insert = "INSERT INTO draws (number, probability, drawn, drawn_at) VALUES (?, 0.05, ?, 0)"
    store.change(insert, [(at + 1, int(at % 20 == 0)) for at in range(22_000)])
    insert = "INSERT INTO outcomes (record_id, score, source, reported_at) VALUES (?, ?, 'audit', 0)"
    store.change(insert, [(f"r-{at}", 0.0 if at < 2000 else float(at % 100 > 19)) for at in range(0, 22_000, 20)])
    found = savings.report(store, POOL, since=SINCE, until=UNTIL, baseline="large").total.quality
    truth = -0.8 * 2000 / 22_000
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth <= found.high < 0
    assert found.audits == 100


def test_an_older_database_is_booked_from_the_records_that_are_still_there(store: RecordStore, tmp_path: Path, either_url: str) -> None:
    """Its baselines were booked in money alone."""
    rng = np.random.default_rng(11)
    keep(store, answers(rng, 300))
    audit(store, rng)
    Ledger(store).book([LARGE])
    before = told(store)
    version = "UPDATE alembic_version SET version_num = '0007'" if either_url else "PRAGMA user_version = 8"
    for statement in (
        "DROP TABLE ledger_answers",
        "DROP TABLE ledger_audits",
        "ALTER TABLE draws DROP COLUMN booked_as",
        "DELETE FROM ledger_cursors WHERE name LIKE 'quality%'",
        version,
    ):
        store.change(statement, [()])
    upgraded = RecordStore(RecordTables(Postgres(either_url)) if either_url else tmp_path / "var" / "records.db", clock=store.now)
    ledger = Ledger(upgraded)
    ledger.book(savings.asked_for(ledger, POOL.llms))
    for by in BY:
        same(told(upgraded)[by], before[by])


def test_a_database_that_hosts_share_goes_on_where_a_files_ledger_was(tmp_path: Path, database_url: str) -> None:
    """Days whose records are forgotten come as sums and audits, the others as records."""
    store = RecordStore(tmp_path / "records.db", clock=lambda: FIRST + 30 * DAY_S)
    rng = np.random.default_rng(12)
    keep(store, answers(rng, 600))
    audit(store, rng)
    Ledger(store).book([LARGE])
    before = told(store)
    assert store.forget(FIRST + 2 * DAY_S) == 300
    database = Postgres(database_url)
    for _ in range(2):
        record_import.move(tmp_path / "records.db", database)
        moved = RecordStore(RecordTables(database), clock=store.now)
        Ledger(moved).book([LARGE])
        for by in BY:
            same(told(moved)[by], before[by])
