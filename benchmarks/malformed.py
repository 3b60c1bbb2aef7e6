"""Malformed requests against a live server: `python -m benchmarks.malformed [--requests 50000] [--seed 0]`.

Every route and method, with a key of all scopes, of one scope, and without one; the LLMs behind it answer well. Counted: answers of 5xx,
errors outside the schema of their dialect, requests without an answer, and growth of the server's memory. A 504 at a deadline that the
request itself set too short is the right answer, and counted apart. Exit code 1 where anything is wrong; `shown` has the first.
"""

import asyncio
import contextlib
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import psutil

from benchmarks.counts import conclude, parser
from benchmarks.malformed_bodies import MESSAGES, NO_METHOD, Malformed, malformed
from benchmarks.raw_http import Answer, Connection, opened
from benchmarks.server_world import served
from serving.access import keys
from serving.dialects.messages_errors import TYPES

AT_ONCE = 8
SHOWN = 10
PERIOD = 1000  # requests between two lines of progress
SCHEMA = {"message", "type", "param", "code"}
ENVELOPE = {"type", "error", "request_id"}
ERRORS = {*TYPES.values(), "api_error"}


@dataclass
class Seen:
    """What came of the requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    too_short: int = 0

    def note(self, sent: Malformed, answer: Answer | None) -> None:
        """Takes in one answer, None where none came."""
        self.statuses["none" if answer is None else f"{answer.status // 100}xx"] += 1
        complaint = self._complaint(sent, answer)
        if complaint is not None:
            self.wrong[complaint] += 1
            if len(self.shown) < SHOWN:
                self.shown.append(f"{complaint}: {sent.method} {sent.path} {sent.body[:400]!r}")

    def _complaint(self, sent: Malformed, answer: Answer | None) -> str | None:
        if answer is None or not answer.whole:
            return "without an answer"
        if answer.status >= 500 and not self._deadline_was_too_short(sent, answer):
            return f"answered {answer.status}"
        if answer.status >= 400 and sent.method != "HEAD" and not _in_schema(sent, answer.content):
            return "an error outside the schema"
        return None

    def _deadline_was_too_short(self, sent: Malformed, answer: Answer) -> bool:
        is_so = answer.status == 504 and _in_schema(sent, answer.content) and answer.error["code"] in {"deadline_exceeded", "llm_timed_out"}
        self.too_short += is_so
        return is_so


def _in_schema(sent: Malformed, content: bytes) -> bool:
    """Whether an error is in the schema of its address: Anthropic's below its path, OpenAI's at any other, or where it is no HTTP."""
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(tree, dict) or not isinstance(tree.get("error"), dict):
        return False
    if not f"{sent.path}/".startswith(f"{MESSAGES}/") or sent.method == NO_METHOD:
        return bool(tree["error"].keys() == SCHEMA)
    error = tree["error"]
    return bool(tree.keys() == ENVELOPE and tree["type"] == "error" and error.get("type") in ERRORS and error.get("message"))


async def run(requests: int, seed: int) -> dict[str, Any]:
    """All of them, AT_ONCE beside each other."""
    seen, numbers = Seen(), iter(range(requests))
    async with served() as (server, _):
        chat = keys.create(server.home / "var" / "keys.json", "chat-only", ("chat",))
        process = psutil.Process(server.pid)
        await asyncio.sleep(2)  # the key is followed
        await _some(server.port, server.key, iter(range(200)), seed + 1, Seen())  # what a first request of each kind takes stays
        before = process.memory_info().rss
        async with asyncio.TaskGroup() as group:
            for place in range(AT_ONCE):
                key = (*[server.key] * 5, chat, chat, "")[place % AT_ONCE]
                group.create_task(_some(server.port, key, numbers, seed, seen))
        grown = process.memory_info().rss - before
        alive = (await server.get("/readyz")).status == 200
    return {
        "requests": seen.statuses.total(),
        "answers": dict(sorted(seen.statuses.items())),
        "wrong": dict(seen.wrong) or "nothing",
        "504 at a deadline that the request set": seen.too_short,
        "memory grown, MB": round(grown / 1e6, 1),
        "ready afterwards": alive,
        **({"shown": seen.shown} if seen.shown else {}),
    }


async def _some(port: int, key: str, numbers: Iterator[int], seed: int, seen: Seen) -> None:
    """The requests of these numbers, one after the other, on one connection as long as it lasts."""
    connection: Connection | None = None
    for number in numbers:
        sent, answer = malformed(random.Random(seed * 10**9 + number)), None
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            connection = connection or await opened(port, key)
            answer = await connection.ask(sent.body, sent.path, sent.method)
        seen.note(sent, answer)
        if connection is not None and (answer is None or not answer.whole or answer.headers.get("connection") == "close"):
            connection.writer.close()
            connection = None
        if number % PERIOD == PERIOD - 1:
            print(f"{number + 1}: {dict(seen.wrong) or 'nothing wrong'}", file=sys.stderr, flush=True)
    if connection is not None:
        connection.writer.close()


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--requests", type=int, default=50_000)
    command.add_argument("--seed", type=int, default=0)
    arguments = command.parse_args()
    found = asyncio.run(run(arguments.requests, arguments.seed))
    return conclude(found, arguments.out, wrong=(found["wrong"] != "nothing") + (not found["ready afterwards"]))


if __name__ == "__main__":
    sys.exit(main())
