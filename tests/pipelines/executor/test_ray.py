"""The executor on a real Ray cluster of several node processes: results as without it, and nothing lost where a part of it dies.

`.venv/bin/python -m pytest tests/pipelines/executor/test_ray.py`
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipelines import journal, params, tables
from pipelines.errors import PipelineError
from pipelines.executor import door, on_ray
from pipelines.executor.local import LocalExecutor
from pipelines.project import Project
from tests.pipelines.endpoint import Endpoint, running

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
COUNT = 60
WITHIN_S = 240  # a busy machine starts a worker in half a minute


def patiently(start: Callable[..., object], **options: Any) -> None:
    """Ray gives a node's start thirty seconds, whatever else the machine does."""
    for left in (2, 1, 0):
        try:
            start(**options)
        except Exception as exc:
            if "timed out during startup" not in str(exc) or not left:
                raise
        else:
            return


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without places and two machines of one place each; the test of a killed head is the last one."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_worker_niceness", "0")  # 15 by default: on a busy machine they would never come to anything
        environment.setenv("PYTHONPATH", str(ROOT))
        environment.setenv("OMP_NUM_THREADS", "1")
        environment.setenv("ROUTEMOA_EXECUTOR", "ray")
        started = cluster_utils.Cluster()
        patiently(started.add_node, num_cpus=0, include_dashboard=False)
        environment.setenv("RAY_ADDRESS", started.address)
        for _ in range(2):
            patiently(started.add_node, num_cpus=1)
        started.wait_for_nodes()
        try:
            yield started
        finally:
            ray.shutdown()
            started.shutdown()


@pytest.fixture(autouse=True)
def chosen_anew(cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test is a process of its own as far as the executor is concerned."""
    monkeypatch.chdir(tmp_path)
    door.chosen.cache_clear()
    yield
    door.chosen.cache_clear()


class Squares:
    """Squares numbers, and says where; at the numbers in `deadly` its process dies, once for each that has no file in `died` yet."""

    def __init__(self, died: Path, deadly: Sequence[int] = (), *, always: bool = False, slow_s: float = 0.0) -> None:
        self.died, self.deadly, self.always, self.slow_s = died, deadly, always, slow_s

    def __call__(self, items: Sequence[int]) -> Iterator[tuple[int, int]]:
        for place, item in enumerate(items):
            time.sleep(self.slow_s)
            mark = self.died / str(item)
            if item in self.deadly and (self.always or not mark.exists()):
                mark.touch()
                os._exit(1)
            if item < 0:
                raise PipelineError(f"{item} has no square here.", next_step="Take another.")
            yield place, item * item


def squared(work: Squares, items: Sequence[int], size: int = 3) -> list[tuple[int, int]]:
    return sorted(door.chosen().map(work, items, size=size))


def test_every_item_once_whatever_dies(tmp_path: Path) -> None:
    """A worker that dies loses nothing but its shards, which others do again; one that kills every worker is named; errors arrive whole."""
    items = list(range(20))
    expected = sorted(LocalExecutor().map(Squares(tmp_path), items, size=3))
    assert squared(Squares(tmp_path), items) == expected
    assert squared(Squares(tmp_path, deadly=(4, 5, 17)), items) == expected
    assert squared(Squares(tmp_path), []) == []
    with pytest.raises(PipelineError, match=r"shard 1 lost its Ray worker 3 times.*ray logs"):
        squared(Squares(tmp_path, deadly=(4,), always=True), items)
    with pytest.raises(PipelineError, match=r"-1 has no square here\. Take another\.") as refused:
        squared(Squares(tmp_path), [1, -1])
    assert refused.value.next_step == "Take another."


def test_a_cluster_is_taken_where_it_is_named_alone(cluster: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Whose cluster runs on this machine is not asked: keys and texts go to one that RAY_ADDRESS names, or to one of our own."""
    ray.shutdown()
    assert on_ray.connected().get_runtime_context().gcs_address == cluster.address
    assert f"Works on the Ray cluster at RAY_ADDRESS={cluster.address}, {cluster.address}: 3 machines, 2 CPUs." in capfd.readouterr().err
    program = "from pipelines.executor.on_ray import connected; print(connected().get_runtime_context().gcs_address)"
    own = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "RAY_ADDRESS": ""}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert own.stdout.strip() not in {"", cluster.address}
    assert f"Works on a Ray cluster of its own (RAY_ADDRESS names none), {own.stdout.strip()}: 1 machine, " in own.stderr


