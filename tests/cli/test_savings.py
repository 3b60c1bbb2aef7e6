"""`routemoa savings`: the ledger as a table, as CSV and as JSON, with what it assumes."""

import asyncio
import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest

from monitoring.records.store import RecordStore
from registry.errors import LLMUnknown
from tests.cli.command_line import output, refusal, usage_error
from tests.monitoring.one_record import record_of

POOL = """llms:
  small: {name: small, endpoint: null, price: {input: 1.0, output: 5.0}}
  large: {name: large, endpoint: null, price: {input: 10.0, output: 50.0}}
"""
SERVED = {"layers": [{"runs": [{"llm": "small", "input_tokens": 1000, "output_tokens": 100, "cost_usd": 0.0015}]}], "synthesis": None}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two routed requests of today, one of them answered by each LLM, and one that named its LLM."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "pool.yaml").write_text(POOL)
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    at = {"created_at": time.time()}

    async def keep() -> None:
        store = RecordStore(tmp_path / "var" / "records.db")
        await store.append(record_of("a", llm="small", cost_usd=0.0015, decision=SERVED, domain="law", asked_by="bot", **at))
        await store.append(record_of("b", llm=None, status="error", cost_usd=0.0005, decision={}, domain="law", asked_by="bot", **at))
        await store.append(record_of("c", roster=(), scores=(), embedding=np.zeros(0), cost_usd=1.0, asked_by="team", **at))
        await store.close()

    asyncio.run(keep())
    return tmp_path


def test_the_table_says_what_was_saved_and_what_it_assumes(project: Path) -> None:
    """Against the LLM that is promised most; quality nobody audited is not known."""
    said = output("savings")
    assert "0.0150" in said
    assert "+0.0130" in said
    assert "not known: 0 audits" in said
    assert "against always large: every routed request that was answered" in said
    assert "$0.0005 for requests without an answer" in said
    assert "1 requests named their LLM, for $1.0000: they saved nothing." in said


def test_by_key_and_domain_the_most_money_first(project: Path) -> None:
    """With a total."""
    words = [line.split()[0] for line in output("savings", "--by", "key").splitlines() if line.split()]
    assert [word for word in words if word in {"bot", "team", "total"}] == ["team", "bot", "total"]
    assert " law " in output("savings", "--by", "domain", "--baseline", "small")


def test_lines_are_written_as_csv_and_printed_as_json(project: Path, tmp_path: Path) -> None:
    """The same figures."""
    file = tmp_path / "savings.csv"
    told = json.loads(output("savings", "--by", "key", "--json", "--csv", str(file)))
    with file.open() as lines:
        assert [float(line["spent_usd"]) for line in csv.DictReader(lines)] == [row["spent_usd"] for row in told["rows"]]
    assert told["total"]["saved_usd"] == pytest.approx(0.013)


def test_days_outside_hold_nothing(project: Path) -> None:
    """And nobody to compare with."""
    assert "Nothing to compare with" in output("savings", "--since", "2000-01-01", "--until", "2000-01-02")


def test_what_cannot_be_told_apart_or_compared_is_refused(project: Path) -> None:
    """With what there is."""
    assert "day, key, domain" in usage_error("savings", "--by", "hour")
    assert "cannot be written" in usage_error("savings", "--csv", str(project / "no" / "x.csv"))
    assert "large" in str(refusal(LLMUnknown, "savings", "--baseline", "larg"))


def test_no_figure_is_cut_on_a_narrow_terminal(project: Path) -> None:
    """A line is as long as it has to be."""
    said = output("savings", width=60)
    assert "…" not in said
    assert "not known: 0 audits" in said
