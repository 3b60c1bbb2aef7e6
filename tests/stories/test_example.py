"""One example whole, on real LLMs: imported, asked, trained, served, audited, its savings in the ledger; the others up to validation."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import commands
from local import example
from local.example import Example
from pipelines import tables
from pipelines.label import label
from pipelines.project import Project
from registry import child_process, pool

ROOT = Path(__file__).parents[2]
LLMS = {"biomedical": 4, "cloud-zoo": 15, "code": 2, "tutoring": 4}
pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1800)]


def answers(llm: str, queries: pd.DataFrame, own: list[dict[str, str]]) -> pd.DataFrame:
    """As if `llm` had given the right answer of the example's file to two of three queries, and its wrong one to the rest."""
    reply = {row["query"]: row["wrong"] if n % 3 == 0 else row["right"] for n, row in enumerate(own)}
    texts = [next(answer for asked, answer in reply.items() if text.startswith(asked.strip())) for text in queries["text"]]
    counted = {"sample": 0, "finish_reason": "stop", "input_tokens": 40, "output_tokens": 9, "cost_usd": 1e-6, "latency_s": 0.5}
    said = {"llm": llm, "mean_logprob": None, "error": None, "asked_at": "2026-11-30T12:00:00+00:00", "asked_with": "-"}
    return pd.DataFrame({"query_id": queries["query_id"], "text": texts}).assign(**counted, **said).reindex(columns=tables.ANSWERS.names)


def test_the_help_desk_says_what_it_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The page's command; then the ledger of its project says what the last act said, of audited answers."""
    example.run("support", source=ROOT, at=tmp_path / "project", stay_up=False)
    printed = capfd.readouterr().out
    named = re.search(r"routemoa savings --by domain --baseline (support-\S+)", printed)
    assert named is not None, printed
    assert f"always {named[1]}: " in printed
    assert re.search(r"quality [+-]\d+ \[[+-]\d+, [+-]\d+\] points, money saved -?\d+ % \[-?\d+, -?\d+\]", printed)
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path / "project"))
    told = json.loads(CliRunner().invoke(commands, ["savings", "--by", "domain", "--baseline", named[1], "--json"]).output)
    rows = {row["name"]: row for row in told["rows"]}
    assert set(rows) <= {"routing", "policy", "extraction", "tone", "translation"}
    assert told["total"]["requests"] == sum(row["requests"] for row in rows.values()) > 5
    assert f"saved ${told['total']['saved_usd']:.6f}" in printed
    assert told["total"]["quality"]["audits"] + told["total"]["quality"]["baseline_audits"] > 0


@pytest.mark.parametrize("name", LLMS)
def test_the_others_are_planned_and_validated(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to where LLMs are asked, and from there with answers of the example's file: each is asked all, every expectation holds."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("ROUTEMOA_HOME", raising=False)
    home, _ = example.make_project(Example.named(name, ROOT), ROOT, tmp_path / "project")
    project, llms = Project(home), pool.load(home / "registry" / "pool.yaml").active
    queries = pq.read_table(project.queries).to_pandas()
    own = [json.loads(line) for line in (ROOT / "examples" / name / example.QUERIES).read_text(encoding="utf-8").splitlines()]
    planned = json.loads(child_process.output([sys.executable, "-m", "pipelines.plan"], cwd=home))
    assert len(llms) == LLMS[name]
    assert planned["missing"] == {llm.id: len(own) for llm in llms}
    for llm in llms:
        tables.write(project.answers(llm.id), answers(llm.id, queries, own), tables.ANSWERS)
        labels = label(project, llm, queries, timeout_s=10.0)
        assert labels["score"].sum() == len(own) - len(own[::3])
        tables.write(project.labels(llm.id), labels, tables.LABELS)
    validated = child_process.output([sys.executable, "-m", "pipelines.validate"], cwd=home)
    assert f"{len(queries)} queries, {len(llms) * len(queries)} answers" in validated
    assert "warning" not in validated
