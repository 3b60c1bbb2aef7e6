"""The answer stage against an endpoint that counts: an answer is bought once, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from mixture.llm import Decoding, Prompt
from mixture.price import Price
from pipelines import answer, journal, params, query_selection, tables
from pipelines.answer_store import asked_with
from pipelines.project import Project
from registry import pool
from registry.progress import Progress
from tests.pipelines.endpoint import Endpoint, running

ROOT = Path(__file__).parents[2]
COUNT = 40
HERE = Project(Path())


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with 40 queries and a pool of one LLM, `echo`, and one recorded LLM, `known`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    template = {
        "status": "active",
        "price": {"input": 1.0, "output": 2.0},
        "prompt": {"system": "", "suffix": ""},
        "decoding": {"temperature": 0.0, "max_tokens": 10, "seed": 0},
        "limits": {"concurrency": 2, "connect_s": 5, "first_token_s": 5, "between_chunks_s": 5, "total_s": 5},
    }
    entry = {"name": "Echo", "endpoint": {"base_url": endpoint.url, "served_name": "echo", "api_key_env": None}, **template}
    (tmp_path / "registry").mkdir()
    write_pool({"echo": entry, "known": {"name": "Known", "endpoint": None, **template}})
    rows = [
        dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": f"q-{at}", "text": f"question {at}", "choices": []} for at in range(COUNT)
    ]
    tables.write(Project(tmp_path).queries, pd.DataFrame(rows), tables.QUERIES)
    return tmp_path


def write_pool(entries: dict) -> None:
    YAML().dump({"llms": entries}, Path("registry/pool.yaml"))


def change(section: str, **values: object) -> None:
    """Changes the entry `echo`."""
    entries = YAML(typ="safe").load(Path("registry/pool.yaml"))["llms"]
    entries["echo"][section] = {**entries["echo"][section], **values}
    write_pool(entries)


def change_params(**values: object) -> None:
    loaded = YAML(typ="safe").load(Path("params.yaml"))
    loaded["answer"] |= values
    YAML().dump(loaded, Path("params.yaml"))


def answers(llm: str = "echo") -> pd.DataFrame:
    return tables.read(HERE.answers(llm), tables.ANSWERS)


def start(*arguments: str) -> subprocess.Popen[str]:
    """The stage as DVC starts it."""
    command = [sys.executable, "-m", "pipelines.answer", "echo", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_answers(count: int) -> None:
    path = HERE.journal("echo")
    for _ in range(400):
        if len(journal.rows(path)) >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"no {count} answers within 20 s")


@pytest.mark.usefixtures("project", "endpoint")
def test_progress_in_a_log_names_the_llm(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal shows a bar: whose answers are counted, so that the logs of two LLMs can be told apart."""
    answer.main(["echo"])
    steps = [each for line in capsys.readouterr().out.splitlines() if (each := Progress.parse(line))]
    assert steps[-1] == Progress(f"echo: {COUNT} of {COUNT}", 1.0)


@pytest.mark.usefixtures("project")
def test_every_query_is_asked_once(endpoint: Endpoint) -> None:
    """The first run asks everything; the second asks nothing, not even whether the endpoint is there."""
    answer.main(["echo"])
    assert set(endpoint.asked.values()) == {1}
    assert len(endpoint.asked) == COUNT
    frame = answers()
    assert list(frame["text"]) == [f"question {row.query_id[2:]}"[::-1] for row in frame.itertuples()]
    assert frame["error"].isna().all()
    assert set(frame["mean_logprob"]) == {-0.5}
    assert frame["cost_usd"].iloc[0] == pytest.approx((20 * 1 + 5 * 2) / 1e6)
    change("endpoint", base_url="http://127.0.0.1:9/v1")
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT
    assert not (HERE.journal("echo")).exists()


@pytest.mark.usefixtures("project")
def test_resumes_after_kill_9_without_asking_twice(endpoint: Endpoint) -> None:
    """A killed run loses only what was on its way: nothing that was answered is asked again."""
    endpoint.delay_s = 0.05
    process = start()
    wait_for_answers(10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)
    kept = {row["query_id"] for row in journal.rows(HERE.journal("echo"))}
    before = endpoint.asked.copy()
    answer.main(["echo"])
    assert len(answers()) == COUNT
    assert all(endpoint.asked[f"question {query_id[2:]}"] == 1 for query_id in kept)
    asked_twice = {question for question, count in endpoint.asked.items() if count > 1}
    assert len(asked_twice) <= 2  # as many as were on their way
    assert asked_twice <= before.keys()


