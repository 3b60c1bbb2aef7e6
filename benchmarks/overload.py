"""More requests at once than the server takes: `python -m benchmarks.overload [--requests 500] [--deadline-s 30]`.

All arrive together at a server of 256 places; its LLMs take a fifth of a second. Counted, for requests passed through, to
`routemoa-single` and to `routemoa`: answered, refused with 503 and a Retry-After, ended at their deadline (504), and what is none of these;
how late the last admitted one ended; and what the server is like afterwards. A last burst has a tenth of the time. Exit code 1 where a
request ended in another way, a refusal had no Retry-After, or the server did not recover.
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


async def burst(server: Server, model: str, requests: int, deadline_s: float) -> dict[str, Any]:
    """All at once, and what the server is like when the last has ended."""
    asks = (server.ask(model=model, messages=ASK, routemoa={"deadline_s": deadline_s}) for _ in range(requests))
    answers = await asyncio.gather(*asks)
    ends = Counter(_end(answer) for answer in answers)
    admitted = [answer.took_s for answer in answers if answer.status != 503]
    began = time.monotonic()
    again = await server.ask(model=model, messages=ASK)
    return {
        **dict(ends),
        "seconds until refused, p50": _median([answer.took_s for answer in answers if answer.status == 503]),
        "seconds until answered, p50": _median([answer.took_s for answer in answers if answer.status == 200]),
        "last admitted one after its deadline, s": round(max(0.0, max(admitted) - deadline_s), 2),
        "afterwards: seconds of one request": round(time.monotonic() - began, 2) if again.complete else f"status {again.status}",
        "afterwards: ready": (await server.get("/readyz")).status == 200,
    }


async def run(requests: int, deadline_s: float) -> dict[str, Any]:
    """Three bursts, and one in a hurry."""
    found: dict[str, Any] = {"requests at once": requests, "deadline, s": deadline_s}
    async with served(ROUTEMOA_KEY_SHARE="1") as (server, _):
        for model in ("one", "routemoa-single", "routemoa"):
            found[model] = await burst(server, model, requests, deadline_s)
        found["one, in a hurry"] = await burst(server, "one", requests, deadline_s / 10)

        async def is_empty() -> bool:
            return " 0.0" in (await server.get("/metrics")).content.decode().partition("\nroutemoa_in_flight")[2].partition("\n")[0]

        await until(is_empty, 60)
        found["places taken at rest"] = 0
        found["answers or errors without a record"] = await _unrecorded(server)
    return found


async def _unrecorded(server: Server) -> int:
    """Requests that took a place and are in no record."""
    text = (await server.get("/metrics")).content.decode()
    served_ = sum(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("routemoa_requests_total") and _took_a_place(line)
    )
    return int(served_) - len(server.records())


def _took_a_place(line: str) -> bool:
    return 'route="/v1/chat/completions"' in line and 'status="503"' not in line


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
    command.add_argument("--deadline-s", type=float, default=30.0)
    arguments = command.parse_args()
    found = asyncio.run(run(arguments.requests, arguments.deadline_s))
    bursts = [each for each in found.values() if isinstance(each, dict)]
    strange = sum(
        isinstance(count, int) for each in bursts for end, count in each.items() if end.startswith(("status", "broken", "refused without"))
    )
    stuck = sum(not each["afterwards: ready"] for each in bursts)
    return conclude(found, arguments.out, wrong=strange + stuck + found["answers or errors without a record"])


if __name__ == "__main__":
    sys.exit(main())
