"""Grades many answers in a few processes. One that dies costs the answer it held its label, and no other."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from queue import SimpleQueue
from typing import Any

from pipelines.executor import door
from pipelines.graders import sandbox
from pipelines.graders.kinds import Graded, Task, longest_s

COMMAND = (sys.executable, "-m", "pipelines.graders.worker")
WORKERS = 2
SHARD = 64  # answers, where grading is spread: a minute of unit tests at the most, and the processes stay for the next shard
GRACE_S = 30  # for a process that does not even take its own alarm (a loop in native code), or is only starting


def grade_all(tasks: Sequence[Task], *, workers: int = WORKERS, command: Sequence[str] = COMMAND) -> list[Graded]:
    """One result a task, in order."""
    results = dict(graded(tasks, workers=workers, command=command))
    return [results[at] for at in range(len(tasks))]


def graded(tasks: Sequence[Task], *, workers: int = WORKERS, command: Sequence[str] = COMMAND) -> Iterator[tuple[int, Graded]]:
    """Each task's place and result, as it is graded."""
    with closing(Grading(workers, tuple(command))) as grading:
        yield from door.chosen().map(grading, tasks, size=SHARD)


@dataclass(frozen=True, slots=True)
class Grading:
    """Grades tasks in `workers` processes of `command`. They wait for the next tasks until it is closed, or gone with its process."""

    workers: int
    command: tuple[str, ...]
    _waiting: list["subprocess.Popen[str]"] = field(default_factory=list, compare=False)

    def __reduce__(self) -> tuple[type["Grading"], tuple[int, tuple[str, ...]]]:
        return Grading, (self.workers, self.command)  # where it arrives it starts its own

    def close(self) -> None:
        """Ends the processes."""
        while self._waiting:
            self._waiting.pop().communicate()  # end of its input, and of it

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Graded]]:
        """Each task's place and result, as it is graded."""
        if any(task.query.grader == "unit_tests" for task in tasks):
            sandbox.announce()
        todo, lock = iter(range(len(tasks))), threading.Lock()
        done: SimpleQueue[tuple[int, Graded] | None] = SimpleQueue()

        def next_task() -> int | None:
            with lock:
                return next(todo, None)

        def work() -> None:
            try:
                for each in self._graded(tasks, iter(next_task, None)):
                    done.put(each)
            finally:
                done.put(None)

        with ThreadPoolExecutor(self.workers) as threads:
            futures = [threads.submit(work) for _ in range(min(self.workers, len(tasks)))]
            for _ in futures:
                yield from iter(done.get, None)
            for future in futures:
                future.result()

    def _graded(self, tasks: Sequence[Task], todo: Iterator[int]) -> Iterator[tuple[int, Graded]]:
        """Results of one process at a time, a fresh one after each that dies."""
        process: subprocess.Popen[str] | None = None
        try:
            for at in todo:
                process = process or self._taken()
                result = _ask(process, tasks[at])
                if result is None:
                    process.communicate()
                    failure = f"grader {tasks[at].query.grader} ended its process (exit code {process.returncode})"
                    result, process = {"score": None, "failure": failure}, None
                yield at, Graded(tasks[at].query.query_id, **result)
        finally:
            if process is not None:
                self._waiting.append(process)

    def _taken(self) -> "subprocess.Popen[str]":
        """One that waits and lives, else a fresh one."""
        with suppress(IndexError):
            while (process := self._waiting.pop()).poll() is not None:
                process.communicate()
            return process
        return _start(self.command)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")


def _ask(process: subprocess.Popen[str], task: Task) -> dict[str, Any] | None:
    """What the process says of a task; None where it died over it, or said nothing for so long that it was killed."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("a worker needs pipes")
    too_long = threading.Timer(longest_s(task) + GRACE_S, process.kill)
    too_long.start()
    try:
        process.stdin.write(json.dumps(asdict(task)) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        return None
    finally:
        too_long.cancel()
    return json.loads(line) if line.endswith("\n") else None