@pytest.mark.usefixtures("project")
def test_sigterm_folds_what_is_there(endpoint: Endpoint) -> None:
    """A stopped run writes its table, fails so that DVC does not call the stage done, and says how to go on."""
    endpoint.delay_s = 0.1
    process = start()
    wait_for_answers(4)
    process.terminate()
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "echo: stopped by SIGTERM. Run the same command again" in said
    assert 4 <= len(answers()) < COUNT
    assert not (HERE.journal("echo")).exists()


@pytest.mark.usefixtures("project")
def test_failed_calls_are_rows_and_asked_again(endpoint: Endpoint) -> None:
    """A call that fails after its retries is a row with `error`; the next run asks it again, and only it."""
    change_params(retries=0)
    endpoint.failing = {"question 3"}
    answer.main(["echo"])
    row = answers().set_index("query_id").loc["q-3"]
    assert "HTTP 500: cannot" in row["error"]
    assert (row["text"], row["cost_usd"]) == ("", 0.0)
    endpoint.failing = set()
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT + 1
    assert answers()["error"].isna().all()


@pytest.mark.usefixtures("project")
def test_unreachable_endpoint_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody listens the run ends soon, naming the URL and the command that starts a local server."""
    change("endpoint", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(SystemExit, match=r"(?s)failed at http://127\.0\.0\.1:9/v1.*python -m local\.llama echo"):
        answer.main(["echo"])
    assert capsys.readouterr().out.startswith("echo: 0 answered, 40 missing, asking 40.")


@pytest.mark.usefixtures("project")
def test_a_missing_key_is_said_at_once(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked ten times for want of a key; what to do names both places it may be missing in."""
    monkeypatch.delenv("ECHO_KEY", raising=False)
    change("endpoint", api_key_env="ECHO_KEY")
    with pytest.raises(SystemExit, match=r"(?s)echo: the environment variable ECHO_KEY is not set.*dvc repro.*routemoa up"):
        answer.main(["echo"])
    assert not endpoint.asked


def test_a_retired_llm_is_asked_nothing(project: Path, endpoint: Endpoint) -> None:
    """It keeps the answers it has; active again it is asked the rest."""
    answer.main(["echo", "--limit", "10"])
    active = (project / "registry" / "pool.yaml").read_text()
    (project / "registry" / "pool.yaml").write_text(active.replace("status: active", "status: retired", 1))
    answer.main(["echo"])
    assert (sum(endpoint.asked.values()), len(answers())) == (10, 10)
    (project / "registry" / "pool.yaml").write_text(active)
    answer.main(["echo"])
    assert (sum(endpoint.asked.values()), len(answers())) == (COUNT, COUNT)


def test_answers_from_elsewhere_are_not_bought_again(project: Path, endpoint: Endpoint) -> None:
    """An import's answers count for an LLM with an endpoint too; where it was asked here in just this way, that answer counts."""
    HERE.recorded.mkdir(parents=True)
    row = {"llm": "echo", "sample": 0, "text": "brought", "asked_at": pd.Timestamp("2026-01-01", tz="UTC"), "asked_with": tables.ELSEWHERE}
    brought = [row | {"query_id": f"q-{at}"} for at in range(15)]
    tables.write(HERE.recorded_answers("echo"), pd.DataFrame(brought, columns=tables.ANSWERS.names), tables.ANSWERS)
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT - 15
    assert (answers()["text"] == "brought").sum() == 15
    more = [row | {"query_id": f"q-{at}", "asked_at": pd.Timestamp("2036-01-01", tz="UTC")} for at in range(20)]
    tables.write(HERE.recorded_answers("echo"), pd.DataFrame(more, columns=tables.ANSWERS.names), tables.ANSWERS)
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT - 15
    assert (answers()["text"] == "brought").sum() == 15


