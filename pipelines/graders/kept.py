"""Grades that code gave, kept by everything that decides them: what was graded before is read, so that a second run costs what is new."""

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mixture import reading
from pipelines import journal
from pipelines.graders import workers
from pipelines.graders.kinds import Graded, Task

SYNC_EVERY = 1024  # rows: what a power cut costs is graded again


def grade(
    tasks: Sequence[Task], kept: Path, advance: Callable[[], None] = lambda: None, *, command: Sequence[str] = workers.COMMAND
) -> list[Graded]:
    """One result a task, in order. kept: the file of what was graded before, to which new scores are added; no score is not kept."""
    keys = [_key(task) for task in tasks]
    wanted = set(keys)
    scores = {row["key"]: float(row["score"]) for row in journal.each(kept) if row["key"] in wanted}
    results = {at: Graded(tasks[at].query.query_id, scores[key]) for at, key in enumerate(keys) if key in scores}
    for _ in results:
        advance()
    fresh = [at for at in range(len(tasks)) if at not in results]
    with journal.Journal(kept, sync_every=SYNC_EVERY) as added:
        for place, graded in workers.graded([tasks[at] for at in fresh], command=command):
            results[fresh[place]] = graded
            if graded.score is not None:
                added.append({"key": keys[fresh[place]], "score": graded.score})
            advance()
    return [results[at] for at in range(len(tasks))]


def _key(task: Task) -> str:
    """Hash of what decides the score: the query but for its id, the answer, the time, and all code that could read them."""
    query = task.query
    said = [_code(), query.grader, query.text, query.choices, query.reference, task.answer, task.timeout_s]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Hash of the graders' sources, Python's version and that of the library among them."""
    folders = Path(__file__).parent, Path(reading.__file__).parent
    said = hashlib.sha256(f"{platform.python_version()} {version('math-verify')}".encode())
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        said.update(path.read_bytes())
    return said.hexdigest()
