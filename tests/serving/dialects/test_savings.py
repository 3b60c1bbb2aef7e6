"""The ledger over a real server whose LLMs bill: the sum of its days is what the vendor's own counts cost, to 1e-9 USD."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from starlette.testclient import TestClient
from vendor import Vendor
from vendor_bill import bill
from vendor_world import PRICES

from monitoring.records.record import Draw

ADD = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {"turn": {"type": "integer"}}}}
SYSTEM = "You are an agent. " * 200
CENT = Decimal("1e-9")
CLOSE = 1e-9


@pytest.fixture(scope="module")
def asked(served: TestClient, vendor: Vendor) -> Decimal:
    """Conversations with tools, caches and thinking, routed and named, whole and streamed, one of them failing: the vendor's bill."""
    tools = [{"type": "function", "function": ADD}]
    for model in ("routemoa", "routemoa-single", "routemoa-layers", "plain", "thinker", "breaking"):
        messages: list = [{"role": "system", "content": f"{SYSTEM} {model}"}]
        for turn in range(1, 5):
            messages.append({"role": "user", "content": f"step {turn}, please"})
            sent = {} if model == "routemoa-layers" else {"tools": tools}
            body = {"model": model, "messages": messages, "stream": turn % 2 == 0, **sent, "routemoa": {"domain": f"turn-{turn % 2}"}}
            answer = served.post("/v1/chat/completions", json=body)
            messages.append({"role": "assistant", "content": f"done {turn}"})
            assert answer.status_code == 200 or model == "breaking"
    return bill(vendor.counted)


def test_the_ledgers_days_are_the_vendors_bill(served: TestClient, asked: Decimal) -> None:
    """Every way of adding them up, and the records; what was cut off is stated as unsettled, and nothing was."""
    records = served.get("/admin/records", params={"most": 200}).json()["records"]
    unsettled = sum(served.get(f"/v1/decisions/{each['id']}").json()["decision"].get("unsettled_usd", 0) for each in records)
    for by in ("day", "key", "domain"):
        told = served.get("/admin/savings", params={"by": by}).json()
        assert told["total"]["requests"] == len(records)
        assert sum(row["spent_usd"] for row in told["rows"]) == pytest.approx(told["total"]["spent_usd"], abs=CLOSE)
        assert asked - Decimal(str(unsettled)) - CENT <= Decimal(repr(told["total"]["spent_usd"])) <= asked + CENT


def test_the_baseline_is_reckoned_apart(served: TestClient, asked: Decimal) -> None:
    """From the records by hand: each routed and answered request once at the baseline's list price, as its assumption says."""
    told = served.get("/admin/savings", params={"baseline": "plain", "by": "key"}).json()
    rates = {kind: Decimal(str(usd)) for kind, usd in PRICES["plain"].items()}
    would_be, spent, compared = Decimal(0), Decimal(0), 0
    for each in served.get("/admin/records", params={"most": 200}).json()["records"]:
        if not each["virtual_model"].startswith("routemoa"):
            continue
        record = served.get(f"/v1/decisions/{each['id']}").json()
        spent += Decimal(repr(record["cost_usd"]))
        decision = record["decision"]
        runs = [run for layer in decision["layers"] for run in layer["runs"]]
        answer = decision["synthesis"] or next(run for run in reversed(runs) if run["llm"] == record["llm"])
        prompt = runs[0]["input_tokens"]
        cached = max(runs[0]["usage"]["cache_read"], (decision["session"] or {"cached_tokens": 0})["cached_tokens"])
        written = answer["output_tokens"] - (0 if record["llm"] == "plain" else answer["usage"]["reasoning"])
        cached = min(cached, prompt)
        would_be += (prompt - cached) * rates["input"] + cached * rates["cache_read"] + written * rates["output"]
        compared += 1
    total = told["total"]
    assert (total["compared"], total["routed"]) == (compared, compared)
    assert total["baseline_usd"] == pytest.approx(float(would_be / 1_000_000), abs=CLOSE)
    assert total["saved_usd"] == pytest.approx(float(would_be / 1_000_000 - spent), abs=CLOSE)
    assert total["quality"]["why"].startswith("not known: 0 audits") or total["quality"]["change"] == 0


def test_lines_as_csv_and_as_gauges(served: TestClient, asked: Decimal) -> None:
    """The same figures; Prometheus has what is booked: a young request once the monitor decided whether it is audited."""
    records = served.app.state.serving.records
    records.decide_draws([Draw(each.id, 0.5, drawn=False) for each in records.undecided(1000)])
    answer = served.get("/admin/savings.csv", params={"by": "domain"})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    told = served.get("/admin/savings", params={"by": "domain"}).json()
    assert [float(line["spent_usd"]) for line in lines] == [row["spent_usd"] for row in told["rows"]]
    gauges = served.get("/metrics").text
    assert f"routemoa_ledger_spent_usd {told['total']['spent_usd']:.6f}"[:-1] in gauges
    assert f'routemoa_ledger_saved_usd{{baseline="{told["baseline"]}"}}' in gauges


def test_what_cannot_be_asked_is_refused(served: TestClient) -> None:
    """An LLM that is not of the pool, a day that is none, another way of telling apart."""
    assert served.get("/admin/savings", params={"baseline": "nobody"}).status_code == 404
    for wrong in ({"since": "yesterday"}, {"by": "hour"}):
        assert served.get("/admin/savings", params=wrong).status_code == 400
    future = served.get("/admin/savings", params={"since": datetime.now(UTC).date().replace(year=2100).isoformat()}).json()
    assert future["rows"] == []
    assert json.dumps(future)
