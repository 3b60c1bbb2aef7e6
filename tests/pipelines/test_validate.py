"""Validation on the real Great Expectations: what is wrong is found, named by rule and row, and stops the build where it must."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mixture.llm import LLM
from mixture.price import Price
from pipelines import params, splits, tables, validate
from pipelines.errors import ValidationFailed
from pipelines.validation import derived, report
from pipelines.validation.report import Finding
from pipelines.validation.rules import rules

ROOT = Path(__file__).parents[2]
LLMS = (LLM("good", "G", Price(1, 1)), LLM("odd", "O", Price(1, 1)), LLM("fresh", "F", Price(1, 1), status="candidate"))
WORDS = ("heron", "lighthouse", "tractor", "violin", "glacier", "saffron", "compass", "beetle", "anvil", "cathedral")
COUNT = 60


def queries() -> pd.DataFrame:
    texts = [f"Why does the {WORDS[n % 10]} number {n} need a {WORDS[n // 10]} worth {n * 7}?" for n in range(COUNT)]
    rows = pd.DataFrame({"query_id": [f"q{n:03d}" for n in range(COUNT)], "text": texts})
    return rows.assign(
        dataset="d", domain="reading", language="en", choices=None, reference="1", grader="number", source="t", licence="MIT"
    )


def answers(llm: str) -> pd.DataFrame:
    rows = pd.DataFrame({"query_id": [f"q{n:03d}" for n in range(COUNT)]}).assign(
        llm=llm, sample=0, text="1", finish_reason="stop", error=None
    )
    rows = rows.assign(input_tokens=10, output_tokens=5, cost_usd=0.1, latency_s=0.5, mean_logprob=-0.1, asked_with="x")
    return rows.assign(asked_at=pd.Timestamp("2026-01-01", tz="UTC"))


def labels(llm: str, grader: str = "number", shift: int = 0) -> pd.DataFrame:
    rows = pd.DataFrame({"query_id": [f"q{n:03d}" for n in range(COUNT)], "score": [float((n + shift) % 2) for n in range(COUNT)]})
    return rows.assign(llm=llm, grader=grader, grader_version="1")


def broken() -> dict[str, pd.DataFrame]:
    """Tables with one fault of each kind."""
    asked, given = queries(), pd.concat([answers("good"), answers("odd"), answers("stranger").head(1)], ignore_index=True)
    marked = pd.concat([labels("good"), labels("odd"), labels("good", "judge", shift=1)], ignore_index=True)
    asked.loc[59, "query_id"] = "q058"
    asked.loc[3, "text"] = asked.loc[2, "text"] + " "
    asked.loc[4, "grader"] = "numbre"
    asked.loc[5, "domain"] = None
    given.loc[0, "input_tokens"] = -1
    given.loc[1, "mean_logprob"] = 0.5
    given.loc[2, "query_id"] = "gone"
    given.loc[COUNT : COUNT + 20, "error"] = "timed out"
    marked.loc[0, "score"] = 1.5
    marked.loc[1, "score"] = None
    marked.loc[3, "query_id"] = "q002"
    marked.loc[marked["llm"] == "odd", "score"] = 0.0
    given.loc[given["llm"] == "odd", "text"] = ""
    return {"queries": asked, "answers": given, "labels": marked}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What validation says of the broken tables; pages are written beside it."""
    wrong = broken()
    split_of = pd.Series([f"s{n % 2}" for n in range(COUNT)], index=[f"q{n:03d}" for n in range(COUNT)])
    by_name = validate.frames(wrong["queries"], wrong["answers"], wrong["labels"], LLMS, split_of)
    return validate.check(by_name, rules([llm.id for llm in LLMS], 0.5), tmp_path_factory.mktemp("validation") / "docs")


def found(findings: list[Finding], table: str, means: str) -> Finding:
    (finding,) = [each for each in findings if each.rule.table == table and means in each.rule.means]
    return finding


@pytest.mark.parametrize(
    ("table", "means", "first"),
    [
        ("queries", "used once", {"query_id": "q058"}),
        ("queries", "grader of this name exists", {"query_id": "q004", "grader": "numbre"}),
        ("queries", "domain is never missing", {"query_id": "q005"}),
        ("answers", "input_tokens is not negative", {"query_id": "q000", "llm": "good", "input_tokens": -1}),
        ("answers", "at most 0", {"query_id": "q001", "llm": "good", "mean_logprob": 0.5}),
        ("answers", "of LLMs in the pool", {"query_id": "q000", "llm": "stranger"}),
        ("answers", "queries of the pool", {"query_id": "gone", "llm": "good"}),
        ("labels", "in [0, 1]", {"query_id": "q000", "llm": "good", "score": 1.5}),
        ("labels", "score is never missing", {"query_id": "q001", "llm": "good"}),
        ("labels", "labels an answer once", {"query_id": "q002", "llm": "good"}),
        ("likenesses", "different splits", {"query_id": "q002", "like": "q003"}),
        ("likenesses", "nearly the same", {"query_id": "q002", "like": "q003", "likeness": 1.0}),
        ("candidates", "at least 50%", {"llm": "fresh", "labelled_share": 0.0}),
        ("active", "calls failed", {"llm": "odd", "failed_share": 0.35}),
        ("balance", "same score on every query", {"llm": "odd", "dataset": "d"}),
        ("suspects", "look like skill", {"llm": "odd", "dataset": "d", "suspect": 1}),
        ("agreement", "agree on 90 %", {"llm": "good", "one": "judge", "other": "number"}),
    ],
)
def test_each_fault_is_found_and_its_row_named(findings: list[Finding], table: str, means: str, first: dict[str, Any]) -> None:
    """A broken rule names the rows that break it by their ids, with the value that does."""
    finding = found(findings, table, means)
    assert not finding.success
    assert finding.broken >= 1
    assert first.items() <= dict(finding.rows[0]).items()


