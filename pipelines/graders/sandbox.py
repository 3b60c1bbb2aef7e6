"""Runs a program an LLM wrote: own process group and namespaces, limited CPU, memory, files and time, no network, no other processes.

The limits stop accidents and ordinary mischief. Whoever grades answers of LLMs that attack their grader should run this in a container.
"""

import contextlib
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from pipelines.errors import GraderFailed

MEMORY_BYTES = 1 << 30
FILE_BYTES = 10 << 20
WALL_PER_CPU = 3  # on a busy machine a program may wait this much longer than it computes
_NAMESPACES = ("unshare", "--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child")
# `-I` but for the environment, which is ours: PYTHONHASHSEED makes runs repeatable. `-S`: no installed package either.
_ALONE = ("-P", "-s", "-S", "-B")
_DRIVER = Path(__file__).with_name("sandbox_driver.py")


def passes(program: str, timeout_s: float) -> bool:
    """Whether `program` runs to its end without an exception within `timeout_s` of CPU time (and thrice that of wall time).

    Raises GraderFailed where the sandbox itself does not start.
    """
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="routemoa-tests-") as folder:
        command = [*_prefix(), sys.executable, *_ALONE, str(_DRIVER), str(math.ceil(timeout_s)), str(MEMORY_BYTES), str(FILE_BYTES)]
        output = _run(command, f"{token}\n{program}", Path(folder), timeout_s * WALL_PER_CPU)
    if not output.startswith(f"started {token}"):
        raise GraderFailed(f"the sandbox did not start ({output[:200]!r}).", next_step=f"Run it by hand: {' '.join(command)}")
    return output.endswith(f"passed {token}\n")


def isolated() -> bool:
    """Whether this machine lets us run programs in namespaces of their own."""
    return bool(_prefix())


@cache
def _prefix() -> tuple[str, ...]:
    """`unshare` with its options where the kernel permits it, else nothing: the driver's own bans remain."""
    if shutil.which("unshare") is None:
        return ()
    tried = subprocess.run([*_NAMESPACES, "true"], capture_output=True, check=False, timeout=10)
    return _NAMESPACES if tried.returncode == 0 else ()


def _run(command: list[str], stdin: str, folder: Path, wall_s: float) -> str:
    """What the driver reports; the whole process group is dead when this returns."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(stdin.encode("utf-8", "surrogateescape"), timeout=wall_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        output, _ = process.communicate()
    finally:
        _kill(process)
        process.wait()
    return output.decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
