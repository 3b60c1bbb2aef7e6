"""A copy of this checkout as a git and DVC repository of its own, with a few queries, for tests of what people do with such projects."""

import os
import subprocess
import sys
from pathlib import Path

from local import workspace
from pipelines import query_pool, tables
from pipelines.project import Project

ROOT = Path(__file__).parents[2]
WHO = {f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def environment(home: Path) -> dict[str, str]:
    """Commands of this environment first on PATH, code and project those of `home`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": path, "PYTHONPATH": str(home), "ROUTEMOA_HOME": str(home), "DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **WHO, **ours}


def run(home: Path, *command: str) -> str:
    """What a command prints there. Raises CalledProcessError, with its output, where it fails."""
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, env=environment(home), check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, f"{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def make(home: Path, *, llms: str = "") -> Path:
    """The project, with two queries of its own and, in its pool, `llms`: YAML, as a person writes it."""
    workspace.make(ROOT, home)
    (home / "registry" / "pool.yaml").write_text(f"llms:\n{llms}" if llms else "llms: {}\n")
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"choices": [], "reference": "2", "grader": "number", "source": "a package"}
    rows = [row | {"query_id": f"q-{n}", "text": f"What is {n} - 1?"} for n in (1, 2)]
    query_pool.write(rows, Project(home).queries)
    query_pool.write_pin(Project(home), rows)
    run(home, "dvc", "add", "-q", "data")
    run(home, "git", "add", "-A")
    run(home, "git", "commit", "-qm", "start")
    return home
