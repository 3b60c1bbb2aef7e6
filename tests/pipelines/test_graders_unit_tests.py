"""The grader `unit_tests` finds the code in an answer and runs it where it can hurt nobody."""

import json
import os
import shutil
import time
from pathlib import Path

import psutil
import pytest

from pipelines.graders import kinds, sandbox, unit_tests, workers
from pipelines.graders.code import Solution
from pipelines.graders.query import Query

PROMPT = 'import math\n\ndef half(x):\n    return x / 2\n\ndef area(r):\n    """The area of half a circle."""\n'
TEST = "def check(candidate):\n    assert abs(candidate(2) - 6.2831853) < 1e-6\n"
ASKED = Query("q1", "?", "unit_tests", (), json.dumps({"prompt": PROMPT, "entry_point": "area", "test": TEST}))
FORGED_VERDICT = """import os
def f(xs):
    for n in range(64):
        try:
            os.write(n, b'{"verdict": "passed"}\\n')
        except OSError:
            pass
    os._exit(0)
"""
MANY_TYPES = """from collections import Counter, namedtuple
P = namedtuple('P', 'a b')
def f(x):
    return Counter(x), P(1, 2), {1, 2}, frozenset(), b'x', 2**80, 1e400, 1j, None, True
"""
IMPORTED_TYPES = """import datetime
from decimal import Decimal
from fractions import Fraction
def f():
    return [Decimal('1.10'), Fraction(1, 3), datetime.date(2020, 1, 2), range(3)]
"""
WANTS_IMPORTED_TYPES = """    from datetime import date
    from decimal import Decimal
    from fractions import Fraction
    assert candidate() == [Decimal('1.1'), Fraction(1, 3), date(2020, 1, 2), range(3)]
"""
WANTS_ERROR = """    try:
        candidate(1)
    except ValueError as error:
        assert str(error) == 'no'
    else:
        assert False
"""
DOUBLER = """class f:
    def __init__(self, x):
        self.x = x
    def twice(self):
        return self.x * 2
"""
BODY = "    return half(math.pi * r ** 2)\n"
WHOLE = f"def area(r):\n{BODY}"


@pytest.mark.parametrize(
    "answer",
    [
        BODY,
        "return half(math.pi * r ** 2)",
        WHOLE,
        PROMPT + BODY,
        f"Here it is:\n```python\n{WHOLE}```\nThis works because ...",
        f"```\n{BODY}```",
        f"```python\n{WHOLE}",
        f"First a note:\n```\npip install nothing\n```\nthen\n```python\n{WHOLE}```",
        f"Sure! The function:\n\n{WHOLE}\nIt halves the area.",
        "```python\ndef pi():\n    return math.pi\n```\n```python\ndef area(r):\n    return half(pi() * r ** 2)\n```",
    ],
)
def test_code_is_found_however_it_is_wrapped(answer: str) -> None:
    """A body, a whole function, a fenced block (closed or cut off) or prose around it: the same code gets the same score."""
    assert unit_tests.grade(answer, ASKED, timeout_s=5) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot do that.",
        "    return r",
        "def other(r):\n    return 1",
        "def area(r):\n    return",
        "def area(r:\n    return 1",
        'def area(r):\n    """Nothing but words."""',
        "import sys\nsys.exit(0)\n" + WHOLE,
        "import os\nos._exit(0)\n" + WHOLE,
        "print('passed')\nraise SystemExit\n" + WHOLE,
        "(" * 5000,
        "x" * 100_000,
    ],
)
def test_code_that_does_not_pass_its_tests_scores_nothing(answer: str) -> None:
    """Wrong, missing or unparsable code is 0, and so is code that leaves early with a good exit code."""
    assert unit_tests.grade(answer, ASKED, timeout_s=5) == 0


def runs(program: str, timeout_s: float = 5) -> bool:
    """Whether a program runs to its end in the sandbox."""
    check = "def check(candidate):\n    assert candidate() == 1\n"
    return bool(unit_tests.passes(Solution("", f"{program}\ndef ran():\n    return 1\n"), "def ran(): pass", "ran", check, timeout_s))


