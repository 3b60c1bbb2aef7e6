"""A project whose pool is the agents' endpoint: LLMs asked in the chat dialect and in Anthropic's; and a real server on it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agent_upstream
from agent_upstream import Upstream
from world import Running, World, entry

PRICE = {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75}
PLAIN_PRICE = {"input": 0.5, "output": 2.0}


class AgentWorld(World):
    """`thinker` and `plain` are asked in the chat dialect, `native` in the caller's."""

    def pool(self) -> dict[str, Any]:
        """The entries."""
        able = {"capabilities": ["tools", "json", "vision"], "context_window": 200_000}
        native = entry(self.base_url, "native", price=PRICE, **able)
        return {
            "thinker": entry(self.base_url, "thinker", price=PRICE, **able),
            "plain": entry(self.base_url, "plain", price=PLAIN_PRICE, **able),
            "native": {**native, "endpoint": {**native["endpoint"], "dialects": ["chat", "messages"]}},
        }


@dataclass
class Agents:
    """A server that runs, and the endpoint behind it."""

    server: Running
    upstream: Upstream


@contextlib.contextmanager
def agents_server(home: Path) -> Iterator[Agents]:
    """Serving `thinker` and `plain` to virtual models, all three by name."""
    with agent_upstream.running() as upstream:
        made = AgentWorld(home, upstream.base_url, roster=("thinker", "plain"))
        made.publish("1")
        with made.served() as server:
            yield Agents(server, upstream)