@pytest.mark.usefixtures("project")
def test_budget_is_never_passed(endpoint: Endpoint) -> None:
    """Asking stops before the cap could be passed, keeps what was bought, and names the parameter."""
    change_params(budget_usd=0.0003)
    with pytest.raises(SystemExit, match=r"answer.budget_usd = 0.0003\. .*What was answered is kept"):
        answer.main(["echo"])
    assert 0 < len(answers()) < COUNT
    assert answers()["cost_usd"].sum() <= 0.0003
    assert sum(endpoint.asked.values()) <= 10


@pytest.mark.usefixtures("project")
def test_what_an_llm_is_sent_decides_what_is_asked_again(endpoint: Endpoint) -> None:
    """A new price buys nothing; a new prompt buys everything, and the old answers leave the table."""
    answer.main(["echo"])
    change("price", input=9.0)
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT
    change("prompt", suffix="Briefly.")
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == 2 * COUNT
    assert answers()["query_id"].is_unique
    assert answers()["text"].str.startswith("Briefly."[::-1]).all()


@pytest.mark.usefixtures("project")
def test_a_reverted_change_buys_nothing(endpoint: Endpoint) -> None:
    """Answers to an earlier prompt, and to queries that left the pool for a while, are there again when they are wanted again."""
    answer.main(["echo"])
    first = answers()
    change("prompt", suffix="Briefly.")
    answer.main(["echo"])
    change("prompt", suffix="")
    queries = tables.read(HERE.queries, tables.QUERIES)
    tables.write(HERE.queries, queries.head(10), tables.QUERIES)
    answer.main(["echo"])
    assert len(answers()) == 10
    tables.write(HERE.queries, queries, tables.QUERIES)
    answer.main(["echo"])
    pd.testing.assert_frame_equal(answers(), first)
    change("prompt", suffix="Briefly.")
    answer.main(["echo"])
    assert answers()["text"].str.startswith("Briefly."[::-1]).all()
    assert sum(endpoint.asked.values()) == 2 * COUNT


@pytest.mark.usefixtures("project")
def test_what_was_bought_outlives_its_table(endpoint: Endpoint) -> None:
    """`dvc gc` may take the table of answers: it is made again from what is kept beside, and nobody is asked."""
    answer.main(["echo"])
    first = answers()
    HERE.answers("echo").unlink()
    answer.main(["echo"])
    pd.testing.assert_frame_equal(answers(), first)
    assert sum(endpoint.asked.values()) == COUNT


@pytest.mark.usefixtures("project")
def test_answers_that_an_earlier_version_kept_aside_are_not_bought_again(endpoint: Endpoint) -> None:
    """What lay under the name that versions before used is read, and kept under the present one."""
    answer.main(["echo"])
    HERE.answers("echo").unlink()
    HERE.bought("echo").rename(HERE.superseded("echo"))
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT
    assert HERE.bought("echo").exists()
    assert not HERE.superseded("echo").exists()


@pytest.mark.usefixtures("project")
def test_a_capped_run_takes_the_same_sample(endpoint: Endpoint) -> None:
    """--limit, answer.max_queries and max_training_queries all take the first queries by hash, so that partial recordings overlap."""
    answer.main(["echo", "--limit", "7"])
    first = set(answers()["query_id"])
    change_params(max_queries=12)
    answer.main(["echo"])
    assert len(first) == 7
    assert len(answers()) == 12
    assert first < set(answers()["query_id"])
    llm = pool.load(Path("registry/pool.yaml")).by_id("echo")
    ids = [f"q-{at}" for at in range(COUNT)]
    change_params(max_queries=7)
    queries = pd.DataFrame({"query_id": ids, "dataset": "x", "grader": "exact"})
    assert set(query_selection.missing(HERE, llm, queries, params.load(HERE.params), ())) == first


@pytest.mark.usefixtures("project")
def test_a_deadline_ends_a_run_well(endpoint: Endpoint) -> None:
    """--deadline-minutes is a planned end: exit code 0, the table written."""
    endpoint.delay_s = 0.2
    answer.main(["echo", "--deadline-minutes", "0.02"])
    assert 0 < len(answers()) < COUNT