def test_rules_that_hold_are_said_to_hold(findings: list[Finding]) -> None:
    """A fault in one column is no fault in another."""
    for table, means in [
        ("queries", "text is never missing"),
        ("answers", "latency_s"),
        ("labels", "grader_version"),
        ("active", "at least 50%"),
    ]:
        assert found(findings, table, means).success, means


def test_failures_name_expectation_rows_and_next_step(findings: list[Finding], tmp_path: Path) -> None:
    """The error alone is enough to act on; warnings do not raise; the report has everything, and no page needs the network."""
    with pytest.raises(
        ValidationFailed, match=r"labels: a label is in \[0, 1\] \[ExpectColumnValuesToBeBetween\]: q000 / good / 1\.5\. Correct"
    ):
        report.require(findings, tmp_path)
    with pytest.raises(ValidationFailed) as raised:
        report.require(findings, tmp_path)
    assert "agree on 90 %" not in str(raised.value)
    report.write(tmp_path, findings, {"queries": COUNT})
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["success"] is False
    assert written["critical"] == len(report.failures(findings))
    assert len(written["expectations"]) == len(findings) == len(rules([], 0.5))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "q000 / good / 1.5" in page
    assert "http" not in page


def test_a_rule_that_cannot_be_evaluated_is_broken(tmp_path: Path) -> None:
    """A column that is not there fails its rule and says so; it never passes for want of values."""
    wrong = broken()
    by_name = {"labels": wrong["labels"].drop(columns="score")}
    wanted = [rule for rule in rules(["good"], 0.5) if rule.table == "labels" and "[0, 1]" in rule.means]
    (finding,) = validate.check(by_name, wanted, tmp_path)
    assert not finding.success
    assert "score" in finding.observed


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    entries = "".join(
        f"  {llm.id}: {{name: {llm.name}, endpoint: null, price: {{input: 1, output: 2}}, status: {llm.status}}}\n" for llm in LLMS
    )
    (tmp_path / "registry/pool.yaml").write_text(f"llms:\n{entries}", encoding="utf-8")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    tables.write(tmp_path / "data/queries.parquet", queries(), tables.QUERIES)
    for llm in LLMS[:2]:
        tables.write(tmp_path / f"build/answers/{llm.id}.parquet", answers(llm.id), tables.ANSWERS)
        tables.write(tmp_path / f"build/labels/{llm.id}.parquet", labels(llm.id), tables.LABELS)
    return tmp_path


@pytest.mark.slow
def test_the_stage_passes_good_tables(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Good tables end well, with warnings printed, the report and Data Docs."""
    monkeypatch.chdir(project)
    validate.main()
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: candidates: an LLM is labelled on at least 5%" in said
    assert "on 60 queries, 120 answers, 120 labels" in said
    assert json.loads((project / "build/validation/report.json").read_text(encoding="utf-8"))["success"] is True
    assert (project / "build/validation/data_docs/index.html").exists()


@pytest.mark.slow
def test_the_stage_stops_at_a_bad_label(project: Path) -> None:
    """Run as DVC runs it, a label out of range ends in exit code 1, names expectation and row, and leaves the report to read."""
    tables.write(project / "build/labels/odd.parquet", labels("odd").assign(score=-1.0), tables.LABELS)
    bad = subprocess.run([sys.executable, "-m", "pipelines.validate"], cwd=project, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "labels: a label is in [0, 1] [ExpectColumnValuesToBeBetween]: q000 / odd / -1.0" in bad.stderr
    assert json.loads((project / "build/validation/report.json").read_text(encoding="utf-8"))["success"] is False


def test_assembling_leaves_no_leak_for_validation_to_find() -> None:
    """With the splits of pipelines.splits, near-duplicates never stand on two sides."""
    table = queries()
    table.loc[30:, "text"] = [f"{text} Think well." for text in table.loc[:29, "text"]]
    split_of = splits.assign(table, params.load(ROOT / "params.yaml").assemble, {})
    likenesses = validate.derived.likenesses(table, split_of)
    assert len(likenesses) >= 30
    assert not likenesses["crosses_splits"].any()


def test_an_llm_that_joins_by_row_is_held_to_what_it_is_asked() -> None:
    """A few hundred labels of a large pool are all it should have, not a gap."""
    llms = (replace(LLMS[0], max_training_queries=10, trained="row"), replace(LLMS[1], max_training_queries=10))
    marked = pd.concat([labels("good").head(9), labels("odd").head(9)])
    shares = derived.coverage(marked, answers("good"), llms, COUNT).set_index("llm")["labelled_share"]
    assert shares.to_dict() == {"good": 0.9, "odd": 0.15}
