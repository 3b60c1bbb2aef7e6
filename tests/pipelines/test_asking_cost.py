"""What asking an LLM will cost: how many queries, how long prompts and answers are here, at its price."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from mixture.llm import LLM, Decoding, Endpoint, Prompt
from mixture.price import Price
from pipelines import asking_cost, params, tables
from pipelines.graders import judge
from pipelines.project import Project
from registry import asking_cost as figures
from registry.asking_cost import AskingCost
from registry.pool import Pool

ROOT = Path(__file__).parents[2]
TEXT = "x" * 36  # 9 tokens of 4 characters, and 4 for the message: 13 expected
NEW = LLM("new", "New", Price(1, 10), Endpoint("http://127.0.0.1:9/v1", "m"), decoding=Decoding(max_tokens=100), max_training_queries=4)
BRIEF, WORDY = (replace(NEW, id=llm_id, endpoint=None, max_training_queries=None) for llm_id in ("brief", "wordy"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Ten queries, the parameters that we ship, and a pool of three."""
    project = Project(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    queries = pd.DataFrame({name: ["x"] * 10 for name in tables.QUERIES.names} | {"query_id": [f"q{n}" for n in range(10)]})
    tables.write(project.queries, queries.assign(text=TEXT, choices=None), tables.QUERIES)
    entries = {
        llm.id: {"name": llm.name, "endpoint": _written(llm.endpoint), "price": {"input": llm.price.input, "output": llm.price.output}}
        for llm in (NEW, BRIEF, WORDY)
    }
    (tmp_path / "registry").mkdir()
    YAML().dump({"llms": entries}, tmp_path / "registry" / "pool.yaml")
    return project


def _written(endpoint: Endpoint | None) -> dict[str, Any] | None:
    return None if endpoint is None else {**asdict(endpoint), "dialects": sorted(endpoint.dialects)}


def write_answers(path: Path, llm: str, lengths: list[tuple[int, int]], *, error: str | None = None) -> None:
    """Answers to the first queries, of so many tokens in and out."""
    row = {"sample": 0, "text": "x", "finish_reason": "stop", "cost_usd": 0.0, "latency_s": 1.0, "mean_logprob": None, "llm": llm}
    rows = [
        row | {"query_id": f"q{at}", "input_tokens": i, "output_tokens": o, "error": error, "asked_with": "imported"}
        for at, (i, o) in enumerate(lengths)
    ]
    frame = pd.DataFrame(rows).assign(asked_at=pd.Timestamp("2026-01-01", tz="UTC"))
    path.parent.mkdir(parents=True, exist_ok=True)
    tables.write(path, frame, tables.ANSWERS)


def estimate(project: Project, llm: LLM = NEW) -> AskingCost:
    return asking_cost.estimate(project, llm, Pool((BRIEF, WORDY, llm)), params.load(project.params))


def test_lengths_are_those_of_the_pools_answers(project: Project) -> None:
    """Prompts by their characters, corrected by what others counted; answers as long as theirs, at most as long as its own may be."""
    write_answers(project.recorded_answers("brief"), "brief", [(26, 10), (26, 30)])  # twice the tokens expected; 20 on average
    write_answers(project.answers("wordy"), "wordy", [(13, 60), (13, 600)])  # as expected; (60 + 100) / 2 = 80 on average
    cost = estimate(project)
    assert (cost.queries, cost.of, cost.llms) == (4, 10, 2)
    assert cost.input_tokens == 4 * 13 * 1.5
    assert cost.output_tokens == 4 * (20 + 80) / 2
    assert cost.usd == pytest.approx((78 * 1 + 200 * 10) / 1e6)
    assert cost.most_usd == pytest.approx((78 * 1 + 400 * 10) / 1e6)
    assert str(cost) == (
        "Asking it 4 of 10 queries costs about $0.0021 (78 tokens in, 200 out, if its answers are as long as those of 2 LLMs here), "
        "at most $0.0041; it stops at $5.00."
    )


def test_without_recorded_answers_they_are_as_long_as_they_may_be(project: Project) -> None:
    """Nothing is promised that nobody knows; failed answers and those of no length say nothing."""
    write_answers(project.answers("brief"), "brief", [(0, 0), (26, 0)])
    write_answers(project.answers("wordy"), "wordy", [(26, 9)], error="HTTP 500")
    cost = estimate(project)
    assert (cost.input_tokens, cost.output_tokens, cost.llms) == (52, 400, 0)
    assert cost.usd == cost.most_usd


def test_a_judges_verdicts_are_named_beside_it(project: Project) -> None:
    """Two an answer to an open query, at the judge's price; queries that code grades cost no verdict."""
    queries = tables.read(project.queries, tables.QUERIES)
    tables.write(project.queries, queries.assign(grader=["judge"] * 5 + ["exact"] * 5), tables.QUERIES)
    assert estimate(project, replace(NEW, max_training_queries=None)).queries == 5  # without a judge nobody is asked the open ones
    text = project.params.read_text()
    project.params.write_text(text.replace("judge: null", "judge: brief", 1))
    cost = estimate(project, replace(NEW, max_training_queries=None))
    assert cost.queries == 10
    verdict = cost.judging_usd / (5 * 2)
    assert (100 * BRIEF.price.input + judge.VERDICT_TOKENS * BRIEF.price.output) / 1e6 < verdict < 600 / 1e6
    assert f"Judging its answers costs about {figures.usd(cost.judging_usd)} more." in str(cost)


def test_its_own_prompt_is_paid_for_too(project: Project) -> None:
    """System text and suffix come with every query: 400 and 38 characters more, and a message."""
    asked = replace(NEW, prompt=Prompt("s" * 400, "t" * 38))
    assert estimate(project, asked).input_tokens == 4 * ((400 + 36 + 2 + 38) // 4 + 2 * 4)


def test_what_it_answered_already_is_not_paid_for_again(project: Project) -> None:
    """An LLM that was asked before, or whose answers were brought along, is asked the rest only."""
    write_answers(project.recorded_answers("new"), "new", [(13, 9)] * 10)
    cost = estimate(project)
    assert (cost.queries, cost.usd, cost.most_usd) == (0, 0.0, 0.0)
    assert estimate(project, replace(NEW, max_training_queries=None)).queries == 0


def test_the_server_is_told_the_same_by_a_process(project: Project) -> None:
    """As JSON; None where the project cannot tell."""
    told = figures.told(project.home, "new")
    entry = replace(NEW, max_training_queries=None, decoding=Decoding())
    assert told == estimate(project, entry)
    assert figures.told(project.home, "nobody") is None
    entry_of_it = {"endpoint": {"base_url": "http://127.0.0.1:1/v1", "served_name": "m"}, "price": {"input": 1.0, "output": 2.0}}
    asked = figures.told(project.home, "maybe", entry_of_it)  # which is in no pool yet
    assert asked is not None
    assert asked.queries == told.queries


def test_a_project_without_queries_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says which file is missing."""
    project.queries.unlink()
    monkeypatch.chdir(project.home)
    with pytest.raises(SystemExit, match=r"queries\.parquet"):
        asking_cost.main(["new"])


@pytest.mark.parametrize(("amount", "shown"), [(0.0, "$0.00"), (0.00213, "$0.0021"), (0.999, "$1"), (1.3, "$1.30"), (1234.5, "$1234.50")])
def test_small_amounts_keep_two_digits(amount: float, shown: str) -> None:
    """A price of a tenth of a cent is not nothing."""
    assert figures.usd(amount) == shown
