"""What dvc.yaml promises to those who use DVC."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TRAIN = "import json, yaml; json.dump({'loss': 1 / yaml.safe_load(open('params.yaml'))['train']['groups']}, open('build/train.json', 'w'))"


def run(home: Path, *command: str) -> str:
    """What a command prints there."""
    who = {f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(command, cwd=home, check=True, capture_output=True, text=True, env={**os.environ, **who, "DVC_NO_ANALYTICS": "1"})
    return done.stdout


def test_experiments_can_be_compared(tmp_path: Path) -> None:
    """The metrics of two experiments are both there afterwards, though git ignores build/."""
    stage = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["train"]
    small = {"cmd": f'mkdir -p build && {sys.executable} -c "{TRAIN}"', "params": ["train.groups"], "metrics": stage["metrics"]}
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
