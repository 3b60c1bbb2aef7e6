"""Callers of the hosts: OpenAI's official client, one request after the other, each with a number of its own in `routemoa.domain`."""

import asyncio
import contextlib
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import openai
import psycopg
from openai import AsyncOpenAI

from benchmarks.hosts_world import Hosts

CALLERS = 6
BETWEEN_S = 0.05
MESSAGES: Any = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]
PATIENT_S = 60.0


class Unfinished(Exception):
    """A stream that ended without our facts."""


@dataclass
class Load:
    """What callers saw. acknowledged: number -> decision. refused: how requests failed, with the header Retry-After where one came.

    retries: of the client by itself; 0 shows every failure. rosters: of scorer versions, to tell an answer of two at once.
    """

    world: Hosts
    retries: int = 0
    rosters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    versions: dict[str, float] = field(default_factory=dict)  # the latest beginning of an answered request, by version
    answered_begun_at: float = 0.0
    stopping: bool = False
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self) -> None:
        """All callers, until `stopping`."""
        url = f"{self.world.url}/v1"
        async with AsyncOpenAI(api_key=self.world.key, base_url=url, max_retries=self.retries, timeout=PATIENT_S) as client:
            await asyncio.gather(*(self._call(client, place) for place in range(CALLERS)))

    async def _call(self, client: AsyncOpenAI, place: int) -> None:
        while not self.stopping:
            number, began = f"{self.name}-{next(self._numbers)}", time.monotonic()
            try:
                facts = await _asked(client, number, streamed=place % 2 == 1)
            except openai.APIStatusError as exc:
                told = exc.body.get("code") if isinstance(exc.body, dict) else None
                waits = ", Retry-After" if "retry-after" in exc.response.headers else ""
                self.refused[f"{exc.status_code} {told or 'haproxy'}{waits}"] += 1
            except (openai.APIError, Unfinished) as exc:  # a connection that broke, an error inside a stream
                self.refused[type(exc).__name__] += 1
            else:
                self._note(number, facts, began)
            await asyncio.sleep(BETWEEN_S)

    def _note(self, number: str, facts: dict[str, Any], began: float) -> None:
        version = facts["scorer_version"]
        roster = self.rosters.get(version, tuple(facts["scores"]))
        self.mixed += tuple(facts["scores"]) != roster or not {facts["llm"] or roster[0], *facts["asked"]} <= set(roster)
        self.versions[version] = max(began, self.versions.get(version, 0.0))
        self.answered_begun_at = max(self.answered_begun_at, began)
        self.acknowledged[number] = facts["decision_id"]

    def counted(self) -> dict[str, Any]:
        """What came of them, and whether each answer has its record, once."""
        with psycopg.connect(self.world.database_url) as connection:
            kept = connection.execute("SELECT id, domain FROM records").fetchall()
        ids, numbers = {row[0] for row in kept}, Counter(row[1] for row in kept if row[1])
        return {
            "answered": len(self.acknowledged),
            "failed": self.refused.total(),
            **({"how they failed": dict(self.refused)} if self.refused else {}),
            "answers without a record": sum(decision not in ids for decision in self.acknowledged.values()),
            "requests with two records": sum(numbers[number] > 1 for number in self.acknowledged),
        }


@contextlib.contextmanager
def loaded(world: Hosts, *, retries: int = 0, rosters: dict[str, tuple[str, ...]] | None = None) -> Iterator[Load]:
    """Callers in a thread of their own; ends them, and lets them finish what they ask."""
    load = Load(world, retries, rosters or {})
    thread = threading.Thread(target=lambda: asyncio.run(load.run()), daemon=True)
    thread.start()
    try:
        yield load
    finally:
        load.stopping = True
        thread.join(2 * PATIENT_S)


async def _asked(client: AsyncOpenAI, number: str, *, streamed: bool) -> dict[str, Any]:
    """Our facts about the answer."""
    more: Any = {"routemoa": {"explain": True, "domain": number, "session": f"{number[:8]}{number[-1]}"}}
    if not streamed:
        whole = await client.chat.completions.create(model="routemoa-single", messages=MESSAGES, extra_body=more)
        return dict((whole.model_extra or {})["routemoa"])
    facts: dict[str, Any] | None = None
    async for chunk in await client.chat.completions.create(model="routemoa-single", messages=MESSAGES, stream=True, extra_body=more):
        facts = (chunk.model_extra or {}).get("routemoa") or facts
    if facts is None:
        raise Unfinished
    return facts