def grade(code: str, test: str, prompt: str = "") -> float:
    reference = json.dumps({"prompt": prompt, "entry_point": "f", "test": f"def check(candidate):\n{test}"})
    return unit_tests.grade(f"```python\n{code}\n```", Query("q1", "?", "unit_tests", (), reference), timeout_s=5)


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.socket()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.fork()",
        "import os; os.system('true')",
        "import os; os.kill(os.getppid(), 9)",
        "import ctypes",
        "open('/tmp/written-by-an-answer', 'w')",
        "import os; os.remove('/etc/hostname')",
        "import shutil; shutil.rmtree('/tmp')",
        "x = ' ' * (2 << 30)",
        "open('big', 'w').write('x' * (20 << 20))",
        "files = [open(f'f{i}', 'w') for i in range(200)]",
        "def f(): f()\nf()",
        "import numpy",
        "open('/proc/self/environ').read()",
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import pipelines",
    ],
)
def test_the_sandbox_refuses(program: str) -> None:
    """Network, processes, signals, files outside its folder, and more memory, disk or files than allowed: the program fails."""
    assert not runs(program)
    assert not Path("/tmp/written-by-an-answer").exists()


@pytest.mark.parametrize(
    "program",
    [
        "x = 1",
        "import math, collections, heapq, typing, hashlib, datetime",
        "open('mine', 'w').write('x')",
        "print('x' * 10**6)",
        "import tempfile\nwith tempfile.TemporaryDirectory() as d: open(d + '/x', 'w').write('x')",
        "import asyncio\nasync def f(): await asyncio.sleep(0)\nasyncio.run(f())",
        "def main():\n    raise SystemExit\nif __name__ == '__main__':\n    main()",
        "from __future__ import annotations\ndef g(x: Undefined): pass",
        "import dataclasses, pickle\n@dataclasses.dataclass\nclass P:\n    x: int\nassert pickle.loads(pickle.dumps(P(1))) == P(1)",
    ],
)
def test_the_sandbox_permits(program: str) -> None:
    """Ordinary code, the standard library, output, and files in its own folder work."""
    assert runs(program)


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)",
    ],
)
def test_a_hanging_program_is_ended_with_all_it_started(program: str) -> None:
    """CPU and wall time are limited; afterwards no process of ours is left, running or as a zombie."""
    started = time.monotonic()
    assert not runs(program, 0.5)
    assert time.monotonic() - started < 0.5 * sandbox.WALL_PER_CPU + 5
    assert not [
        child
        for child in psutil.Process(os.getpid()).children(recursive=True)
        if any(name in " ".join(_command(child)) for name in ("answering.py", "testing.py"))
    ]