def test_a_machine_that_dies_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    """Its shards are done on the other one."""
    items, seen = list(range(40)), 0
    for _ in door.chosen().map(Squares(tmp_path, slow_s=0.1), items, size=2):
        seen += 1
        if seen == 10:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            patiently(cluster.add_node, num_cpus=1)
    assert seen == len(items)


def test_embeddings_are_the_same_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both encoders, the one that training sees and the one that is served: shards cut between batches, never through one."""
    from pipelines import embeddings
    from tests.pipelines import trained_home as homes
    from tests.scorer import world

    homes.write_encoder(tmp_path / "encoder")
    homes.write_params(tmp_path, encoder=str(tmp_path / "encoder"))
    settings = params.load(Project(tmp_path).params).train
    encoder = embeddings.load_encoder(settings)
    texts = world.world(300, seed=4).texts
    served = embeddings.int8_encoder(encoder, embeddings.exported(encoder, tmp_path / "exported"))

    def both(cache: str) -> tuple[np.ndarray, np.ndarray]:
        return embeddings.trained_on(encoder, texts, tmp_path / cache), embeddings.served(served, texts, tmp_path / cache)

    spread = both("spread")
    monkeypatch.setenv("ROUTEMOA_EXECUTOR", "local")
    door.chosen.cache_clear()
    for far, here in zip(spread, both("here"), strict=True):
        np.testing.assert_array_equal(far, here)


def test_grades_intervals_and_folds_are_the_same_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is graded, resampled and cross-fitted elsewhere is what this process would have made."""
    from pipelines import comparison, train
    from pipelines.graders.kinds import Task
    from pipelines.graders.query import Query
    from pipelines.graders.workers import grade_all
    from pipelines.sweep import Trials
    from scorer import choosing
    from scorer.initialisation import Embedded, Shrinkage
    from tests.scorer import world

    settings = params.load(ROOT / "params.yaml").train
    trials = [settings.model_copy(update={"epochs": epochs, "tags": False, "groups": 4, "dims": 16}) for epochs in (1, 2)]
    tasks = [Task(Query(f"q{at}", "how many?", "number", reference=str(at % 3)), f"There are {at % 5}.", 5.0) for at in range(90)]
    values = [np.random.default_rng(seed).normal(size=50) for seed in range(20)]
    made = world.world(300, seed=1)
    training = Embedded(made.queries_QD, made.labels_QL)
    sweeping = Trials(tuple(world.ROSTER), training, Embedded(made.queries_QD[:100], made.labels_QL[:100]), made.queries_QD.shape[1])

    def all_of_it() -> tuple[Any, ...]:
        tried = choosing.choose(training, made.queries_QD.shape[1], choosing.Wanted(), Shrinkage(groups=4, dims=16), 0, spread=train.spread)
        swept = sorted((at, trial.loss, trial.quality_V.tobytes()) for at, trial in door.chosen().map(sweeping, trials, size=1))
        return grade_all(tasks), comparison.intervals(values, resamples=200), tried, swept

    spread = all_of_it()
    monkeypatch.setenv("ROUTEMOA_EXECUTOR", "local")
    door.chosen.cache_clear()
    assert spread == all_of_it()


def write_project(home: Path, url: str, **answering: Any) -> Project:
    """A project with COUNT queries and one LLM at `url`."""
    (home / "registry").mkdir(parents=True)
    loaded = YAML(typ="safe").load(ROOT / "params.yaml")
    loaded["answer"] |= answering
    YAML().dump(loaded, home / "params.yaml")
    entry = {
        "name": "Echo",
        "status": "active",
        "endpoint": {"base_url": url, "served_name": "echo", "api_key_env": "ECHO_KEY"},
        "price": {"input": 1.0, "output": 2.0},
        "prompt": {"system": "", "suffix": ""},
        "decoding": {"temperature": 0.0, "max_tokens": 10, "seed": 0},
        "limits": {"concurrency": 4, "connect_s": 30, "first_token_s": 30, "between_chunks_s": 30, "total_s": 60},
    }
    YAML().dump({"llms": {"echo": entry}}, home / "registry" / "pool.yaml")
    rows = [
        dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": f"q-{at}", "text": f"question {at}", "choices": []} for at in range(COUNT)
    ]
    tables.write(Project(home).queries, pd.DataFrame(rows), tables.QUERIES)
    return Project(home)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running() as served:
        yield served


