"""What dvc.yaml promises to those who use DVC."""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage) for name, stage in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items()
}
# what decides nothing that a stage writes: errors, where files lie, how they are read, how a download is made (not what: packages.yaml)
PLUMBING = {"errors", "project", "params", "json_files", "journal", "packages", "hub", "asking_progress", "scorer_run"}
PLUMBING |= {"executor", "embedding_work", "vector_cache"}  # nor who does the work, and what was done before
EVALUATE = (
    "import json, yaml; json.dump({'loss': 1 / yaml.safe_load(open('params.yaml'))['train']['groups']}, open('build/headline.json', 'w'))"
)


def run(home: Path, *command: str) -> str:
    """What a command prints there."""
    who = {f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(command, cwd=home, check=True, capture_output=True, text=True, env={**os.environ, **who, "DVC_NO_ANALYTICS": "1"})
    return done.stdout


def test_experiments_can_be_compared(tmp_path: Path) -> None:
    """The metrics of two experiments are both there afterwards, though git ignores build/."""
    stage = STAGES["evaluate"]
    small = {"cmd": f'mkdir -p build && {sys.executable} -c "{EVALUATE}"', "params": ["train.groups"], "metrics": stage["metrics"]}
    YAML().dump({"stages": {"train": small}}, tmp_path / "dvc.yaml")
    YAML().dump({"train": {"groups": 16}}, tmp_path / "params.yaml")
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    dvc = (sys.executable, "-m", "dvc")
    for command in (("git", "init", "-q"), (*dvc, "init", "-q"), ("git", "add", "-A"), ("git", "commit", "-qm", "start")):
        run(tmp_path, *command)
    for groups in (8, 4):
        run(tmp_path, *dvc, "exp", "run", "-q", "-S", f"train.groups={groups}", "-n", f"groups-{groups}")
    shown = {row["Experiment"]: row for row in csv.DictReader(io.StringIO(run(tmp_path, *dvc, "exp", "show", "--csv")))}
    assert {name: float(shown[name]["loss"]) for name in ("groups-8", "groups-4")} == {"groups-8": 0.125, "groups-4": 0.25}


@pytest.mark.parametrize("command", [("repro",), ("exp", "run", "--temp")], ids=" ".join)
def test_a_stage_writes_where_dvc_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """In a copy of a project, and in the workspace of an experiment, nothing is written into the folder that ROUTEMOA_HOME names."""
    old, copy = tmp_path / "old", tmp_path / "copy"
    old.mkdir()
    program = "from pipelines.project import Project, stage_settings; p = Project(stage_settings().home); p.build.mkdir()"
    report = f"{program}; p.training.write_text(str(p.home))"
    stage = {"cmd": f'{sys.executable} -c "{report}"', "params": ["train.groups"], "metrics": [{"build/train.json": {"cache": False}}]}
    YAML().dump({"stages": {"train": stage}}, old / "dvc.yaml")
    YAML().dump({"train": {"groups": 16}}, old / "params.yaml")
    (old / ".env").write_text(f"ROUTEMOA_HOME={old}\n")
    dvc = (sys.executable, "-m", "dvc")
    for line in (("git", "init", "-q"), (*dvc, "init", "-q"), ("git", "add", "-A"), ("git", "commit", "-qm", "start")):
        run(old, *line)
    shutil.copytree(old, copy)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ROUTEMOA_HOME", str(old))
    run(copy, *dvc, *command)
    assert not (old / "build").exists()
    assert (copy / "build" / "train.json").exists() == (command == ("repro",))


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_of_the_folder_it_runs_in(name: str) -> None:
    """A stage asks for `stage_settings`, never for the settings that follow ROUTEMOA_HOME."""
    source = (ROOT / "pipelines" / f"{name}.py").read_text(encoding="utf-8")
    assert len(re.findall(r"\bstage_settings\(\)", source)) == 1
    assert not re.search(r"\bSettings\(\)", source)


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if not stage.get("always_changed")])
def test_a_stage_runs_again_where_its_code_changes(name: str) -> None:
    """Every module of pipelines/ that a stage imports, also through others, is among its deps, and no other is."""
    imported = {"pipelines." + name} | set(grimp.build_graph("pipelines", cache_dir=None).find_upstream_modules("pipelines." + name))
    needed = {module.replace(".", "/") + ".py" for module in imported if module.split(".")[1] not in PLUMBING}
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith("pipelines/")]
    covered = {dep: {path for path in needed if path == dep or path.startswith(dep + "/")} for dep in deps}
    assert len(STAGES[name]["deps"]) == len(set(STAGES[name]["deps"]))
    assert needed - set().union(*covered.values()) == set()
    assert [dep for dep, paths in covered.items() if not paths and dep.endswith(".py")] == []
    assert [dep for dep in STAGES[name]["deps"] if not dep.startswith(("build/", "data")) and not (ROOT / dep).exists()] == []


def test_the_bytecode_of_a_stages_code_is_no_change_of_it() -> None:
    """Stages depend on folders of code: what Python leaves there when somebody imports it makes none of them run again."""
    bytecode, code = "pipelines/graders/__pycache__/number.cpython-311.pyc", "pipelines/graders/number.py"
    assert run(ROOT, sys.executable, "-m", "dvc", "check-ignore", bytecode, code).split() == [bytecode]