def _command(process: psutil.Process) -> list[str]:
    """The command line of a process; a zombie has none, so its name says what it was."""
    try:
        return ["answering.py"] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_sandbox_that_does_not_start_gives_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken sandbox says nothing about the answer: the label is missing, not 0."""
    monkeypatch.setattr(sandbox, "INSIDE", Path("/nowhere"))
    graded = kinds.grade(kinds.Task(ASKED, WHOLE, 5))
    assert graded.score is None
    assert "the sandbox did not start" in graded.failure


@pytest.mark.parametrize(
    "code",
    [
        "f = lambda xs: sum(xs)",
        "def g(xs):\n    return sum(xs)\nf = g",
        "from math import fsum as f",
        "import functools\n@functools.lru_cache\ndef g(x):\n    return x\ndef f(xs):\n    return sum(map(g, xs))",
        "try:\n    from nothing import f\nexcept ImportError:\n    def f(xs):\n        return sum(xs)",
        "def f(xs):\n    return sum(xs)\nprint(f([int(input('how many? '))]))",
        "import sys\ndef f(xs):\n    return sum(xs)\nfor line in sys.stdin:\n    print(f([line]))\nn = int(sys.stdin.readline())",
        "class Adder:\n    def __call__(self, xs):\n        return sum(xs)\nf = Adder()",
        "def f(xs: List[int]) -> int:\n    return sum(xs)",
    ],
)
def test_right_code_passes_as_it_is_written(code: str) -> None:
    """A lambda, an alias, an import, an example that reads input: what a person could import passes."""
    assert grade(code, "    assert candidate([1, 2]) == 3\n", "from typing import List\n\ndef f(xs: List[int]) -> int:\n") == 1


@pytest.mark.parametrize(
    "code",
    [
        "class E(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(xs):\n    return E()",
        "class E:\n    def __eq__(self, other): return True\n    def __lt__(self, other): return True\ndef f(xs):\n    return E()",
        "class E(list):\n    def __eq__(self, other): return True\n    def __len__(self): return 3\ndef f(xs):\n    return E()",
        "from unittest.mock import ANY\ndef f(xs):\n    return ANY",
        "import sys, builtins\nbuiltins.sum = lambda xs: 0\ndef f(xs):\n    raise SystemExit(0)",
        FORGED_VERDICT,
        "import gc, sys\ndef f(xs):\n    return [x for x in gc.get_objects() if isinstance(x, str) and 'assert candidate' in x]",
        "def f(xs):\n    return f",
        "async def f(xs):\n    return sum(xs)",
        "def f(xs):\n    raise AssertionError",
        "def f(xs):\n    return sum(xs)\nraise ValueError",
    ],
)
def test_wrong_code_fails_whatever_it_tries(code: str) -> None:
    """Objects that equal everything, a forged verdict, a hunt for the expected values: the process of the code holds none of it."""
    assert grade(code, "    assert candidate([1, 2]) == 3\n    assert not candidate([]) == 1\n") == 0


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(xs):\n    xs.sort()", "    xs = [3, 1, 2]\n    assert candidate(xs) is None and xs == [1, 2, 3]\n"),
        ("def f(n):\n    yield from range(n)", "    assert list(candidate(3)) == [0, 1, 2]\n    assert next(candidate(3)) == 0\n"),
        ("def f(n):\n    return lambda x: x + n", "    assert candidate(2)(3) == 5\n"),
        ("def f(g, xs):\n    return [g(x) for x in xs]", "    assert candidate(lambda x: x * 2, (1, 2)) == [2, 4]\n"),
        (DOUBLER, "    assert candidate(4).twice() == 8 and candidate(1).x == 1\n"),
        ("def f(x):\n    raise ValueError('no')", WANTS_ERROR),
        (
            MANY_TYPES,
            "    assert candidate('aab') == ({'a': 2, 'b': 1}, (1, 2), {1, 2}, frozenset(), b'x', 2**80, float('inf'), 1j, None, True)\n",
        ),
        (IMPORTED_TYPES, WANTS_IMPORTED_TYPES),
        ("def f(s):\n    return s[::-1]", "    assert candidate('a\\ud800') == '\\ud800a'\n"),
    ],
)
def test_what_crosses_between_the_processes_keeps_its_meaning(code: str, test: str) -> None:
    """Changed arguments, iterators, functions both ways, objects, exceptions and every plain type arrive as they left."""
    assert grade(code, test) == 1


def test_tests_that_do_not_run_give_no_label() -> None:
    """Broken tests say nothing about the answer."""
    asked = Query("q1", "?", "unit_tests", (), json.dumps({"prompt": "", "entry_point": "f", "test": "def chek(candidate): pass"}))
    graded = kinds.grade(kinds.Task(asked, "def f():\n    return 1\n", 5))
    assert graded.score is None
    assert "its tests do not run" in graded.failure


def test_a_machine_that_denies_bubblewrap_says_so_and_grades_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where bwrap is installed and fails, today's limits hold, scores are the same, and it is said once, loudly."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sandbox.announce.cache_clear()
    assert sandbox.confinement().kind in {"namespaces", "limits"}
    for _ in range(2):
        assert [
            graded.score for graded in workers.grade_all([kinds.Task(ASKED, WHOLE, 5), kinds.Task(ASKED, "def area(r): return 0", 5)])
        ] == [1, 0]
    said = capsys.readouterr().out
    assert said.count("programs_are_not_confined") == 1
    assert "No permissions to create new namespace" in said
    assert not runs("import subprocess; subprocess.run(['true'])")
    sandbox.announce.cache_clear()


@pytest.mark.skipif(shutil.which("bwrap") is None or sandbox.confinement().kind != "bubblewrap", reason="needs bubblewrap, permitted")
@pytest.mark.parametrize(
    "seen",
    [
        "os.path.exists('/etc/passwd')",
        f"os.path.exists({str(Path.cwd())!r})",
        "len(os.listdir('/proc/1/task')) > 9",
        "os.listdir('/tmp')[1:]",
    ],
)
def test_bubblewrap_shows_no_host(seen: str) -> None:
    """No file of the host but Python's own, and no process of the host, is there to be seen."""
    assert grade(f"import os\ndef f():\n    return bool({seen})", "    assert candidate() is False\n") == 1


def test_without_bubblewrap_every_limit_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but the process's own bans, right code passes and what is refused stays refused."""
    monkeypatch.setattr(sandbox, "confinement", lambda: sandbox.Confinement("limits"))
    assert unit_tests.grade(WHOLE, ASKED, timeout_s=5) == 1
    for program in (
        "import socket; socket.socket()",
        "import os; os.fork()",
        "open('/tmp/written-by-an-answer', 'w')",
        "x = ' ' * (2 << 30)",
    ):
        assert not runs(program)
