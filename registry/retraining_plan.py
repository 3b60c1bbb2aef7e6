"""What a retraining would do, as pipelines (registry knows none of their tables) tells it: for groups of unknown queries, or for none."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import child_process, extras
from registry.errors import ChildFailed, ExtraMissing

WITHIN_S = 120.0  # seconds of CPU; whoever plans a retraining can wait for a busy machine
ELSEWHERE = "`routemoa retrain --plan` tells it where the worker is."
NOT_HERE = f"This host serves and trains nothing: its project has no params.yaml. {ELSEWHERE}"


@dataclass(frozen=True, slots=True)
class Told:
    """plan: `pipelines.plan` as JSON, None where it cannot be told; why_not: then why."""

    plan: dict[str, Any] | None
    why_not: str | None = None


def told(home: Path, groups: Sequence[str] = (), *, harvesting: bool = True) -> Told:
    """What a retraining of the project at `home` would do for these groups, computed in a process of its own."""
    if not (home / "params.yaml").is_file():
        return Told(None, NOT_HERE)
    try:
        extras.need("train")
    except ExtraMissing as exc:
        return Told(None, f"This host trains nothing: {exc.what} {ELSEWHERE}")
    named = [each for group in groups for each in ("--group", group)]
    command = [sys.executable, "-m", "pipelines.plan", *(["--harvest"] if harvesting else []), *named]
    try:
        return Told(dict(json.loads(child_process.output(command, cwd=home, timeout_s=WITHIN_S))))
    except ChildFailed as exc:
        return Told(None, exc.lines[-1].strip() if exc.lines else exc.what)
    except (ValueError, TypeError):
        return Told(None, "What pipelines.plan printed is no plan: run one release of all parts.")
