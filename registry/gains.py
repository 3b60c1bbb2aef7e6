"""What retrainings bought for the groups of unknown queries that caused them: a file a job, `var/gains/JOB.json`, or a row for all hosts.

    {"job": "retrain-5f0c...", "version": "3", "against": "2" | null, "at": 1796049276.5, "groups": [GAIN]}

GAIN is `pipelines.gain.Gain` as JSON: group, queries, kept_out, before, after, difference ({"value", "low", "high"} or null),
promised_before, promised_after.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.database.door import Database
from registry.database.shared import shared
from registry.errors import DatabaseFailed, JobRefused
from registry.settings import Settings
from scorer.atomic_write import replacing

FOLDER = "gains"
KEPT = 100  # jobs, the newest
INSERT = "INSERT INTO job_gains (job, at, content) VALUES (?, ?, ?) ON CONFLICT (job)"
FORGET = "DELETE FROM job_gains WHERE job NOT IN (SELECT job FROM job_gains ORDER BY at DESC LIMIT ?)"


def keep(settings: Settings, job: str, version: str, against: str | None, groups: Sequence[Mapping[str, Any]]) -> None:
    """Writes down what `job` bought with `version`, measured against the one that served until then. Raises JobRefused."""
    told = {"job": job, "version": version, "against": against, "at": time.time(), "groups": list(groups)}
    if (database := _shared(settings)) is None:
        _write(settings.var / FOLDER, told)
        return
    try:
        with database.transaction() as connection:
            connection.execute(f"{INSERT} DO UPDATE SET at = excluded.at, content = excluded.content", (job, told["at"], json.dumps(told)))
            connection.execute(FORGET, (KEPT,))
    except DatabaseFailed as exc:
        raise _refused(exc) from exc


def listed(settings: Settings, job: str | None = None) -> list[dict[str, Any]]:
    """All that are kept, or that of one job, the newest first; what is no such thing is left out. Raises JobRefused."""
    if (database := _shared(settings)) is None:
        texts = _texts(settings.var / FOLDER)
    else:
        try:
            with database.reading() as connection:
                texts = [row[0] for row in connection.execute("SELECT content FROM job_gains").fetchall()]
        except DatabaseFailed as exc:
            raise _refused(exc) from exc
    found = [told for text in texts if (told := _parsed(text)) is not None and job in {None, told["job"]}]
    return sorted(found, key=lambda told: -float(told["at"]))


def move(folder: Path, database: Database) -> dict[str, int]:
    """Moves a host's into the database that it shares from now on; how many came. Raises DatabaseFailed."""
    found = [(told, text) for text in _texts(folder) if (told := _parsed(text)) is not None]
    with database.transaction() as connection:
        came = [connection.execute(f"{INSERT} DO NOTHING", (told["job"], told["at"], text)).rowcount for told, text in found]
    return {"gains of retrainings": sum(came)}


def _write(folder: Path, told: Mapping[str, Any]) -> None:
    with replacing(folder / f"{told['job']}.json") as partial:
        partial.write_text(json.dumps(told, indent=1), encoding="utf-8")
    for older in sorted(folder.glob("*.json"), key=lambda each: -each.stat().st_mtime)[KEPT:]:
        older.unlink(missing_ok=True)


def _texts(folder: Path) -> list[str]:
    texts = []
    for path in folder.glob("*.json"):
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # taken away meanwhile, or half written by another program
            continue
    return texts


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
        return dict(told) if {"job", "version", "at", "groups"} <= told.keys() else None
    except (ValueError, TypeError, AttributeError):
        return None


def _shared(settings: Settings) -> Database | None:
    try:
        return shared(settings)
    except DatabaseFailed as exc:
        raise _refused(exc) from exc


def _refused(exc: DatabaseFailed) -> JobRefused:
    return JobRefused(f"What retrainings bought cannot be told: {exc.what}", next_step=exc.next_step)
