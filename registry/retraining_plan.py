"""What a retraining for a group of unknown queries would do, as pipelines (registry knows none of their tables) tells it."""

import json
import sys
from pathlib import Path
from typing import Any

from registry import child_process
from registry.errors import ChildFailed

WITHIN_S = 120.0  # seconds of CPU; whoever plans a retraining can wait for a busy machine


def told(home: Path, group: str) -> dict[str, Any] | None:
    """`pipelines.plan` of the project at `home` as JSON, computed in a process of its own. None where it cannot be told there."""
    if not (home / "params.yaml").is_file():  # a host that serves and trains nothing
        return None
    command = [sys.executable, "-m", "pipelines.plan", "--harvest", "--group", group]
    try:
        return dict(json.loads(child_process.output(command, cwd=home, timeout_s=WITHIN_S)))
    except (ChildFailed, ValueError, TypeError):
        return None
