"""All LLMs are asked at once, each as if it were alone; the stage `answer` then only folds what is there."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from pipelines import answer, ask_all, journal, tables
from pipelines.project import Project
from registry.progress import Progress
from tests.pipelines.endpoint import Endpoint, running

ROOT = Path(__file__).parents[2]
COUNT = 12
HERE = Project(Path())


@pytest.fixture
def endpoints() -> Iterator[tuple[Endpoint, Endpoint]]:
    with running() as one, running() as other:
        yield one, other


@pytest.fixture
def project(tmp_path: Path, endpoints: tuple[Endpoint, Endpoint], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with 12 queries and a pool of two LLMs, `one` and `other`, at an endpoint each, and a recorded one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry").mkdir()
    params = YAML().load(ROOT / "params.yaml")
    params["answer"]["retries"] = 0
    YAML().dump(params, tmp_path / "params.yaml")
    write_pool(one=entry(endpoints[0].url), other=entry(endpoints[1].url), known=entry(None))
    write_queries(["exact"] * COUNT)
    return tmp_path


def entry(url: str | None, **changes: Any) -> dict[str, Any]:
    limits = {"concurrency": 2, "connect_s": 5, "first_token_s": 60, "between_chunks_s": 60, "total_s": 60}
    endpoint = None if url is None else {"base_url": url, "served_name": "echo", "api_key_env": None}
    price = {"input": 1.0, "output": 2.0}
    return {
        "name": "Echo",
        "status": "active",
        "price": price,
        "decoding": {"max_tokens": 10},
        "limits": limits,
        "endpoint": endpoint,
        **changes,
    }


def write_pool(**entries: dict[str, Any]) -> None:
    YAML().dump({"llms": entries}, Path("registry/pool.yaml"))


def write_queries(graders: list[str]) -> None:
    """One query for each of `graders`."""
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"choices": []}
    rows = [row | {"query_id": f"q-{at}", "text": f"question {at}", "grader": grader} for at, grader in enumerate(graders)]
    tables.write(HERE.queries, pd.DataFrame(rows), tables.QUERIES)


def kept(llm: str) -> set[str]:
    """What is in the journal of `llm`."""
    return {row["query_id"] for row in journal.rows(HERE.journal(llm)) if row["error"] is None}


@pytest.mark.usefixtures("project")
def test_llms_are_asked_at_once_and_stages_only_fold(endpoints: tuple[Endpoint, Endpoint], capsys: pytest.CaptureFixture[str]) -> None:
    """Each answer waits for one of the other LLM's; no table is written, and the stages find every answer in the journals."""
    together = threading.Barrier(2, timeout=60)
    for endpoint in endpoints:
        endpoint.meanwhile = together.wait
    ask_all.main()
    assert kept("one") == kept("other") == {f"q-{at}" for at in range(COUNT)}
    assert not HERE.answers("one").parent.exists()
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["one: 0 asked, asking 12.", "other: 0 asked, asking 12."]
    assert [each for line in said if (each := Progress.parse(line))][-1] == Progress("2 LLMs: 24 of 24", 1.0)
    for llm in ("one", "other"):
        answer.main([llm])
        assert list(tables.read(HERE.answers(llm), tables.ANSWERS)["llm"]) == [llm] * COUNT
        assert not HERE.journal(llm).exists()
    assert [set(endpoint.asked.values()) for endpoint in endpoints] == [{1}, {1}]
    ask_all.main()
    assert [sum(endpoint.asked.values()) for endpoint in endpoints] == [COUNT, COUNT]
    assert not any(HERE.journal(llm).exists() for llm in ("one", "other", "known"))


@pytest.mark.usefixtures("project")
def test_a_failing_llm_stops_no_other(endpoints: tuple[Endpoint, Endpoint]) -> None:
    """Its error ends the run when the others have answered everything; two errors are both said."""
    write_pool(gone=entry("http://127.0.0.1:9/v1"), one=entry(endpoints[0].url), other=entry(endpoints[1].url))
    endpoints[0].delay_s = 0.1
    with pytest.raises(SystemExit, match=r"^gone: 10 calls in a row failed at http://127\.0\.0\.1:9/v1"):
        ask_all.main()
    assert len(kept("one")) == len(kept("other")) == COUNT
    write_queries(["exact"] * (COUNT + 12))
    poor = entry(endpoints[0].url, price={"input": 1e6, "output": 1e6})
    write_pool(gone=entry("http://127.0.0.1:9/v1"), one=poor, other=entry(endpoints[1].url))
    with pytest.raises(SystemExit) as stopped:
        ask_all.main()
    assert "gone: 10 calls in a row failed" in str(stopped.value)
    assert "one: 0.0000 USD spent" in str(stopped.value)
    assert len(kept("other")) == COUNT + 12


