"""Operations of people in a project, as shell scripts: run in a copy of this checkout, with an endpoint that answers."""

import re
import subprocess
import tempfile
from pathlib import Path

from tests.pipelines import real_project
from tests.pipelines.endpoint import running

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]+/v1")
MARKERS = ("<<<<<<<", "=======", ">>>>>>>")
KNOWN = "  known:\n    name: Known\n    endpoint: null\n    price: {input: 1, output: 1}\n"


def operated(script: Path) -> str:
    """What goes wrong in the operations of `script`; "" where its last command succeeds, "keep both" having settled every conflict."""
    with tempfile.TemporaryDirectory() as folder, running() as endpoint:
        home = real_project.make(Path(folder) / "home", llms=KNOWN)
        for command in _commands(ADDRESS.sub(endpoint.url, script.read_text(encoding="utf-8"))):
            done = subprocess.run(
                ["bash", "-c", command], cwd=home, capture_output=True, text=True, env=real_project.environment(home), check=False
            )
            _keep_both(home)
            if done.returncode and not command.startswith("git merge"):
                return f"{command.splitlines()[0]}: {(done.stdout + done.stderr).strip()[-400:]}"
    return ""


def _commands(text: str) -> list[str]:
    """The script's commands, a here-document with its own."""
    commands: list[str] = []
    until = None
    for line in text.splitlines():
        if until is not None:
            commands[-1] += f"\n{line}"
            until = None if line == until else until
        elif line.strip() and not line.startswith("#"):
            commands.append(line)
            document = re.search(r"<<'?(\w+)'?", line)
            until = document[1] if document else None
    return commands


def _keep_both(home: Path) -> None:
    """Settles conflicts as people do who delete the markers."""
    for name in ("registry/pool.yaml", "dvc.lock"):
        path = home / name
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if not line.startswith(MARKERS)]
        if kept != lines:
            path.write_text("".join(kept), encoding="utf-8")
