"""Trying settings on validation queries."""

from pathlib import Path

import numpy as np
import pytest

from pipelines import params, sweep
from pipelines.errors import ParamsRefused
from pipelines.project import Project
from scorer import metrics
from tests.pipelines import trained_home as homes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an assembled dataset and an encoder, nothing trained."""
    folder = tmp_path_factory.mktemp("sweep")
    homes.write_dataset(folder / "build" / "dataset", queries=300)
    homes.write_encoder(folder / "encoder")
    homes.write_params(folder, encoder=str(folder / "encoder"))
    return folder


def test_every_combination_is_tried_beside_todays(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The table begins with params.yaml, which stays as it is; no scorer is written; a setting that learns nothing comes last."""
    monkeypatch.chdir(home)
    before = (home / "params.yaml").read_bytes()
    sweep.main(["train.epochs=1,3", "trust=false"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| as in params.yaml |")
    assert {line.split("|")[1].strip() for line in lines[3:5]} == {"epochs 1, trust False", "epochs 3, trust False"}
    assert (home / "params.yaml").read_bytes() == before
    assert not (home / "build" / "scorer").exists()


def test_the_same_settings_reach_the_same(home: Path) -> None:
    """A trial by params.yaml's own value is params.yaml's trial, to the bit."""
    seed = params.load(Project(home).params).train.seed
    (_, now), (_, same) = sweep.sweep(Project(home), {"seed": [seed]})
    np.testing.assert_array_equal(now.quality_V, same.quality_V)
    assert now.loss == same.loss
    assert metrics.mean(now.quality_V) > 0.5


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("weight_decoy=1", r"train\.weight_decoy cannot be swept\. Did you mean weight_decay"),
        ("encoder=other", r"train\.encoder cannot be swept"),
        ("epochs=-1", "epochs"),
        ("epochs", "names no values"),
    ],
)
def test_what_cannot_be_swept_is_said(home: Path, monkeypatch: pytest.MonkeyPatch, argument: str, reason: str) -> None:
    """Before anything is embedded or trained."""
    monkeypatch.chdir(home)
    with pytest.raises(SystemExit, match=reason):
        sweep.main([argument])
    with pytest.raises(ParamsRefused):
        sweep.sweep(Project(home), sweep.parsed([argument]))
