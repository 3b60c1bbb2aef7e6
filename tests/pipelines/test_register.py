"""The stages `register` and `gate` in a project of their own, against a real MLflow server."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from mlflow import MlflowClient

from pipelines import assemble, dataset, gate, register, scorer_run, tables
from pipelines.dataset import RosterLLM
from pipelines.errors import PipelineError
from pipelines.project import Project
from registry import mlflow_runs, promotion, versions
from registry.mlflow_door import Door
from registry.run_state import Runs
from registry.settings import Settings
from registry.version import Version
from tests.mlflow_server import MLflow, running
from tests.scorer import tiny as tiny_scorers

ROOT = Path(__file__).parents[2]
LLMS = ("a", "b", "c")
POOL = "llms:\n" + "".join(f"  {llm}: {{name: {llm.upper()}, endpoint: null, price: {{input: 0.1, output: 0.2}}}}\n" for llm in LLMS)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflow]:
    """The server."""
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    """tests/scorer/tiny.py."""
    return tiny_scorers


@pytest.fixture
def project(tmp_path: Path, mlflow: MLflow, tiny: ModuleType, request: pytest.FixtureRequest) -> Settings:
    """What `dvc repro evaluate` leaves: dataset, scorer, metrics; under git, its data under DVC."""
    home = tmp_path / "project"
    (home / "registry").mkdir(parents=True)
    (home / "registry" / "pool.yaml").write_text(POOL)
    shutil.copy(ROOT / "params.yaml", home / "params.yaml")
    (home / "data.dvc").write_text("outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: data\n")
    (home / "dvc.lock").write_text("stages:\n  assemble:\n    outs:\n    - path: build/dataset\n      md5: fedcba98.dir\n")
    write_dataset(home / "build" / "dataset")
    tiny.tiny_artifact(home / "build" / "scorer", roster=LLMS)
    (home / "build" / "evaluation").mkdir()
    (home / "build" / "metrics.json").write_text('{"test.ours.quality": 0.7, "test.random.quality": 0.5}')
    (home / "build" / "train.json").write_text('{"loss": 0.4}')
    (home / ".gitignore").write_text("/build/\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=home, check=True)
    return Settings(_env_file=None, home=home, mlflow_url=mlflow.url, scorer_name=request.node.name)


def write_dataset(folder: Path, queries: int = 120) -> None:
    """A dataset that `pipelines.dataset.load` reads: LLM b answers everything, a and c answer half."""
    folder.mkdir(parents=True)
    ids = [f"q{i:03}" for i in range(queries)]
    columns = {"dataset": "d", "domain": "maths", "language": "en", "reference": "1", "grader": "exact", "source": "s", "licence": "MIT"}
    table = pd.DataFrame({"query_id": ids, "text": [f"what is {i} + {i} ?" for i in range(queries)], "choices": [[]] * queries, **columns})
    labels = [
        {"query_id": name, "llm": llm, "score": 1.0 if llm == "b" else float(i % 2), "grader": "exact", "grader_version": "1"}
        for i, name in enumerate(ids)
        for llm in LLMS
    ]
    assembled = assemble.Assembled(
        queries=table,
        labels=pd.DataFrame(labels).assign(weight=1.0),
        answers=pd.DataFrame(columns=dataset.ANSWERS_META.names),
        splits=pd.DataFrame({"query_id": ids, "split": ["validation" if i % 4 else "train" for i in range(queries)]}),
        roster=tuple(RosterLLM(llm, llm.upper(), "active", 0.1, 0.2) for llm in LLMS),
        unlabelled=(),
    )
    assemble.write(assembled, folder)


def test_register_traces_the_version(project: Settings) -> None:
    """The version names data, dataset, pool and commit; registered.json says which it is; again gives the same."""
    version = register.register(project)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project.home, capture_output=True, text=True, check=True).stdout.strip()
    assert version.tags["query_pool_md5"] == "0123456789abcdef0123456789abcdef.dir"
    assert version.tags["dataset_md5"] == "fedcba98.dir"
    assert (version.tags["git_commit"], version.tags["git_dirty"]) == (commit, "false")
    written = json.loads((project.home / "build" / "registered.json").read_text())
    assert written["version"] == version.version == "1"
    assert written["roster"] == list(LLMS)
    assert register.register(project).version == "1"
    assert "| **this scorer** | 0.700 |" in version.description


def test_a_run_is_begun_by_train_and_ended_by_gate(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run: of the job that asked for it, with what restores its state, its datasets and what the newcomers answered, and the gate."""
    parent = Runs(project.mlflow_url).begin("retrain", {})
    monkeypatch.setenv(scorer_run.PARENT, parent)
    with scorer_run.training(project) as made:
        made("x")
    write_answers(project)
    (project.home / "build" / "train.json").write_text('{"loss": 0.4, "content_hash": "x"}')
    (project.home / "build" / "validation").mkdir()
    (project.home / "build" / "validation" / "report.json").write_text('{"warnings": 2, "critical": 0}')
    version = register.register(project)
    gate.decide(project)
    client = MlflowClient(tracking_uri=project.mlflow_url)
    run = client.get_run(version.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert (run.info.run_name, run.info.status) == ("scorer 1: the first scorer", "FINISHED")
    assert run.data.metrics["gate/queries"] == 90
    assert len(run.data.metrics) <= 40
    assert {file.path for file in client.list_artifacts(version.run_id, "project")} == {
        f"project/{name}" for name in ("pool.yaml", "params.yaml", "dvc.lock", "data.dvc")
    }
    contexts = {one.dataset.name: {tag.key: tag.value for tag in one.tags}["mlflow.data.context"] for one in run.inputs.dataset_inputs}
    assert contexts == {"queries-train": "training", "queries-validation": "validation", "queries-test": "test"}
    (validation,) = (one.dataset for one in run.inputs.dataset_inputs if one.dataset.name == "queries-validation")
    assert json.loads(validation.profile)["queries by domain"] == {"maths": 90}
    assert {"name": "b", "type": "double", "required": False} in json.loads(validation.schema)["mlflow_colspec"]
    answers = table(project, version, "newcomers_answers")
    assert set(answers["LLM"]) == set(LLMS)
    assert {(row["answer"], row["score"]) for row in answers.to_dict("records") if row["LLM"] == "b"} == {("It is 4.", 1.0)}
    domains = table(project, version, "gate/domains")
    assert domains["domain (queries)"].tolist() == ["maths (90)"]
    version = versions.find("1", settings=project)
    assert version.tags["validation.warnings"] == "2"
    assert "2 warnings, 0 failures" in version.description
    assert f"get-artifact?path=gate%2Fdomains.png&run_uuid={version.run_id}" in version.description


def write_answers(project: Settings) -> None:
    """What b answered, in the table of its answers."""
    columns = dict.fromkeys(tables.ANSWERS.names) | {"llm": "b", "sample": 0, "text": "It is 4.", "output_tokens": 5}
    for llm in LLMS:
        rows = [columns | {"llm": llm, "query_id": f"q{i:03}"} for i in range(120)]
        path = Project(project.home).answers(llm)
        path.parent.mkdir(exist_ok=True)
        tables.write(path, pd.DataFrame(rows).astype({"input_tokens": "Int64"}), tables.ANSWERS)


def table(project: Settings, version: Version, name: str) -> pd.DataFrame:
    """A table of the version's run."""
    into = project.var / "tables" / name
    kept = json.loads(mlflow_runs.download(project.mlflow_url, f"runs:/{version.run_id}/{name}.json", into).read_text())
    return pd.DataFrame(kept["data"], columns=kept["columns"])


@pytest.mark.parametrize(("raised", "status"), [(PipelineError("too few labels"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_training_that_fails_leaves_a_run(project: Settings, raised: BaseException, status: str) -> None:
    """With its reason, and no scorer's run to go on with."""

    def fail() -> None:
        with scorer_run.training(project):
            raise raised

    with pytest.raises(type(raised)):
        fail()
    client = MlflowClient(tracking_uri=project.mlflow_url)
    experiment = client.get_experiment_by_name("routemoa")
    assert experiment is not None
    (run, *_) = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert (run.info.run_name, run.info.status) == ("training: by hand", status)
    assert run.data.tags["mlflow.note.content"] == ("train: too few labels" if status == "FAILED" else "train: stopped")
    assert scorer_run.begun(project) is None


def test_a_gate_that_fails_is_told_in_its_run(project: Settings) -> None:
    """A gate that cannot judge ends its version's run as failed; one that says no is a finding, and ends it well."""
    version = register.register(project)
    with pytest.raises(PipelineError), scorer_run.noting_failure(project, "gate"):
        raise PipelineError("no validation query")
    client = MlflowClient(tracking_uri=project.mlflow_url)
    assert client.get_run(version.run_id).info.status == "FAILED"
    assert client.get_run(version.run_id).data.tags["mlflow.note.content"] == "gate: no validation query"
    result, _, _ = gate.decide(project)
    run = client.get_run(version.run_id)
    assert (run.info.status, run.data.tags["gate"]) == ("FINISHED", "passed" if result.passed else "failed")


def test_a_scorer_is_trained_where_mlflow_is_not(project: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no run of it then, and that is said."""
    nowhere = project.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    with scorer_run.training(nowhere) as made:
        made("x")
    assert "No run is kept of this training: MLflow at http://127.0.0.1:9 does not answer." in capsys.readouterr().out
    assert not Project(project.home).scorer_run.exists()


def test_uncommitted_code_is_said(project: Settings, tiny: ModuleType) -> None:
    """A version made from changed files says that its commit does not tell everything; a changed dvc.lock alone is no change."""
    (project.home / "dvc.lock").write_text("stages: {}\n")
    assert register.register(project).tags["git_dirty"] == "false"
    (project.home / "params.yaml").write_text((project.home / "params.yaml").read_text() + "# changed\n")
    train_again(project, tiny)
    assert register.register(project).tags["git_dirty"] == "true"


def train_again(project: Settings, tiny: ModuleType) -> None:
    """Another scorer in place of the first."""
    shutil.rmtree(project.home / "build" / "scorer")
    tiny.tiny_artifact(project.home / "build" / "scorer", seed=1, roster=LLMS)


def test_the_first_scorer_meets_the_gate(project: Settings) -> None:
    """Without a champion the gate holds it against the best single LLM, in MLflow and in gate.json alike."""
    register.register(project)
    result, challenger, champion = gate.decide(project)
    assert champion is None
    assert result.reasons[0].startswith("No champion yet. Against always asking b")
    assert challenger.reasons == result.reasons
    assert challenger.gate == ("passed" if result.passed else "failed")
    assert json.loads((project.home / "build" / "gate.json").read_text())["passed"] is result.passed
    assert result.reasons[0] in challenger.description
    certificate = json.loads((project.home / "build" / "gate.json").read_text())["certificate"]
    assert certificate["sentence"] in challenger.description
    assert (
        challenger.tags["certificate"]
        == certificate["sentence"]
        == "Not certifiable: no held-out query is labelled for every LLM that may be chosen."
    )
    assert register.register(project).description == versions.find("1", settings=project).description
    assert certificate["sentence"] in versions.find("1", settings=project).description


def test_a_challenger_is_compared_with_the_champions_own_files(project: Settings, tiny: ModuleType) -> None:
    """The champion is downloaded and scores the same validation queries; the paired difference is in the reasons.

    That somebody deleted its alias makes no newcomer the first: servers still have it.
    """
    register.register(project)
    promotion.promote("1", override="the first", settings=project)
    Door.of(project).delete_alias("champion")
    train_again(project, tiny)
    assert register.register(project).version == "2"
    result, _, champion = gate.decide(project)
    assert champion is not None
    assert champion.version == "1"
    assert result.figures["queries"] == 90
    assert result.reasons[0].startswith("Overall: realised quality")
    assert {"overall.low", "ece", "int8.agreement", "decision_ms"} <= set(result.figures)


def test_a_champion_of_another_schema_does_not_stop_the_gate(project: Settings, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade that no longer reads the champion, a new version is judged against the best single LLM, and the reasons say so."""
    register.register(project)
    promotion.promote("1", override="the first", settings=project)
    train_again(project, tiny)
    register.register(project)

    def without_probes(version: Version, folder: Path, *, settings: Settings) -> Path:
        downloaded = download(version, folder, settings=settings)
        (downloaded / "probes.json").unlink()
        return downloaded

    download = versions.download
    monkeypatch.setattr(versions, "download", without_probes)
    result, _, champion = gate.decide(project)
    assert champion is not None
    assert result.reasons[0].startswith("Champion 1 cannot be read")
    assert "probes.json" in result.reasons[0]
    assert "Against always asking b" in result.reasons[1]


def test_the_champion_itself_passes(project: Settings) -> None:
    """Nothing new was trained: the gate says that the version serves already."""
    register.register(project)
    promotion.promote("1", override="the first", settings=project)
    result, _, _ = gate.decide(project)
    assert result.passed
    assert "is the champion already" in result.reasons[0]


def test_a_missing_stage_is_named(project: Settings) -> None:
    """Registering before evaluating says which stage to run."""
    (project.home / "build" / "metrics.json").unlink()
    with pytest.raises(PipelineError, match=r"metrics.json.*dvc repro evaluate"):
        register.register(project)


def test_the_command_says_where_to_look(project: Settings) -> None:
    """`python -m pipelines.register` prints the version's page; without MLflow it ends with one line and exit code 1."""
    environment = {**os.environ, "ROUTEMOA_HOME": str(project.home), "ROUTEMOA_SCORER_NAME": project.scorer_name}
    command = [sys.executable, "-m", "pipelines.register"]
    for url, code in ((project.mlflow_url, 0), ("http://127.0.0.1:9", 1)):
        done = subprocess.run(
            command, env={**environment, "ROUTEMOA_MLFLOW_URL": url}, cwd=project.home, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert f"{url}/#/models/" in done.stdout if code == 0 else "http://127.0.0.1:9 does not answer" in done.stderr
        assert "Traceback" not in done.stderr
