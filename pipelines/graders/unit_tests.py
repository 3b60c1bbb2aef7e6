"""Grader `unit_tests`: the code of an answer passes the query's tests (reference: JSON of HumanEval's prompt, entry_point and test)."""

import json

from pipelines.graders.code import Solution, before_of, solution_of
from pipelines.graders.query import Query
from pipelines.graders.sandbox import WALL_PER_CPU, Program, ended_after, started

VERSION = "2"
TIMEOUT_S = 10.0


def grade(answer: str, query: Query, timeout_s: float = TIMEOUT_S) -> float:
    """1 where the tests pass, 0 where they fail, crash or hang. Raises GraderFailed where the sandbox or the query is at fault."""
    reference = query.json_reference(dict)
    if not all(isinstance(reference.get(key), str) for key in ("prompt", "entry_point", "test")):
        raise query.failed(f"reference needs prompt, entry_point and test, has {sorted(reference)}")
    prompt, entry_point, test = (reference[key] for key in ("prompt", "entry_point", "test"))
    solution = solution_of(answer, prompt, entry_point)
    if solution is None:
        return 0.0
    verdict = passes(solution, prompt, entry_point, test, timeout_s)
    if verdict is None:
        raise query.failed("its tests do not run, whatever the answer")
    return float(verdict)


def passes(solution: Solution, prompt: str, entry_point: str, test: str, timeout_s: float) -> bool | None:
    """Whether the function passes the tests within `timeout_s` of CPU time (and thrice that of wall time); None: the tests are broken.

    The code runs in one process, the tests in another: the first knows neither what is expected nor how the verdict is given.
    """
    with started("answering.py") as answering, ended_after(timeout_s * WALL_PER_CPU, [answering]):
        answering.begin({"before": solution.before, "source": solution.source, "entry_point": entry_point}, timeout_s)
        if not _is(answering.receive(), "loaded"):
            return False
        with started("testing.py") as testing, ended_after(timeout_s * WALL_PER_CPU, [answering, testing]):
            testing.begin({"prompt": _defined(prompt, entry_point), "entry_point": entry_point, "test": test}, timeout_s)
            return _verdict(testing, answering)


def _verdict(testing: Program, answering: Program) -> bool | None:
    """Carries each question of the tests to the answer and each reply back, until the tests' process says how it went."""
    while line := testing.receive():
        if _is(line, "verdict"):
            verdict = json.loads(line)["verdict"]
            return None if verdict == "broken" else verdict == "passed"
        answering.send(line)
        testing.send(answering.receive() or b'{"raised": {"names": ["RuntimeError"], "message": "the answer is gone"}}\n')
    return False


def _defined(prompt: str, entry_point: str) -> str:
    """What of the prompt the tests may use: all of it where it is code, else what stands before the function."""
    try:
        compile(prompt, "prompt.py", "exec")
    except (SyntaxError, ValueError):
        return before_of(prompt, entry_point)
    return prompt


def _is(line: bytes, kind: str) -> bool:
    """Whether a line is a message of this kind; only its own process could have written it."""
    return line.startswith(f'{{"{kind}"'.encode())
