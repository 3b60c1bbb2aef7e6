"""How long the largest requests that are allowed hold up everybody else: `python -m benchmarks.big_bodies`.

A server worker in this process, whose event loop counts the CPU of each single step. Bodies of nearly four megabytes, each of one kind,
are passed through and routed: one text, many messages, many parts, many tool calls, as many JSON values as are taken, an image. Shown is
the longest step of each request: for so long no other request of the worker is heard, whatever the machine.
"""

import asyncio
import base64
import json
import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import structlog

from benchmarks.counts import conclude, parser
from benchmarks.server_world import project, upstream
from serving.app import create_app
from serving.settings import ServingSettings

BYTES = 3_900_000
PIECES = 1990
MODELS = ("one", "routemoa-single", "routemoa")


def bodies() -> Mapping[str, Mapping[str, Any]]:
    """Kind -> messages and fields."""
    each = "word " * (BYTES // PIECES // 5)
    user = {"role": "user", "content": "what is the sum ?"}
    parts = [{"type": "text", "text": each[:-60]} for _ in range(PIECES)]
    call = {"type": "function", "function": {"name": "f", "arguments": json.dumps({"q": each[:-120]})}}
    told = {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{at}", **call} for at in range(PIECES // 2)]}
    results = [{"role": "tool", "tool_call_id": f"c{at}", "content": "3"} for at in range(PIECES // 2)]
    image = base64.b64encode(b"x" * (BYTES * 3 // 4)).decode()
    picture = [{"type": "text", "text": "what is it ?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}]
    rows = [{"a": at, "b": "x" * 150} for at in range(16_000)]
    return {
        "one text": {"messages": [{"role": "user", "content": "word " * (BYTES // 5)}]},
        "one text without spaces": {"messages": [{"role": "user", "content": "w" * BYTES}]},
        "messages": {"messages": [{"role": ("user", "assistant")[at % 2], "content": each[:-40]} for at in range(PIECES)] + [user]},
        "parts": {"messages": [{"role": "user", "content": parts}]},
        "tool calls": {"messages": [user, told, *results]},
        "values in a schema": {"messages": [user], "response_format": {"type": "json_object", "x": rows}},
        "values in an unknown field": {"messages": [user], "unheard": rows},
        "an image": {"messages": [{"role": "user", "content": picture}]},
    }


class Steps:
    """The CPU of the longest single step of this thread's event loop since the last `reset`."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        handles: Any = asyncio.Handle
        run = handles._run

        def timed(handle: Any) -> None:
            began = time.thread_time()
            run(handle)
            self.longest_s = max(self.longest_s, time.thread_time() - began)

        handles._run = timed

    def reset(self) -> None:
        """From now on."""
        self.longest_s = 0.0


async def run() -> dict[str, Any]:
    """Milliseconds by kind of body, for each model, as the median of three."""
    found: dict[str, Any] = {}
    steps = Steps()
    with tempfile.TemporaryDirectory() as folder:
        async with upstream() as behind:
            key = project(Path(folder), behind.base_url, capabilities=["tools", "json", "vision"])
            app = create_app(ServingSettings(_env_file=None, home=Path(folder)))
            async with app.router.lifespan_context(app):
                transport = httpx2.ASGITransport(app)
                async with httpx2.AsyncClient(transport=transport, base_url="http://x", timeout=300) as client:
                    client.headers["authorization"] = f"Bearer {key}"
                    for kind, fields in bodies().items():
                        found[kind] = {model: await _longest_ms(client, steps, model, fields) for model in MODELS}
    return found


async def _longest_ms(client: httpx2.AsyncClient, steps: Steps, model: str, fields: Mapping[str, Any]) -> str:
    content = json.dumps({"model": model, **fields}).encode()
    taken = []
    for _ in range(3):
        steps.reset()
        status = (await client.post("/v1/chat/completions", content=content)).status_code
        taken.append(steps.longest_s)
    return f"{1000 * sorted(taken)[1]:.0f} ms (status {status}, {len(content) / 1e6:.1f} MB)"


def main() -> int:
    """The exit code."""
    arguments = parser(__doc__).parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return conclude({"longest step": asyncio.run(run())}, arguments.out, wrong=0)


if __name__ == "__main__":
    sys.exit(main())