def start(home: Path, **environment: str) -> subprocess.Popen[str]:
    """The stage as DVC starts it."""
    command = [sys.executable, "-m", "pipelines.answer", "echo"]
    merged = {**os.environ, "ECHO_KEY": "secret", "ROUTEMOA_HOME": str(home), **environment}
    return subprocess.Popen(command, cwd=home, env=merged, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_answers(project: Project, count: int) -> None:
    until = time.monotonic() + WITHIN_S
    while len(journal.rows(project.journal("echo"))) < count:
        if time.monotonic() > until:
            pytest.fail(f"no {count} answers within {WITHIN_S} s")
        time.sleep(0.05)


def callers() -> list[int]:
    """Process ids of the workers that ask."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "ray::Caller" in line]


def answers(project: Project) -> pd.DataFrame:
    return tables.read(project.answers("echo"), tables.ANSWERS)


def test_answers_are_the_same_and_a_lost_worker_asks_nothing_twice(tmp_path: Path, endpoint: Endpoint) -> None:
    """No more calls at once than the LLM allows, the budget is this process's, and a killed worker costs what was on its way alone."""
    here = write_project(tmp_path / "here", endpoint.url)
    assert start(here.home, ROUTEMOA_EXECUTOR="local").wait(WITHIN_S) == 0
    assert set(endpoint.asked.values()) == {1}
    endpoint.asked.clear()
    endpoint.most_at_once, endpoint.delay_s = 0, 0.2
    spread = write_project(tmp_path / "spread", endpoint.url)
    run = start(spread.home)
    wait_for_answers(spread, 10)
    killed = callers()[0]
    before = {row["query_id"] for row in journal.rows(spread.journal("echo"))}
    os.kill(killed, signal.SIGKILL)
    said, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 0, said
    same = ["query_id", "text", "finish_reason", "input_tokens", "output_tokens", "cost_usd", "mean_logprob", "error", "asked_with"]
    pd.testing.assert_frame_equal(answers(spread)[same], answers(here)[same])
    assert endpoint.most_at_once <= 4 + 4  # a killed worker's calls run on at the endpoint
    assert all(endpoint.asked[f"question {query_id[2:]}"] == 1 for query_id in before)
    assert sum(endpoint.asked.values()) <= COUNT + 4
    assert "echo: 60 of 60" in said


def test_the_budget_holds_across_workers(tmp_path: Path, endpoint: Endpoint) -> None:
    """As in one process: asking stops before the cap could be passed."""
    project = write_project(tmp_path / "capped", endpoint.url, budget_usd=0.001)
    run = start(project.home)
    said, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 1
    assert "answer.budget_usd = 0.001" in said
    assert 0 < answers(project)["cost_usd"].sum() <= 0.001


def test_a_killed_head_loses_nothing_bought(cluster: Any, tmp_path: Path, endpoint: Endpoint) -> None:
    """The run ends, and the next one, on whatever engine, asks the rest alone."""
    endpoint.delay_s = 0.3
    project = write_project(tmp_path / "headless", endpoint.url)
    run = start(project.home)
    drained = threading.Thread(target=run.communicate, daemon=True)
    drained.start()
    wait_for_answers(project, 10)
    bought = {row["query_id"] for row in journal.rows(project.journal("echo"))}
    ray.shutdown()  # Ray ends a process whose head is gone, and this one runs the tests
    cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
    run.kill()
    drained.join(WITHIN_S)
    bought |= {row["query_id"] for row in journal.rows(project.journal("echo"))}
    assert start(project.home, ROUTEMOA_EXECUTOR="local").wait(WITHIN_S) == 0
    assert len(answers(project)) == COUNT
    assert answers(project)["error"].isna().all()
    assert all(endpoint.asked[f"question {query_id[2:]}"] == 1 for query_id in bought)
    assert sum(endpoint.asked.values()) <= COUNT + 4