@pytest.mark.usefixtures("project")
def test_llms_of_one_family_take_turns(endpoints: tuple[Endpoint, Endpoint]) -> None:
    """The same weights under two prompts are at one endpoint: together they keep to the limit of each."""
    endpoints[0].delay_s = 0.02
    write_pool(one=entry(endpoints[0].url), brief=entry(endpoints[0].url, prompt={"system": "Be brief.", "suffix": ""}))
    ask_all.main()
    assert len(kept("one")) == len(kept("brief")) == COUNT
    assert endpoints[0].most_at_once == 2


@pytest.mark.usefixtures("project")
def test_what_failed_is_left_to_the_stage(endpoints: tuple[Endpoint, Endpoint]) -> None:
    """A call that failed is asked again by the stage that writes the table, never for a table that nothing would write."""
    endpoints[0].failing = {"question 3"}
    ask_all.main()
    ask_all.main()
    assert sum(endpoints[0].asked.values()) == COUNT
    endpoints[0].failing = set()
    answer.main(["one"])
    assert endpoints[0].asked["question 3"] == 2
    assert tables.read(HERE.answers("one"), tables.ANSWERS)["error"].isna().all()


@pytest.mark.usefixtures("project")
def test_retired_recorded_and_busy_llms(endpoints: tuple[Endpoint, Endpoint]) -> None:
    """A retired or recorded LLM is asked nothing; one that another run asks is named, and nobody is asked."""
    write_pool(one=entry(endpoints[0].url), known=entry(None), other=entry(endpoints[1].url, status="retired"))
    HERE.asking.mkdir(parents=True)
    with FileLock(HERE.asking_lock("one")), pytest.raises(SystemExit, match=r"one is being asked by another run\. Wait"):
        ask_all.main()
    assert not endpoints[0].asked
    ask_all.main()
    assert (len(endpoints[0].asked), len(endpoints[1].asked)) == (COUNT, 0)


@pytest.mark.usefixtures("project")
def test_nobody_is_asked_what_nothing_grades(endpoints: tuple[Endpoint, Endpoint], capsys: pytest.CaptureFixture[str]) -> None:
    """Open queries without judge or reward model, and ones graded elsewhere: skipped with a sentence; with a judge the open ones come."""
    write_queries([*["exact"] * 3, *["judge"] * 4, *["recorded"] * 2])
    ask_all.main()
    answer.main(["one"])
    assert sorted(endpoints[0].asked) == ["question 0", "question 1", "question 2"]
    said = capsys.readouterr().out
    assert "6 queries are asked of nobody, for nothing would grade the answers (judge 4, recorded 2)." in said
    assert "Set label.judge or label.reward_model in params.yaml for the open ones." in said
    params = YAML().load(Path("params.yaml"))
    params["label"]["judge"] = "other"
    YAML().dump(params, Path("params.yaml"))
    answer.main(["one"])
    assert len(endpoints[0].asked) == 7
    assert "2 queries are asked of nobody, for nothing would grade the answers (recorded 2).\n" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_a_signal_keeps_what_was_answered(endpoints: tuple[Endpoint, Endpoint]) -> None:
    """SIGTERM ends the run with all LLMs named; the next one asks only what is missing."""
    for endpoint in endpoints:
        endpoint.delay_s = 0.3
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipelines.ask_all"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (kept("one") and kept("other")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stopped by SIGTERM. Run the same command again" in said
    before = {llm: kept(llm) for llm in ("one", "other")}
    for endpoint in endpoints:
        endpoint.delay_s = 0.0
    ask_all.main()
    for endpoint, llm in zip(endpoints, ("one", "other"), strict=True):
        assert len(kept(llm)) == COUNT
        assert all(endpoint.asked[f"question {query_id[2:]}"] == 1 for query_id in before[llm])
