"""What retrainings bought for the groups of unknown queries that caused them: a file a job, `var/gains/JOB.json`.

    {"job": "retrain-5f0c...", "version": "3", "against": "2" | null, "at": 1796049276.5, "groups": [GAIN]}

GAIN is `pipelines.gain.Gain` as JSON: group, queries, kept_out, before, after, difference ({"value", "low", "high"} or null),
promised_before, promised_after.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scorer.atomic_write import replacing

FOLDER = "gains"
KEPT = 100  # jobs, the newest


def keep(var: Path, job: str, version: str, against: str | None, groups: Sequence[Mapping[str, Any]]) -> Path:
    """Writes down what `job` bought with `version`, measured against the one that served until then; the file."""
    folder = var / FOLDER
    path = folder / f"{job}.json"
    told = {"job": job, "version": version, "against": against, "at": time.time(), "groups": list(groups)}
    with replacing(path) as partial:
        partial.write_text(json.dumps(told, indent=1), encoding="utf-8")
    for older in sorted(folder.glob("*.json"), key=lambda each: -each.stat().st_mtime)[KEPT:]:
        older.unlink(missing_ok=True)
    return path


def listed(var: Path) -> list[dict[str, Any]]:
    """All that are kept, the newest first; a file that is no such thing is left out."""
    found = [told for path in (var / FOLDER).glob("*.json") if (told := _read(path)) is not None]
    return sorted(found, key=lambda told: -float(told["at"]))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return dict(told) if {"job", "version", "at", "groups"} <= told.keys() else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None
