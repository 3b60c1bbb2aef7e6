"""Every grader that needs nothing but the answer, by the name queries call it; grading one answer so that nothing it does can hurt."""

import math
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from pipelines.errors import GraderFailed
from pipelines.graders import choice, contains, exact, mathematics, number, sandbox, unit_tests, verifier
from pipelines.graders.query import Query
from scorer.near_matches import did_you_mean


class Grader(Protocol):
    """A module with a version and one function."""

    @property
    def VERSION(self) -> str:
        """Changes whenever the score of any answer could."""

    def grade(self, answer: str, query: Query) -> float:
        """A reward in [0, 1]. Raises GraderFailed where query or grader, not the answer, is at fault."""


GRADERS: Mapping[str, Grader] = MappingProxyType(
    {
        "choice": choice,
        "number": number,
        "math": mathematics,
        "exact": exact,
        "contains": contains,
        "unit_tests": unit_tests,
        "verifier": verifier,
    }
)


@dataclass(frozen=True, slots=True)
class Task:
    """One answer to be graded; `timeout_s` is of CPU time for a unit-test run."""

    query: Query
    answer: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Graded:
    """What came of a task: a score, or None and why there is none; `apart`: how far two verdicts of one judge are from each other."""

    query_id: str
    score: float | None
    failure: str = ""
    apart: float | None = None


def find(name: str) -> Grader:
    """The grader called `name`. Raises GraderFailed with near matches."""
    if name in GRADERS:
        return GRADERS[name]
    raise GraderFailed(f"No grader is called {name!r}.", next_step=did_you_mean(name, GRADERS))


def longest_s(task: Task) -> float:
    """Seconds after which a grader hangs: no unit-test run takes as long."""
    return sandbox.WALL_PER_CPU * task.timeout_s + 10


def grade(task: Task) -> Graded:
    """Grades one answer. Never raises: a grader that fails or hangs leaves the answer unlabelled. Call it in a process's main thread."""
    try:
        grader: Any = find(task.query.grader)
        graded = partial(grader.grade, timeout_s=task.timeout_s) if grader is unit_tests else grader.grade
        with _at_most(longest_s(task)):
            score = float(graded(task.answer, task.query))
    except GraderFailed as exc:
        return Graded(task.query.query_id, None, str(exc))
    except Exception as exc:  # a grader's own fault; the next answer is not to suffer for it
        return Graded(task.query.query_id, None, f"grader {task.query.grader} crashed: {type(exc).__name__}: {exc}")
    if not (math.isfinite(score) and 0 <= score <= 1):
        return Graded(task.query.query_id, None, f"grader {task.query.grader} gave {score}, which is not in [0, 1]")
    return Graded(task.query.query_id, score)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises GraderFailed in the block after `seconds`, also inside a regular expression that does not end."""

    def hung(_number: int, _frame: object) -> None:
        raise GraderFailed(f"the grader hung for {seconds:g} s.", next_step="Look at this answer with `pipelines.graders.kinds.grade`.")

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
