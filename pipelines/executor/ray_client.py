"""Asking LLMs from the machines of a Ray cluster. Only a call's single attempt travels.

Whether it is made, with which money, how many at once, and whether it is made again is decided where the journal and the budget are, by the
same code as without Ray. A call whose worker is lost is a connection that broke: it may have been charged for, its worst case stays
reserved, and it is made again only where the budget has room for that too.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Call, Reply
from mixture.client.timeouts import at_most, until_deadline
from mixture.errors import LLMUnreachable

MOST = 8  # callers: each makes some hundred calls a second, more than this process can hand out
NEVER = 10**9  # failures: the breaker is on the side that decides
GRACE_S = 30.0  # beyond `limits.total_s`, which the caller watches


class Caller:
    """An actor that makes single attempts."""

    def __init__(self) -> None:
        self._client: OpenAIClient | None = None

    async def ask(self, call: Call, keys: Mapping[str, str]) -> Reply:
        """One attempt. keys: environment variables that hold the endpoint's key. Raises LLMFailed."""
        os.environ.update(keys)
        if self._client is None:
            self._client = OpenAIClient(attempts=1, failures=NEVER)
        return await self._client.ask(call)


class Callers:
    """The actors, by turns. Ray starts a lost one again, on any machine: they take no CPU's place."""

    def __init__(self, ray: Any, places: int) -> None:
        options = {
            "num_cpus": 0,
            "max_restarts": -1,
            "max_task_retries": 0,
            "scheduling_strategy": "SPREAD",
            "max_concurrency": 1000,
            "enable_task_events": False,  # the head would remember each of the last 100,000 calls
        }
        self.ray = ray
        self._actors = [ray.remote(Caller).options(**options).remote() for _ in range(min(places, MOST))]
        self._turn = cycle(self._actors)

    def ask(self, call: Call) -> Any:
        """A reference to the reply of one attempt."""
        name = call.llm.endpoint.api_key_env if call.llm.endpoint else None
        keys = {name: os.environ[name]} if name and name in os.environ else {}
        return next(self._turn).ask.remote(Call(call.llm, call.messages, call.options, optional=call.optional), keys)


class RayClient(OpenAIClient):
    """Asks through `callers`; what an attempt is aside, it is an OpenAIClient."""

    def __init__(self, callers: Callers, *, attempts: int, cool_down_s: float) -> None:
        super().__init__(attempts=attempts, cool_down_s=cool_down_s)
        self._callers = callers

    async def ask(self, call: Call) -> Reply:
        """One complete reply."""
        async with self._slot(call):
            return await self._admitted(call, partial(self._attempt, call), whole=True)

    async def _attempt(self, call: Call) -> Reply:
        ray = self._callers.ray
        reference = self._callers.ask(call)
        try:
            async with until_deadline(call), at_most(call.llm, call.llm.limits.total_s + GRACE_S, "limits.total_s"):
                reply: Reply = await reference
        except asyncio.CancelledError:
            ray.cancel(reference)
            raise
        except ray.exceptions.RayActorError as exc:
            raise LLMUnreachable(call.llm.id, "the Ray worker that asked was lost.", next_step="See `ray status`.") from exc
        except ray.exceptions.RayTaskError as exc:
            raise (exc.cause if isinstance(exc.cause, Exception) else exc) from None
        return replace(reply, raw={})
