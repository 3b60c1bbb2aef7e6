"""A disk that is full or read-only under a running server: `python -m benchmarks.full_disk [--requests 200]` (root: it mounts).

The server's `var/` is a small file system of its own. It is filled up while requests come, whole and streamed, and emptied again; then it
is mounted read-only under the running server, and a new server is started on it. Counted: answers acknowledged, those of them in no
record, requests refused, LLMs that were asked for an answer that could not leave, and seconds until the server is ready again. Exit code
1 where an acknowledged record is lost or the server does not recover.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

from benchmarks.counts import conclude, parser
from benchmarks.raw_http import Answer
from benchmarks.server_world import Server, Upstream, project, serving, upstream

AT_ONCE = 4
MEGABYTES = 12
LEFT_BYTES = 200_000  # when the requests begin
MODELS = ("one", "routemoa-single", "routemoa")


@contextlib.contextmanager
def read_only(folder: Path) -> Generator[None]:
    """`folder` read-only, for everybody who opens a file there from now on."""
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Generator[None]:
    """A file system at `folder`, while it is needed."""
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def run(requests: int) -> dict[str, Any]:
    """Full, then read-only, then a start on a read-only disk."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "project"
        var = home / "var"
        var.mkdir(parents=True)
        async with upstream() as behind:
            with mounted(var, "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs"):
                key = project(home, behind.base_url)
                with serving(home, key) as server:
                    await server.ready()
                    full = await _full(server, behind, requests)
                    read_only = await _read_only(server, behind, requests)
                    server.stop()
                started = await _started(home, key)
    return {"requests": requests, "full": full, "read-only": read_only, "a start on a read-only disk": started}


async def _full(server: Server, behind: Upstream, requests: int) -> dict[str, Any]:
    ballast = server.home / "var" / "ballast"
    free = os.statvfs(ballast.parent)
    ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - LEFT_BYTES))
    before, answers = behind.asked.total(), await _asked(server, requests)
    asked, ready = behind.asked.total() - before, (await server.get("/readyz")).status == 200
    ballast.unlink()
    return {**_counted(server, answers, asked), "ready while full": ready, "ready again after, s": round(await server.ready(), 2)}


async def _read_only(server: Server, behind: Upstream, requests: int) -> dict[str, Any]:
    before = behind.asked.total()
    with read_only(server.home / "var"):
        answers = await _asked(server, requests)
        asked, ready = behind.asked.total() - before, (await server.get("/readyz")).status == 200
    return {**_counted(server, answers, asked), "ready while read-only": ready, "ready again after, s": round(await server.ready(), 2)}


async def _started(home: Path, key: str) -> dict[str, Any]:
    with read_only(home / "var"), serving(home, key) as server:
        assert server.process is not None
        code = await asyncio.to_thread(server.process.wait, 120)
        return {"exit code": code, "its last words": server.log.read_text().strip().splitlines()[-1].replace(str(home), "HOME")}


async def _asked(server: Server, requests: int) -> list[Answer]:
    answers: list[Answer] = []
    numbers = iter(range(requests))

    async def some() -> None:
        for number in numbers:
            ask = [{"role": "user", "content": f"what is the sum of 1 and {number} ?"}]
            answers.append(await server.ask(model=MODELS[number % 3], stream=number % 2 == 1, messages=ask))

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return answers


def _counted(server: Server, answers: list[Answer], asked: int) -> dict[str, Any]:
    """What came of these requests, for which LLMs were asked so often."""
    kept = {record.id for record in server.records()}
    acknowledged = [answer.headers["x-routemoa-decision"] for answer in answers if answer.complete]
    refused = Counter(str((answer.error or {}).get("code")) for answer in answers if not answer.complete)
    return {
        "acknowledged": len(acknowledged),
        "lost": sum(decision not in kept for decision in acknowledged),
        "refused": dict(refused),
        "LLMs asked for nothing": asked - len(acknowledged),
    }


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--requests", type=int, default=200)
    arguments = command.parse_args()
    if os.geteuid() != 0:
        sys.exit("It mounts file systems: run it as root, in a container of its own.")
    found = asyncio.run(run(arguments.requests))
    return conclude(found, arguments.out, wrong=found["full"]["lost"] + found["read-only"]["lost"])


if __name__ == "__main__":
    sys.exit(main())
