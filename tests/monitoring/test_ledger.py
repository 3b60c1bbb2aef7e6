"""The ledger of savings: every cent of every record once, on its own day, whoever books and whenever the record came."""

import asyncio
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from mixture.llm import LLM
from mixture.price import UNKNOWN, Price
from monitoring.audits.audit_queue import AuditQueue, Opinion
from monitoring.records.ledger_entry import as_one_call
from monitoring.records.record import Draw
from monitoring.records.store import RecordStore
from monitoring.savings import ledger as ledgers
from monitoring.savings import savings
from monitoring.savings.ledger import Ledger
from registry.pool import Pool
from registry.settings import Settings

LARGE = LLM("large", "large", Price(10.0, 50.0, cache_read=1.0))
SMALL = LLM("small", "small", Price(1.0, 5.0))
DAY_S = 86_400.0
FIRST = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
NOW = FIRST + 10 * DAY_S
DAYS = (date(2026, 11, 1), date(2026, 11, 30))


def run(llm: str, read: int, written: int, usd: float, **usage: int) -> dict[str, Any]:
    """One call, as a decision keeps it."""
    counted = {"input_tokens": read, "output_tokens": written, **usage} if usage else None
    return {"llm": llm, "input_tokens": read, "output_tokens": written, "cost_usd": usd, "usage": counted}


