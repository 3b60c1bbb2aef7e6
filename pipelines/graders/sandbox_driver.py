"""The inside of the sandbox: limits itself for good, then runs the program on its standard input.

`python -I sandbox_driver.py CPU_S MEMORY_BYTES FILE_BYTES`; the first line of standard input is a token, the rest is the program.
Says `started TOKEN`, and `passed TOKEN` when the program ran to its end: an exit code would not do, as a program may leave early with 0.
"""

import builtins
import os
import resource
import sys
from typing import Any

NETWORK = ("socket.",)
PROCESSES = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.kill",
    "signal.pthread_kill",
    "pty.",
    "ctypes.",
)
FORBIDDEN = (*NETWORK, *PROCESSES)
PATHS = ("remove", "rename", "rmdir", "mkdir", "chmod", "chown", "link", "symlink", "truncate", "utime")
CHANGES_FILES = (*(f"os.{name}" for name in PATHS), "shutil.")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Runs standard input and reports on the original standard output."""
    cpu_s, memory, file_size = (int(argument) for argument in sys.argv[1:4])
    token, _, program = sys.stdin.buffer.read().decode("utf-8", "replace").partition("\n")
    report = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.argv[:] = ["answer.py"]
    _limit(cpu_s, memory, file_size)
    os.write(report, f"started {token}\n".encode())
    code = compile(program, "answer.py", "exec")
    sys.addaudithook(_refuse_outside(os.path.realpath(os.getcwd()) + os.sep))  # noqa: PTH109 - nothing is imported that need not be
    exec(code, {"__name__": "__main__", "__builtins__": builtins})  # noqa: S102 - what this process is for
    os.write(report, f"passed {token}\n".encode())
    os._exit(0)  # whatever threads the program left behind


def _limit(cpu_s: int, memory: int, file_size: int) -> None:
    """Hard limits; none can be raised again from inside the namespaces."""
    wanted = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: file_size,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in wanted.items():
        hard = resource.getrlimit(limit)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (allowed, allowed))


def _refuse_outside(folder: str) -> Any:
    """An audit hook (it cannot be taken off again) that refuses network, processes and changes outside `folder`."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise PermissionError(f"{event} is not allowed while an answer is graded")
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            _inside(folder, event, arguments[0])
        elif event.startswith(CHANGES_FILES):
            for argument in arguments:
                if isinstance(argument, str | bytes | os.PathLike):
                    _inside(folder, event, argument)

    return refuse


def _inside(folder: str, event: str, path: Any) -> None:
    """Raises PermissionError unless `path` lies in `folder` (or is the null device)."""
    if isinstance(path, int):
        return
    real = os.path.realpath(os.fsdecode(path))
    if real != os.devnull and not real.startswith(folder):
        raise PermissionError(f"{event} of {path!r} is not allowed while an answer is graded")


if __name__ == "__main__":
    main()
