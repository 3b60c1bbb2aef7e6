"""What code graded is not graded again, unless something that decides the score is another."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.graders import kept
from pipelines.graders.kinds import Graded, Task
from pipelines.graders.query import Query

GRADES = """
import json, sys
for line in sys.stdin:
    answer = json.loads(line)["answer"]
    open(sys.argv[1], "a").write(answer + "\\n")
    score = None if answer == "mute" else len(answer) / 10
    print(json.dumps({"score": score, "failure": "" if score is not None else "no voice"}), flush=True)
"""


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """A file of the answers that were graded."""
    return tmp_path / "graded"


def tasks(*answers: str) -> list[Task]:
    return [Task(Query(f"q{at}", "how many?", "number", reference="3"), answer, 5.0) for at, answer in enumerate(answers)]


def grade(these: Sequence[Task], graded: Path) -> list[Graded]:
    """Their results by a process that writes down what it grades."""
    return kept.grade(these, graded.with_name("kept.jsonl"), command=(sys.executable, "-c", GRADES, str(graded)))


def test_only_what_is_new_is_graded(graded: Path) -> None:
    """And all results are there, in order."""
    assert [each.score for each in grade(tasks("a", "bb", "ccc"), graded)] == [0.1, 0.2, 0.3]
    graded.unlink()
    results = grade(tasks("a", "dddd", "ccc", "bb"), graded)
    assert [(each.query_id, each.score) for each in results] == [("q0", 0.1), ("q1", 0.4), ("q2", 0.3), ("q3", 0.2)]
    assert graded.read_text().split() == ["dddd"]


def test_every_part_of_a_task_counts_but_the_query_s_id(graded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another text, reference, time or grader is another task, and so is the same one by other code."""
    (task,) = tasks("a")
    others = [replace(task, timeout_s=6.0)]
    others += [replace(task, query=replace(task.query, **{name: "x"})) for name in ("text", "grader", "reference")]
    others += [replace(task, query=replace(task.query, choices=("x",)))]
    grade([task], graded)
    grade([replace(task, query=replace(task.query, query_id="another"))], graded)
    assert graded.read_text().split() == ["a"]
    grade(others, graded)
    assert graded.read_text().split() == ["a"] * 6
    monkeypatch.setattr(kept, "_code", lambda: "other code")
    grade([task], graded)
    assert graded.read_text().split() == ["a"] * 7


def test_what_got_no_score_is_tried_again(graded: Path) -> None:
    """The fault may have been the machine's."""
    for _ in range(2):
        assert grade(tasks("mute"), graded) == [Graded("q0", None, "no voice")]
    assert graded.read_text().split() == ["mute", "mute"]
