"""More requests at once than the server takes: `python -m benchmarks.overload [--requests 500] [--deadline-s 60]`.

All arrive together at a server of 256 places; its LLMs take a fifth of a second. Counted, for requests passed through, to
`routemoa-single` and to `routemoa`: answered, refused with 503 and a Retry-After, ended at their deadline (504), and what is none of these;
how long after its deadline the last admitted one ended, as its record has it; and what the server is like afterwards. A last burst has a
thirtieth of the time. Exit code 1 where a request ended in another way or is in no record, or the server did not recover.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.counts import conclude, parser
from benchmarks.raw_http import Answer
from benchmarks.server_world import Server, served, until

ASK = [{"role": "user", "content": "wait: 0.2 what is the sum ?"}]
ENDS = {200: "answered", 503: "refused with Retry-After", 504: "ended at the deadline"}
GOOD = frozenset(ENDS.values())
REST_S = 12.0  # after a burst: LLMs that could not be heard are set aside for ten seconds


async def burst(server: Server, name: str, model: str, requests: int, deadline_s: float) -> dict[str, Any]:
    """All at once, and what the server is like when the last has ended."""
    ask = {"model": model, "messages": ASK, "routemoa": {"deadline_s": deadline_s, "domain": name}}
    answers = await asyncio.gather(*(server.ask(**ask) for _ in range(requests)))
    records = {record.id: record for record in server.records() if record.domain == name}
    decided = [answer.headers["x-routemoa-decision"] for answer in answers if "x-routemoa-decision" in answer.headers]
    await asyncio.sleep(REST_S)
    began = time.monotonic()
    again = await server.ask(model=model, messages=ASK)
    return {
        "ends": dict(Counter(_end(answer) for answer in answers)),
        "admitted": len(decided),
        "of these without a record": sum(decision not in records for decision in decided),
        "seconds until refused, p50": _median([answer.took_s for answer in answers if answer.status == 503]),
        "seconds until answered, p50": _median([answer.took_s for answer in answers if answer.status == 200]),
        "latest after its deadline, by the server's clock, s": round(
            max(0.0, *(each.latency_s - deadline_s for each in records.values())), 2
        ),
        "afterwards: one request, s": round(time.monotonic() - began, 2) if again.complete else f"status {again.status}",
        "afterwards: ready": (await server.get("/readyz")).status == 200,
    }


async def run(requests: int, deadline_s: float) -> dict[str, Any]:
    """Three bursts, and one in a hurry."""
    found: dict[str, Any] = {"requests at once": requests, "deadline, s": deadline_s}
    async with served(ROUTEMOA_KEY_SHARE="1", ROUTEMOA_MIXTURE__DEADLINE_S=str(deadline_s)) as (server, _):
        for model in ("one", "routemoa-single", "routemoa"):
            found[model] = await burst(server, model, model, requests, deadline_s)
        found["one, in a hurry"] = await burst(server, "hurry", "one", requests, deadline_s / 30)

        async def places_taken() -> float:
            return float((await server.get("/metrics")).content.decode().partition("\nroutemoa_in_flight ")[2].partition("\n")[0])

        async def is_empty() -> bool:
            return await places_taken() == 0

        await until(is_empty, 60)
        found["places taken at rest"] = await places_taken()
    return found


def _end(answer: Answer) -> str:
    if answer.status == 503 and "retry-after" not in answer.headers:
        return "refused without Retry-After"
    return ENDS.get(answer.status, f"status {answer.status}") if answer.whole else "broken"


def _median(seconds: Sequence[float]) -> float | str:
    return round(sorted(seconds)[len(seconds) // 2], 2) if seconds else "none"


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--requests", type=int, default=500)
    command.add_argument("--deadline-s", type=float, default=60.0)
    arguments = command.parse_args()
    found = asyncio.run(run(arguments.requests, arguments.deadline_s))
    bursts = [each for each in found.values() if isinstance(each, dict)]
    strange = sum(count for each in bursts for end, count in each["ends"].items() if end not in GOOD)
    lost = sum(each["of these without a record"] + (not each["afterwards: ready"]) for each in bursts)
    return conclude(found, arguments.out, wrong=strange + lost)


if __name__ == "__main__":
    sys.exit(main())