@pytest.mark.usefixtures("project")
def test_recorded_llms_come_from_files() -> None:
    """A recorded LLM is never asked: its answers come from data/recorded, none where only labels are known, else an error."""
    with pytest.raises(SystemExit, match=r"data/recorded holds neither known\.parquet nor known\.labels\.parquet"):
        answer.main(["known"])
    HERE.recorded.mkdir(parents=True)
    HERE.recorded_labels("known").write_bytes(b"")
    answer.main(["known"])
    assert answers("known").empty
    row = {
        "query_id": "q-1",
        "llm": "known",
        "sample": 0,
        "text": "four",
        "asked_at": pd.Timestamp("2026-01-01", tz="UTC"),
        "asked_with": "?",
    }
    frame = pd.DataFrame([row | {"query_id": query_id} for query_id in ("q-1", "q-2", "not-in-the-pool")], columns=tables.ANSWERS.names)
    tables.write(HERE.recorded_answers("known"), frame, tables.ANSWERS)
    answer.main(["known"])
    assert list(answers("known")["query_id"]) == ["q-1", "q-2"]


def test_recorded_answers_of_an_askable_llm_are_not_bought_again(project: Path, endpoint: Endpoint) -> None:
    """Answers that travel with the data count, where the LLM was asked in just this way."""
    answer.main(["echo", "--limit", "30"])
    HERE.recorded.mkdir(parents=True)
    HERE.answers("echo").rename(HERE.recorded_answers("echo"))
    answer.main(["echo"])
    assert sum(endpoint.asked.values()) == COUNT
    assert len(answers()) == COUNT


@pytest.mark.usefixtures("project")
def test_read_only_output_is_replaced() -> None:
    """DVC makes outputs read-only and links them to its cache: the file is replaced, never written into."""
    answer.main(["echo", "--limit", "5"])
    out = HERE.answers("echo")
    cached = Path("cached.parquet")
    cached.hardlink_to(out)
    out.chmod(0o444)
    before = cached.read_bytes()
    answer.main(["echo"])
    assert len(answers()) == COUNT
    assert cached.read_bytes() == before


@pytest.mark.usefixtures("project")
def test_one_run_an_llm_at_a_time() -> None:
    """Two runs for the same LLM would buy twice: the second is refused."""
    HERE.asking.mkdir(parents=True)
    with FileLock(HERE.asking_lock("echo")), pytest.raises(SystemExit, match="echo is being asked by another run"):
        answer.main(["echo"])


@pytest.mark.usefixtures("project")
def test_unknown_llm_gets_near_ones() -> None:
    """A typing error is answered with the ids that were meant."""
    with pytest.raises(SystemExit, match="echo"):
        answer.main(["ecko"])


def test_asked_with_covers_what_is_sent(project: Path) -> None:
    """The hash changes with text, prompt, decoding, effort and served name, and with nothing else."""
    from dataclasses import replace

    llm = pool.load(project / "registry" / "pool.yaml").by_id("echo")
    same = asked_with(llm, "a")
    assert llm.endpoint is not None
    assert asked_with(replace(llm, price=Price(5, 5), name="Other", id="other"), "a") == same
    moved = replace(llm, endpoint=replace(llm.endpoint, base_url="http://elsewhere/v1"))
    assert asked_with(moved, "a") == same
    others = (
        replace(llm, prompt=Prompt("x")),
        replace(llm, decoding=Decoding(1.0)),
        replace(llm, endpoint=replace(llm.endpoint, served_name="b")),
        replace(llm, effort="high"),
        replace(llm, effort=512),
    )
    hashes = {same, asked_with(llm, "b"), *(asked_with(other, "a") for other in others)}
    assert len(hashes) == 7


def test_journal_forgives_a_torn_line(tmp_path: Path) -> None:
    """A line cut off by a crash is left out and does not swallow the next one; separators inside a text are no line ends."""
    path = tmp_path / "a.jsonl"
    with journal.Journal(path) as kept:
        kept.append({"text": "one\u2028line\x85 still"})
    path.write_text(path.read_text() + '{"text": "to')
    with journal.Journal(path) as kept:
        kept.append({"text": "three"})
    assert [row["text"] for row in journal.rows(path)] == ["one\u2028line\x85 still", "three"]
    assert json.loads(path.read_text().split("\n")[0])["text"].startswith("one")
