"""A process limits itself for good: CPU, memory, files, processes, network, what it may change."""

import os
import resource
import socket
from typing import Any

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
PATHS = ("remove", "rename", "rmdir", "mkdir", "chmod", "chown", "link", "symlink", "truncate", "utime")
CHANGES_FILES = (*(f"os.{name}" for name in PATHS), "shutil.")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def limit(cpu_s: int, memory: int, file_size: int) -> None:
    """Hard limits; none can be raised again from inside the namespaces."""
    bounds = {
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: file_size,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in bounds.items():
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def refuse_outside(folder: str) -> Any:
    """An audit hook (it cannot be taken off again) that refuses network, processes, others' secrets and changes outside `folder`."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(PROCESSES) or (event.startswith("socket.") and not _is_own_pair(event, arguments)):
            raise PermissionError(f"{event} is not allowed while an answer is graded")
        if event == "open":
            _refuse_open(folder, arguments)
        elif event.startswith(CHANGES_FILES):
            for argument in arguments:
                if isinstance(argument, str | bytes | os.PathLike):
                    _inside(folder, event, argument)

    return refuse


def _is_own_pair(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether this only wraps one end of a pair of sockets of the process's own, which asyncio's loop wakes itself with."""
    return event == "socket.__new__" and len(arguments) > 1 and arguments[1] in {socket.AF_UNIX, -1}


def _refuse_open(folder: str, arguments: tuple[Any, ...]) -> None:
    """Raises PermissionError for writing outside `folder` and for reading what other processes are."""
    path, _, flags = arguments
    if isinstance(flags, int) and flags & WRITES:
        _inside(folder, "open", path)
    elif isinstance(path, str | bytes) and os.path.realpath(os.fsdecode(path)).startswith("/proc"):
        raise PermissionError(f"open of {path!r} is not allowed while an answer is graded")


def _inside(folder: str, event: str, path: Any) -> None:
    """Raises PermissionError unless `path` lies in `folder` (or is the null device)."""
    if isinstance(path, int):
        return
    real = os.path.realpath(os.fsdecode(path))
    if real != os.devnull and not (real + os.sep).startswith(folder):
        raise PermissionError(f"{event} of {path!r} is not allowed while an answer is graded")
