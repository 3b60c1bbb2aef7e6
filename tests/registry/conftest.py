"""On the session's real MLflow server, each test has a registered model, a home and a pool of its own."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from registry import versions
from registry.lineage import Lineage
from registry.mlflow_runs import RunContent, RunInput
from registry.settings import Settings
from registry.version import Version
from registry.versions import Record
from tests.mlflow_server import MLflow
from tests.scorer import tiny as tiny_scorers

ROSTER = ("a", "b", "c")
POOL = "llms:\n" + "".join(
    f"  {llm}:\n    name: The LLM {llm}\n    endpoint: null\n    price: {{input: 0.1, output: 0.2}}\n" for llm in (*ROSTER, "unheard")
)
LINEAGE = Lineage(query_pool_md5="d" * 32 + ".dir", dataset_md5="e" * 32 + ".dir", pool_hash="f" * 64, git_commit="1" * 40, git_dirty=False)
METRICS = {"test.ours.quality": 0.71, "test.ours.quality.low": 0.66, "test.ours.quality.high": 0.76, "test.random.quality": 0.5}
TRAIN = {"encoder": "tiny", "seconds": 1.5, "history": [{"loss": 1.0}, {"loss": 0.5}]}


@pytest.fixture
def settings(mlflow: MLflow, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A project whose registered model is this test's."""
    home = tmp_path / "home"
    (home / "registry").mkdir(parents=True)
    (home / "registry" / "pool.yaml").write_text(POOL)
    (home / "var").mkdir()
    return Settings(_env_file=None, home=home, mlflow_url=mlflow.url, scorer_name=re.sub(r"\W+", "-", request.node.name))


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """tests/scorer/tiny.py: real artifacts of a random two-layer encoder."""
    return tiny_scorers


@pytest.fixture
def register(settings: Settings, tiny: ModuleType, tmp_path: Path) -> Callable[..., Version]:
    """Registers a tiny scorer: another seed, another version."""

    def make(seed: int = 0, roster: tuple[str, ...] = ROSTER, *, run_id: str | None = None, reason: str = "") -> Version:
        folder = tmp_path / f"scorer-{seed}-{'-'.join(roster)}"
        if not folder.exists():
            tiny.tiny_artifact(folder, seed=seed, roster=roster)
        evaluation = tmp_path / "evaluation"
        evaluation.mkdir(exist_ok=True)
        (evaluation / "baselines.csv").write_text("policy,quality\nours,0.71\n")
        content = RunContent(
            inputs=[RunInput("queries-train", "build/dataset", "d" * 8, columns={"text": "string"}, profile={"queries": 3})],
            tables={"answers": {"question": ["2 + 2?"], "answer": ["4"]}},
            files={"project": [settings.pool_file]},
        )
        record = Record(run_id=run_id, reason=reason, content=content, validation={"warnings": 2, "failures": 0})
        params = {"train": {"seed": seed}}
        return versions.register(folder, evaluation, METRICS, TRAIN, LINEAGE, params=params, record=lambda *_: record, settings=settings)

    return make