def asked(*runs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A decision of these calls, the last of which was served."""
    return {"layers": [{"runs": list(runs)}], "synthesis": None, **more}


@pytest.fixture
def store(tmp_path: Path, either_url: str) -> RecordStore:
    """An empty place of records, whose clock stands still long after the first record."""
    place = RecordStore.of(Settings(_env_file=None, home=tmp_path, database_url=either_url)).place
    return RecordStore(place, clock=lambda: NOW)


def keep(store: RecordStore, *records: Any) -> None:
    async def appended() -> None:
        writing = RecordStore(store.place)
        for record in records:
            await writing.append(record)
        await writing.close()

    asyncio.run(appended())


def spent(ledger: Ledger, by: str = "day", baseline: LLM | None = None) -> dict[str, float]:
    return {name: row.amounts.spent_usd for name, row in ledger.rows(*DAYS, by, baseline).items()}


def test_a_record_is_booked_once_into_its_own_day(store: RecordStore, make_record: Any) -> None:
    """Also where it comes late, after younger ones were booked; a second booking adds nothing."""
    ledger = Ledger(store)
    keep(store, make_record("a", created_at=FIRST, cost_usd=0.1), make_record("b", created_at=FIRST + DAY_S, cost_usd=0.2))
    assert ledger.book() == 2
    keep(store, make_record("late", created_at=FIRST + 5.0, cost_usd=0.4))
    assert ledger.book() == 1
    assert ledger.book() == 0
    assert spent(ledger) == pytest.approx({"2026-11-02": 0.5, "2026-11-03": 0.2})


def test_money_is_told_apart(store: RecordStore, make_record: Any) -> None:
    """By key and domain; a request that named its LLM, one that failed, another call, a switch, an exploration each in their sum."""
    two = asked(run("small", 100, 5, 0.01), run("large", 120, 20, 0.05), session={"rebilled_usd": 0.02, "cached_tokens": 0})
    keep(
        store,
        make_record("two", created_at=FIRST, decision=two, cost_usd=0.07, asked_by="bot", domain="law"),
        make_record("failed", created_at=FIRST, decision={}, llm=None, status="error", cost_usd=0.03, asked_by="bot"),
        make_record("named", created_at=FIRST, roster=(), scores=(), cost_usd=1.0, asked_by="team", domain="law"),
        make_record(
            "drawn",
            created_at=FIRST,
            decision=asked(run("small", 9, 9, 0.2), action={"first": "small", "usual": "large"}),
            llm="small",
            cost_usd=0.2,
        ),
    )
    ledger = Ledger(store)
    ledger.book()
    (row,) = ledger.rows(*DAYS, "day", None).values()
    sums = row.amounts
    assert (sums.requests, sums.failed, sums.routed, sums.explored) == (4, 1, 3, 1)
    assert (sums.spent_usd, sums.routed_usd, sums.failed_usd) == pytest.approx((1.3, 0.3, 0.03))
    assert (sums.others_usd, sums.rebilled_usd, sums.explored_usd) == pytest.approx((0.02, 0.02, 0.2))
    assert spent(ledger, "key") == pytest.approx({"bot": 0.1, "team": 1.0, "(no key)": 0.2})
    assert spent(ledger, "domain") == pytest.approx({"law": 1.07, "unknown": 0.23})


def test_the_baseline_reads_once_what_a_cache_had_and_writes_what_was_served(store: RecordStore, make_record: Any) -> None:
    """Failures are charged to routing alone; another's thinking to nobody; a named request is no part of it; prices are those of then."""
    thought = asked(run("small", 1000, 500, 0.003, cache_read=400, reasoning=300))
    switched = asked(run("small", 1000, 10, 0.001), session={"cached_tokens": 900, "rebilled_usd": 0.0})
    dearer = asked(run("small", 1000, 0, 0.001), snapshot={"candidates": [{"llm": "large", "input_usd": 20.0, "output_usd": 50.0}]})
    small = {"created_at": FIRST, "llm": "small", "cost_usd": 0.003}
    keep(
        store,
        make_record("thought", decision=thought, **small),
        make_record("failed", **{**small, "decision": {}, "llm": None, "status": "error"}),
        make_record("named", roster=(), scores=(), **small),
        make_record("switched", decision=switched, **{**small, "created_at": FIRST + DAY_S}),
        make_record("dearer", decision=dearer, **{**small, "created_at": FIRST + 2 * DAY_S}),
    )
    ledger = Ledger(store)
    ledger.book([LARGE])
    against = [row.against for row in ledger.rows(*DAYS, "day", LARGE).values()]
    assert [each.compared for each in against if each is not None] == [1, 1, 1]
    assert [each.baseline_usd for each in against if each is not None] == pytest.approx(
        [(600 * 10 + 400 * 1 + 200 * 50) / 1e6, (100 * 10 + 900 * 1 + 10 * 50) / 1e6, 1000 * 20 / 1e6]
    )
    assert [each.spent_usd for each in against if each is not None] == pytest.approx([0.006, 0.003, 0.003])


def test_what_the_baseline_thought_itself_is_its_own() -> None:
    """Its own answer is charged whole."""
    tree = asked(run("large", 100, 50, 0.1, reasoning=40))
    used = as_one_call(tree, "large", 0, 0)
    assert (used.output_tokens, used.reasoning, used.input_tokens) == (50, 40, 100)


def test_a_baseline_that_is_asked_for_later_is_booked_from_the_first_record_kept(store: RecordStore, make_record: Any) -> None:
    """And goes on by itself from then on."""
    ledger = Ledger(store)
    keep(store, *(make_record(f"r-{at}", created_at=FIRST, decision=asked(run("large", 100, 10, 0.1))) for at in range(3)))
    ledger.book()
    assert ledger.baselines() == []
    found = savings.report(store, Pool((LARGE, SMALL)), since=DAYS[0], until=DAYS[1], baseline="small")
    assert (found.total.as_dict()["compared"], ledger.baselines()) == (3, ["small"])
    keep(store, make_record("r-3", created_at=FIRST, decision=asked(run("large", 100, 10, 0.1))))
    ledger.book(savings.asked_for(ledger, [LARGE, SMALL]))
    against = ledger.rows(*DAYS, "day", SMALL)["2026-11-02"].against
    assert against is not None
    assert against.compared == 4


def test_what_is_not_settled_is_counted_and_booked_when_its_domain_is_known(store: RecordStore, make_record: Any) -> None:
    """A young record waits for the monitor's word; after an hour nobody waits."""
    ledger = Ledger(store)
    keep(store, make_record("young", created_at=NOW - 60.0, cost_usd=0.1), make_record("younger", created_at=NOW - 1.0, cost_usd=0.2))
    assert ledger.book([LARGE]) == 0
    assert spent(ledger, "domain") == pytest.approx({"unknown": 0.3})
    assert ledger.totals()[0] == 0
    store.decide_draws([Draw("young", 0.1, False, "near law")])
    assert ledger.book([LARGE]) == 1
    assert spent(ledger, "domain", LARGE) == pytest.approx({"near law": 0.1, "unknown": 0.2})
    assert Ledger(RecordStore(store.place, clock=lambda: NOW + 3600.0)).book() == 1
    assert spent(ledger, "domain") == pytest.approx({"near law": 0.1, "unknown": 0.2})


def test_judges_of_audits_are_charged_on_their_day_also_where_they_judge_again(store: RecordStore, make_record: Any) -> None:
    """To the key and domain of the answer; what is saved is net of them."""
    keep(store, make_record("r", created_at=FIRST, cost_usd=0.1, asked_by="bot", decision=asked(run("large", 1000, 0, 0.1))))
    queue, ledger = AuditQueue(store), Ledger(store)
    queue.opine({"r": Opinion("judge:x", 0.5, 0.01, FIRST + DAY_S)})
    queue.opine({"r": Opinion("judge:x", 0.7, 0.02, FIRST + DAY_S)})
    ledger.book()
    queue.opine({"r": Opinion("judge:x", 0.6, 0.04, FIRST + 2 * DAY_S)})
    found = savings.report(store, Pool((LARGE,)), since=DAYS[0], until=DAYS[1], baseline="large")
    assert [(row.name, round(row.row.judged_usd, 9)) for row in found.rows] == [
        ("2026-11-02", 0),
        ("2026-11-03", 0.03),
        ("2026-11-04", 0.04),
    ]
    assert found.total.saved_usd == pytest.approx(0.01 - 0.1 - 0.07)
    assert {row.name: row.row.judged_usd for row in savings.report(store, Pool((LARGE,)), since=DAYS[0], until=DAYS[1], by="key").rows} == {
        "bot": pytest.approx(0.07)
    }


def test_sums_outlive_their_records(store: RecordStore, make_record: Any) -> None:
    """Also where all are forgotten and numbers begin anew."""
    ledger = Ledger(store)
    keep(store, make_record("a", created_at=FIRST, cost_usd=0.1), make_record("b", created_at=FIRST, cost_usd=0.2))
    ledger.book([LARGE])
    assert store.forget(before=FIRST + DAY_S) == 2
    keep(store, make_record("c", created_at=FIRST, cost_usd=0.4))
    assert ledger.book([LARGE]) == 1
    assert spent(ledger) == pytest.approx({"2026-11-02": 0.7})
    assert len(store.undecided(9)) == 1


def test_bookers_at_once_book_nothing_twice(store: RecordStore, make_record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers, monitor and command line may book at the same time."""
    monkeypatch.setattr(ledgers, "READ", ledgers.READ.replace("LIMIT 500", "LIMIT 7"))
    keep(store, *(make_record(f"r-{at}", created_at=FIRST + at, cost_usd=0.01) for at in range(60)))
    threads = [threading.Thread(target=Ledger(store).book, args=([LARGE, SMALL],)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    row = Ledger(store).rows(*DAYS, "day", LARGE)["2026-11-02"]
    assert (row.amounts.requests, round(row.amounts.spent_usd, 9)) == (60, 0.6)
    assert row.against is not None
    assert row.against.compared == 60


def test_an_unknown_price_saves_nothing(store: RecordStore, make_record: Any) -> None:
    """Unknown is not free, and nothing to compare with by default."""
    keep(store, make_record("a", created_at=FIRST, cost_usd=0.1))
    nobody = Pool((LLM("large", "large", UNKNOWN),))
    told = savings.report(store, nobody, since=DAYS[0], until=DAYS[1], baseline="large").total.as_dict()
    assert (told["compared"], told["baseline_usd"], told["saved_usd"]) == (0, None, None)
    assert savings.report(store, nobody, since=DAYS[0], until=DAYS[1]).baseline is None


def test_nothing_served_is_nothing_saved(store: RecordStore) -> None:
    """No row, no baseline, no division."""
    found = savings.report(store, Pool((LARGE,)))
    assert (found.rows, found.baseline, found.total.saved_usd) == ((), None, None)
    assert len(found.csv().splitlines()) == 1


def test_csv_has_a_line_for_each_row(store: RecordStore, make_record: Any) -> None:
    """With empty cells for what is not known."""
    keep(store, make_record("a", created_at=FIRST, decision=asked(run("large", 100, 10, 0.1)), cost_usd=0.1))
    lines = savings.report(store, Pool((LARGE,)), since=DAYS[0], until=DAYS[1], by="key").csv().splitlines()
    assert lines[0].startswith("key,baseline,requests,failed,routed,")
    assert lines[1].startswith("(no key),large,1,0,1,")
