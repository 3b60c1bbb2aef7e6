"""The grader `unit_tests` finds the code in an answer and runs it where it can hurt nobody."""

import json
import os
import time
from pathlib import Path

import psutil
import pytest

from pipelines.graders import kinds, sandbox, unit_tests
from pipelines.graders.query import Query

PROMPT = 'import math\n\ndef half(x):\n    return x / 2\n\ndef area(r):\n    """The area of half a circle."""\n'
TEST = "def check(candidate):\n    assert abs(candidate(2) - 6.2831853) < 1e-6\n"
ASKED = Query("q1", "?", "unit_tests", (), json.dumps({"prompt": PROMPT, "entry_point": "area", "test": TEST}))
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
    ],
)
def test_the_sandbox_refuses(program: str) -> None:
    """Network, processes, signals, files outside its folder, and more memory, disk or files than allowed: the program fails."""
    assert not sandbox.passes(program, 5)
    assert not Path("/tmp/written-by-an-answer").exists()


@pytest.mark.parametrize(
    "program", ["x = 1", "import math, collections, heapq, typing, hashlib, datetime", "open('mine', 'w').write('x')", "print('x' * 10**6)"]
)
def test_the_sandbox_permits(program: str) -> None:
    """Ordinary code, the standard library, output, and files in its own folder work."""
    assert sandbox.passes(program, 5)


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
    assert not sandbox.passes(program, 0.5)
    assert time.monotonic() - started < 0.5 * sandbox.WALL_PER_CPU + 5
    assert not [child for child in psutil.Process(os.getpid()).children(recursive=True) if "sandbox_driver" in " ".join(_command(child))]


def _command(process: psutil.Process) -> list[str]:
    """The command line of a process; a zombie has none, so its name says what it was."""
    try:
        return ["sandbox_driver"] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_sandbox_that_does_not_start_gives_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken sandbox says nothing about the answer: the label is missing, not 0."""
    monkeypatch.setattr(sandbox, "_DRIVER", Path("/nowhere/driver.py"))
    graded = kinds.grade(kinds.Task(ASKED, WHOLE, 5))
    assert graded.score is None
    assert "the sandbox did not start" in graded.failure
