"""The harness as a DVC stage: apart from the loop, and made again when what it reads changes."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
STAGE = ROOT / "benchmarks" / "dvc.yaml"


def code() -> list[str]:
    """What the stage reads that is no output of another stage."""
    return [dep for dep in YAML(typ="safe").load(STAGE)["stages"]["scorer"]["deps"] if not dep.startswith("build/")]


@pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # inside dvc
def test_the_loop_does_not_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc repro` goes by without it; asked for by its file, it is what DVC would run, after what it reads."""
    monkeypatch.chdir(tmp_path)
    stages = {"assemble": {"cmd": "echo", "outs": ["build/dataset"]}, "gate": {"cmd": "echo", "outs": ["build/gate.json"]}}
    YAML().dump({"stages": stages}, tmp_path / "dvc.yaml")
    for name in (STAGE, ROOT / "params.yaml", *(ROOT / dep for dep in code())):
        (tmp_path / name.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if name.is_dir() else shutil.copy)(name, tmp_path / name.relative_to(ROOT))
    with Repo.init(no_scm=True) as project:
        assert {stage.addressing for stage in project.reproduce(dry=True)} == {"assemble", "gate"}
        (tmp_path / "build" / "dataset").mkdir(parents=True)
        asked = [stage.addressing for stage in project.reproduce("benchmarks/dvc.yaml", dry=True)]
    assert asked == ["assemble", "benchmarks/dvc.yaml:scorer"]


def test_what_it_reads_is_there() -> None:
    """Each file of code it depends on exists, and not the folder its own lock file lies in."""
    assert [dep for dep in code() if not (ROOT / dep).exists()] == []
    assert "benchmarks" not in code()
