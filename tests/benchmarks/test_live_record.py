"""What a record of calls hangs on is kept beside it, and needs no scorer afterwards."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import live_record
from benchmarks.bought_calls import BoughtCalls, CallMissing
from benchmarks.live_record import Bench, LiveQuery
from mixture.choose.posterior import AgreementPosterior
from mixture.client.protocol import Call, Reply
from mixture.replay.virtual_time import clock, drive
from pipelines import tables
from pipelines.errors import PipelineError
from pipelines.graders.query import Query
from pipelines.journal import rows
from pipelines.project import Project
from registry import pool

POOL = Path("registry/pool.yaml")
CALLS = Path("docs/results/live-calls")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with queries and a pool, whose pipeline never ran."""
    (tmp_path / "registry").mkdir()
    shutil.copyfile(POOL, tmp_path / "registry" / "pool.yaml")
    empty = dict.fromkeys(tables.QUERIES.names, "")
    rows = [
        empty | {"query_id": name, "text": f"What is 6 x {name}?", "domain": "m", "grader": "number", "choices": None} for name in "abcxy"
    ]
    tables.write(tmp_path / "data" / "queries.parquet", pd.DataFrame(rows), tables.QUERIES)
    return tmp_path


@pytest.fixture
def bench(home: Path) -> Bench:
    llms = list(pool.load(home / "registry" / "pool.yaml").llms)[:2]
    priors = [{llm.id: (at + place) / 10 for place, llm in enumerate(llms)} for at in range(5)]
    queries = [LiveQuery(Query(name, f"What is 6 x {name}?", "number"), "m", name in "abc", priors[at]) for at, name in enumerate("axbyc")]
    return Bench(queries, llms, {llm.id: 0.5 for llm in llms}, AgreementPosterior(skill=0.25), "a hash")


def test_a_record_goes_on_by_the_scores_it_was_bought_by(home: Path, bench: Bench) -> None:
    """The first that were kept, to the bit, in the same order."""
    live_record.keep(bench, home, home / "calls")
    assert live_record.read(home, home / "calls") == bench
    other = Bench(bench.queries[:1], bench.llms, bench.means, AgreementPosterior(), "another")
    live_record.keep(other, home, home / "calls")
    assert live_record.read(home, home / "calls") == bench
    assert sorted(path.name for path in (home / "calls").iterdir()) == ["pool.yaml", "scores.json"]


def test_no_text_is_kept(home: Path, bench: Bench) -> None:
    """Queries are others' property."""
    live_record.keep(bench, home, home / "calls")
    assert "What is" not in "".join(path.read_text() for path in (home / "calls").iterdir())


def test_a_project_of_other_queries_cannot_replay(home: Path, bench: Bench) -> None:
    """Which one is missing is said."""
    live_record.keep(bench, home, home / "calls")
    path = home / "data" / "queries.parquet"
    tables.write(path, tables.read(path, tables.QUERIES).query("query_id != 'x'"), tables.QUERIES)
    with pytest.raises(PipelineError, match="1 of 5 queries are not there, such as x"):
        live_record.read(home, home / "calls")


def test_constants_of_another_rule_are_refused(home: Path, bench: Bench) -> None:
    """A record that outlives the posterior's form says so."""
    live_record.keep(bench, home, home / "calls")
    path = home / "calls" / "scores.json"
    path.write_text(path.read_text().replace('"skill"', '"prior"'))
    with pytest.raises(PipelineError, match="another rule"):
        live_record.read(home, home / "calls")


def test_what_was_answered_for_labels_is_not_bought_again(home: Path, bench: Bench) -> None:
    """It was the same call; failures, answers without log-probabilities and what is on record already are left out."""
    first, second = bench.llms
    fixed = {**dict.fromkeys(tables.ANSWERS.names), "sample": 0, "finish_reason": "stop", "text": "42", "latency_s": 1.5}
    counted = {"input_tokens": 9, "output_tokens": 2, "cost_usd": 0.0}
    answers = [
        fixed | counted | {"query_id": name, "llm": first.id, "mean_logprob": logprob, "error": error}
        for name, logprob, error in (("a", -0.5, None), ("b", None, None), ("c", -0.5, "late"), ("unknown", -0.5, None))
    ]
    tables.write(Project(home).answers(first.id), pd.DataFrame(answers), tables.ANSWERS)
    assert live_record.take_answers(bench, home, home / "calls") == 1
    assert live_record.take_answers(bench, home, home / "calls") == 0
    asked = Call(first, [{"role": "user", "content": "What is 6 x a?"}])
    reply, seconds = drive(timed(BoughtCalls(home / "calls"), asked))
    assert (reply.text, reply.mean_logprob, reply.output_tokens, seconds) == ("42", -0.5, 2, 1.5)
    with pytest.raises(CallMissing):
        drive(BoughtCalls(home / "calls").ask(Call(second, asked.messages)))


async def timed(calls: BoughtCalls, call: Call) -> tuple[Reply, float]:
    """The reply, and the seconds it took."""
    return await calls.ask(call), clock()


@pytest.mark.parametrize("record", [CALLS, CALLS / "two-efforts"])
def test_the_record_in_the_repository_is_by_this_codes_rule(record: Path) -> None:
    """Who changes the posterior's form, or the pool's, changes the record too."""
    kept = json.loads((record / "scores.json").read_text())
    pooled = pool.load(record / "pool.yaml")
    assert AgreementPosterior(**kept["evidence"]) != AgreementPosterior()
    assert [pooled.by_id(name).id for name in kept["llms"]] == kept["llms"]
    assert (len(kept["in_domain"]), len(kept["out_of_domain"])) == (live_record.IN_DOMAIN, live_record.OUT_OF_DOMAIN)
    assert all(set(priors) == set(kept["llms"]) for priors in (kept["in_domain"] | kept["out_of_domain"]).values())
    keys = [row["key"] for row in rows(CALLS / "calls.jsonl")]
    assert len(set(keys)) == len(keys) > 9000
