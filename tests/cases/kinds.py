"""How each kind of case is run: a folder's name -> its cases, each with a name and what it checks."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cases.dvc import operated
from tests.cases.importing import imported

FOLDER = Path(__file__).parents[2].parent / "shared" / "cases"


@dataclass(frozen=True)
class Case:
    """One input with its right outcome; `check` returns "" where the code gets it right, else what came out instead."""

    name: str
    check: Callable[[], str]


def graders(folder: Path) -> Iterator[Case]:
    """`*.json`: lists of {grader, text, choices, reference, answer, expected, why}; `expected` is the right score."""
    for path in sorted(folder.glob("*.json")):
        for number, case in enumerate(json.loads(path.read_text())):
            yield Case(f"graders/{path.stem}[{number}] {case.get('why', '')}", lambda case=case: _graded(case))


def _graded(case: Mapping[str, Any]) -> str:
    from pipelines.graders import kinds
    from pipelines.graders.query import Query

    query = Query("case", case.get("text") or "?", case["grader"], tuple(case.get("choices") or ()), str(case["reference"]))
    graded = kinds.grade(kinds.Task(query, case["answer"] or "", 5.0))
    return "" if graded.score == case["expected"] else f"{graded.score} instead of {case['expected']} {graded.failure}".rstrip()


def _wire(folder: Path) -> Iterator[Case]:
    from tests.cases.wire import wire

    for name, check in wire(folder):
        yield Case(name, check)


def imports(folder: Path) -> Iterator[Case]:
    """`NAME/`: queries.* and answers.* as users' tools write them, with the options of the import in opts.json."""
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        yield Case(f"import/{path.name}", lambda path=path: imported(path))


def dvc(folder: Path) -> Iterator[Case]:
    """`*.sh`: operations in a project."""
    for path in sorted(folder.glob("*.sh")):
        yield Case(f"dvc/{path.stem}", lambda path=path: operated(path))


KINDS: Mapping[str, Callable[[Path], Iterator[Case]]] = {"graders": graders, "wire": _wire, "import": imports, "dvc": dvc}


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    """Every case of every kind that `folder` has."""
    for name, kind in KINDS.items():
        if (folder / name).is_dir():
            yield from kind(folder / name)
