"""What was served, counted: totals, spans, shares, promises; and records looked up."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mixture.llm import LLM
from mixture.price import UNKNOWN, Price
from monitoring.records.record_search import Wanted, search
from monitoring.records.store import RecordStore
from monitoring.records.traffic import Traffic, best_single
from registry.pool import Pool
from registry.settings import Settings


def run(llm: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    """One answer, as a decision keeps it."""
    return {"llm": llm, "input_tokens": input_tokens, "output_tokens": output_tokens}


SMALL, LARGE = LLM("small", "small", Price(1.0, 5.0)), LLM("large", "large", Price(10.0, 50.0))
POOL = Pool((SMALL, LARGE))
ONE = {"layers": [{"runs": [run("large", 100, 20)]}], "synthesis": None}
TWO = {"layers": [{"runs": [run("small", 100, 5)]}, {"runs": [run("large", 130, 40)]}], "synthesis": None}
WRITTEN = {"layers": [{"runs": [run("small", 100, 5), run("large", 100, 40)]}], "synthesis": run("large", 300, 60)}


@pytest.fixture
def kept(tmp_path: Path, either_url: str, make_record: Any) -> RecordStore:
    """Six records: three routed and answered, one failed, one that named its LLM, one of an hour before."""
    store = RecordStore.of(Settings(_env_file=None, home=tmp_path, database_url=either_url))
    records = [
        make_record("one", created_at=1000.0, decision=ONE, cost_usd=0.1, latency_s=1.0, domain="law", text="Is 100% of it taxed?"),
        make_record("two", created_at=1010.0, decision=TWO, cost_usd=0.2, latency_s=2.0, domain="law", scores=(0.35, 0.85)),
        make_record("three", created_at=1190.0, decision=WRITTEN, cost_usd=0.4, latency_s=3.0, llm=None, asked_by="bot"),
        make_record("failed", created_at=1100.0, decision={}, llm=None, status="error", cost_usd=0.05, latency_s=9.0),
        make_record("named", created_at=1120.0, decision=ONE, roster=(), scores=(), cost_usd=1.0, latency_s=4.0, llm="small"),
        make_record("before", created_at=10.0, cost_usd=7.0),
    ]

    async def keep() -> None:
        for record in records:
            await store.append(record)
        await store.report_outcome("one", 1.0, "audit")
        await store.report_outcome("two", 0.0, "user")

    asyncio.run(keep())
    return store


@pytest.fixture
def traffic(kept: RecordStore) -> Traffic:
    """The last 200 seconds."""
    return Traffic(kept, 1000.0, 1200.0)


def test_totals_are_of_the_time_alone(traffic: Traffic) -> None:
    """Failures are counted, and their cost; how long answers took is of the answered."""
    totals = traffic.totals()
    assert (totals["requests"], totals["failed"], totals["routed"]) == (5, 1, 4)
    assert totals["cost_usd"] == pytest.approx(1.75)
    assert (totals["p50_s"], totals["p95_s"]) == (3.0, 4.0)


def test_a_time_without_requests_has_nulls(kept: RecordStore) -> None:
    """Nothing is divided by nothing."""
    nothing = Traffic(kept, 5000.0, 6000.0)
    assert nothing.totals()["p50_s"] is None
    assert (nothing.by_llm(), nothing.promised()) == ([], [])
    assert best_single([], POOL) is None


def test_spans_cover_the_time_and_hold_every_request(traffic: Traffic) -> None:
    """Empty spans are there too."""
    spans = traffic.over_time(4)
    assert [span["since"] for span in spans] == [1000.0, 1050.0, 1100.0, 1150.0]
    assert [span["requests"] for span in spans] == [2, 0, 2, 1]
    assert [span["failed"] for span in spans] == [0, 0, 1, 0]


def test_shares_are_of_answers(traffic: Traffic) -> None:
    """A synthesis is nobody's; quality is what audits found, not what users reported."""
    rows = {row["llm"]: row for row in traffic.by_llm()}
    assert {llm: row["share"] for llm, row in rows.items()} == {"large": 0.5, "small": 0.25, None: 0.25}
    assert (rows["large"]["audited"], rows["large"]["audited_quality"]) == (1, 1.0)


def test_promises_are_means_by_domain(traffic: Traffic) -> None:
    """Of every LLM of the roster, whoever answered; the best single one is best over all domains, still asked, and has a price."""
    promised = {(row["domain"], row["llm"]): (row["queries"], pytest.approx(row["quality"])) for row in traffic.promised()}
    assert promised["law", "small"] == (2, 0.3)
    assert promised["law", "large"] == (2, 0.8)
    assert best_single(traffic.promised(), POOL) == LARGE
    assert best_single(traffic.promised(), Pool((SMALL, replace(LARGE, price=UNKNOWN)))) == SMALL
    assert best_single(traffic.promised(), Pool((SMALL, replace(LARGE, status="retired")))) == SMALL


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["before", "named", "failed", "three", "two", "one"]),
        (Wanted(words="100% of"), ["one"]),
        (Wanted(words="%"), ["one"]),  # a character like any other
        (Wanted(words="Thre"), ["three"]),  # in any case
        (Wanted(llm="large", domain="law"), ["two", "one"]),
        (Wanted(status="error"), ["failed"]),
        (Wanted(asked_by="bot"), ["three"]),
        (Wanted(judged=True), ["two", "one"]),
        (Wanted(judged=False, llm="small"), ["named"]),
        (Wanted(words="' OR 1=1 --"), []),
    ],
)
def test_records_are_found_by_what_one_remembers(kept: RecordStore, wanted: Wanted, found: list[str]) -> None:
    """The newest first; words are no pattern and no SQL."""
    assert [row["id"] for row in search(kept, wanted, 10)] == found


def test_pages_go_on_where_the_last_one_ended(kept: RecordStore) -> None:
    """No record twice, none left out."""
    first = search(kept, Wanted(), 4)
    rest = search(kept, Wanted(before=first[-1]["number"]), 4)
    assert [row["id"] for row in first + rest] == ["before", "named", "failed", "three", "two", "one"]
