"""`routemoa list`, `show`, `promote` and `rollback` on a real MLflow server."""

import re
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry import versions
from registry.errors import PromotionRefused, RegistryUnreachable, VersionUnknown
from registry.settings import Settings
from tests.cli.command_line import output, refusal
from tests.mlflow_server import MLflow
from tests.registry.conftest import LINEAGE, METRICS, POOL, TRAIN
from tests.scorer.tiny import tiny_artifact


@pytest.fixture
def settings(home: Path, mlflow: MLflow, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Settings:
    """The project's own registered model on the session's server, as its `.env` names them."""
    name = re.sub(r"\W+", "-", request.node.name)
    (home / "registry" / "pool.yaml").write_text(POOL)
    (home / ".env").write_text(f"ROUTEMOA_MLFLOW_URL={mlflow.url}\nROUTEMOA_SCORER_NAME={name}\n")
    return Settings(_env_file=home / ".env", home=home)


def register(settings: Settings, folder: Path, seed: int) -> str:
    """Another seed, another version; returns its number."""
    evaluation = folder / "evaluation"
    evaluation.mkdir(exist_ok=True)
    scorer = tiny_artifact(folder / f"scorer-{seed}", seed=seed)
    return versions.register(scorer, evaluation, METRICS, TRAIN, LINEAGE, settings=settings).version


def test_the_life_of_a_version_by_command_line(settings: Settings, tmp_path: Path) -> None:
    """None yet; two registered; promoted by number and by alias with a reason; rolled back; each step printed and true in MLflow."""
    assert "No scorer version yet" in output("list")
    first, second = register(settings, tmp_path, 1), register(settings, tmp_path, 2)
    listed = output("list", width=80)
    rows = [line.split() for line in listed.splitlines() if "not run" in line]
    assert [row[0] for row in rows] == [second, first]
    assert rows[0][1:5] == ["challenger", "not", "run", "3"]
    assert "3: a, b, c" in listed
    assert "No version is champion: servers stay with what they last had." in listed
    assert max(map(len, listed.splitlines()[1:-1])) <= 80

    assert f"Scorer version {first} is champion." in output("promote", first, "--override", "the first one")
    assert f"Scorer version {second} is champion." in output("promote", "challenger", "--override", "a test")
    assert versions.find("champion", settings=settings).version == second
    assert versions.find("previous", settings=settings).version == first
    listed = output("list", width=80)
    assert [line.split()[1] for line in listed.splitlines() if "not run" in line] == ["champion", "previous"]
    assert "No version is champion" not in listed
    assert f"Scorer version {first} is champion again. No champion was before it." in output("rollback")
    assert versions.find("champion", settings=settings).version == first

    shown = output("show")
    assert f"Scorer version {first} champion" in shown
    assert "the first one" in shown
    assert f"{settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{first}" in shown


def test_odd_aliases_are_explained(settings: Settings, tmp_path: Path) -> None:
    """One in another case counts, one that only resembles ours does nothing, anybody's own is nobody's business."""
    number = register(settings, tmp_path, 1)
    client = MlflowClient(tracking_uri=settings.mlflow_url)
    for alias in ("Champion", "champoin", "blue"):
        client.set_registered_model_alias(settings.scorer_name, alias, number)
    remarks = output("list").splitlines()[-2:]
    assert remarks == [
        f"`Champion` on version {number} counts as `champion`; `registry.sync` writes it so.",
        f"`champoin` on version {number} does nothing. Did you mean `champion`?",
    ]


def test_what_cannot_be_promoted_says_why_and_how(settings: Settings, tmp_path: Path) -> None:
    """Without a gate the command to override is named; an unknown version, alias or earlier champion points to `routemoa list`."""
    assert "No scorer version is challenger" in str(refusal(VersionUnknown, "promote", "challenger"))
    number = register(settings, tmp_path, 1)
    refused = refusal(PromotionRefused, "promote", number)
    assert "its gate was not run" in refused.what
    assert f"routemoa promote {number} --override REASON" in refused.next_step
    for arguments in (("promote", "99"), ("promote", "latest"), ("show", "99"), ("show",), ("rollback",)):
        assert "`routemoa list`" in refusal(VersionUnknown, *arguments).next_step
    assert not versions.find(number, settings=settings).tags.get("override")


@pytest.mark.parametrize("arguments", [("list",), ("show",), ("promote", "1"), ("rollback",)], ids=" ".join)
def test_a_server_that_is_down_is_named(home: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address, and the commands that start one."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("ROUTEMOA_MLFLOW_URL", url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    error = refusal(RegistryUnreachable, *arguments)
    assert error.what == f"MLflow at {url} does not answer."
    assert "routemoa up" in error.next_step
