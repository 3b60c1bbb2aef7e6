"""Asks LLMs over HTTP in the OpenAI chat protocol: time-outs, retries, breakers, streams; the one door to httpx2."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from mixture.client import wire
from mixture.client.circuit_breaker import Breaker
from mixture.client.httpx_errors import translate, translated
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.retry import retried
from mixture.client.stream_assembly import Assembly
from mixture.client.timeouts import at_most, until_deadline
from mixture.errors import LLMCutOff, LLMGarbled, LLMOverloaded, LLMSetAside, LLMTimedOut, LLMUnreachable
from mixture.llm import LLM, Endpoint

T = TypeVar("T")

ENDPOINTS_FAULT = (LLMUnreachable, LLMTimedOut, LLMOverloaded, LLMGarbled)


class OpenAIClient:
    """Implements `mixture.client.protocol.Client`. One per event loop; `async with`, or `aclose()` when done.

    attempts: how often a call is tried where its error is retryable; never again after the first byte of a reply.
    failures, cool_down_s: of the breaker that every endpoint has (`mixture.client.circuit_breaker`).
    """

    def __init__(self, *, attempts: int = 3, failures: int = 5, cool_down_s: float = 10.0) -> None:
        self._attempts, self._failures, self._cool_down_s = attempts, failures, cool_down_s
        self._http = httpx2.AsyncClient(
            follow_redirects=False,  # a redirect would carry the prompt to a host nobody configured
            trust_env=False,  # nor may a proxy variable
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30),
            timeout=None,  # every call brings its own
        )
        self._slots: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._breakers: dict[Endpoint, Breaker] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections that are kept open."""
        await self._http.aclose()

    async def ask(self, call: Call) -> Reply:
        """One complete reply; `limits.total_s` and the call's deadline bound it, `connect_s` its start.

        The other two limits need a stream: a complete reply shows nothing before its end.
        """
        request = self._request(call, stream=False)

        async def attempt() -> Reply:
            started = time.monotonic()
            async with at_most(call.llm, call.llm.limits.total_s, "limits.total_s"):
                response = await self._http.send(request())
            _raise_refusal(call.llm, response)
            return wire.reply(call, response.content, time.monotonic() - started)

        async with self._slot(call):
            return await self._admitted(call, attempt, whole=True)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The reply in pieces; closing the generator closes the connection, which ends the work at the endpoint."""
        request = self._request(call, stream=True)
        async with self._slot(call):
            started, events = await self._admitted(call, lambda: self._open(call, request()), whole=False)
            async with aclosing(events), aclosing(self._watched(call, _chunks(call, events, started), started)) as watched:
                async for chunk in watched:
                    yield chunk

    async def _open(self, call: Call, request: httpx2.Request) -> tuple[float, AsyncGenerator[dict[str, Any]]]:
        """When the stream began and its events, the first already there: up to here a failure may be retried."""
        started = time.monotonic()
        events = _events(self._http, call, request)
        limit = min(call.llm.limits.first_token_s, call.llm.limits.total_s)
        try:
            async with at_most(call.llm, limit, "limits.first_token_s"):
                begun = await anext(events, None)  # nothing but the sign that the first event is there
        except BaseException:
            await events.aclose()
            raise
        if begun is None:
            raise LLMGarbled(call.llm.id, "the stream ended without an event.")
        return started, events

    async def _watched(self, call: Call, chunks: AsyncGenerator[Chunk], started: float) -> AsyncGenerator[Chunk]:
        """`chunks`, each bounded by what is left of the limits; only waiting for the endpoint counts, not what is done with a chunk."""
        limits = call.llm.limits
        try:
            while True:
                left = started + limits.total_s - time.monotonic()
                limit, name = min((limits.between_chunks_s, "limits.between_chunks_s"), (left, "limits.total_s"))
                async with until_deadline(call):  # the caller's patience: its end is no fault of the endpoint
                    chunk = await self._next(call, chunks, limit, name)
                if chunk is None:
                    return
                yield chunk
        finally:
            await chunks.aclose()

    async def _next(self, call: Call, chunks: AsyncGenerator[Chunk], limit_s: float, name: str) -> Chunk | None:
        """The next chunk, None after the last; the breaker is told of the endpoint's faults and of a whole reply."""
        breaker, asked_at = self._breaker(call), time.monotonic()
        try:
            async with at_most(call.llm, limit_s, name), translated(call.llm):
                chunk = await anext(chunks, None)
        except ENDPOINTS_FAULT:
            breaker.failed(time.monotonic())
            raise
        except asyncio.CancelledError:
            breaker.silent(now := time.monotonic(), now - asked_at, call.silent_after_s)
            raise
        if chunk is not None and chunk.reply is not None:
            breaker.succeeded(now := time.monotonic(), now - asked_at)
        return chunk

    def _request(self, call: Call, *, stream: bool) -> Callable[[], httpx2.Request]:
        """Makes the same request anew for each attempt.

        Raises LLMRefused where it cannot be made: a recorded LLM, an unset key variable, a malformed base_url.
        """
        content = wire.encoded(call.llm, wire.body(call, stream=stream))
        headers = {"Content-Type": "application/json", **wire.headers(call.llm)}
        url = wire.endpoint(call.llm).base_url.rstrip("/") + "/chat/completions"
        timeout = httpx2.Timeout(None, connect=call.llm.limits.connect_s)

        def build() -> httpx2.Request:
            try:
                return self._http.build_request("POST", url, content=content, headers=headers, timeout=timeout)
            except httpx2.InvalidURL as exc:
                raise translate(exc, call.llm) from exc

        return build

    def _breaker(self, call: Call) -> Breaker:
        return self._breakers.setdefault(wire.endpoint(call.llm), Breaker(self._failures, self._cool_down_s))

    @asynccontextmanager
    async def _slot(self, call: Call) -> AsyncGenerator[None]:
        """One of the LLM's `limits.concurrency` places; waiting for it ends at the call's deadline."""
        key = (call.llm.id, call.llm.limits.concurrency)
        slots = self._slots.setdefault(key, asyncio.Semaphore(call.llm.limits.concurrency))
        async with until_deadline(call):
            await slots.acquire()
        try:
            yield
        finally:
            slots.release()

    async def _admitted(self, call: Call, attempt: Callable[[], Awaitable[T]], *, whole: bool) -> T:
        """`attempt`, tried again where it may be, if the endpoint's breaker admits the call; its end is told to the breaker.

        whole: the result is the reply. Otherwise it is a begun stream, which tells nothing yet and may still break.
        """
        breaker, started = self._breaker(call), time.monotonic()
        if not breaker.admits(started):
            failed, ended = breaker.lately(started)
            what = f"failed {failed} of its last {ended} calls; it is tried again in {breaker.opens_in(started):.0f} s."
            raise LLMSetAside(call.llm.id, what)

        async def in_our_words() -> T:
            async with translated(call.llm):
                return await attempt()

        try:
            result = await retried(call, self._attempts, in_our_words)
        except (LLMCutOff, asyncio.CancelledError):
            breaker.silent(now := time.monotonic(), now - started, call.silent_after_s)
            raise
        except ENDPOINTS_FAULT:
            breaker.failed(time.monotonic())
            raise
        except BaseException:
            breaker.abandoned()
            raise
        if whole:
            breaker.succeeded(now := time.monotonic(), now - started)
        else:
            breaker.abandoned()
        return result


async def _events(http: httpx2.AsyncClient, call: Call, request: httpx2.Request) -> AsyncGenerator[dict[str, Any]]:
    """An empty event once the first is there, then all events of the stream up to `[DONE]` or its end."""
    response = await http.send(request, stream=True)
    try:
        if response.status_code != 200:
            await response.aread()
            _raise_refusal(call.llm, response)
        begun = False
        async for event in httpx2.EventSource(response):
            if not begun:
                begun = True
                yield {}
            if event.data == "[DONE]":
                return
            yield wire.event(call.llm, event.data)
    finally:
        await response.aclose()


async def _chunks(call: Call, events: AsyncGenerator[dict[str, Any]], started: float) -> AsyncGenerator[Chunk]:
    """The events as chunks, the last with the whole reply.

    Raises LLMUnreachable where the stream ends before the reply does: a broken stream never looks complete.
    """
    assembly = Assembly(call)
    last: dict[str, Any] = {}
    async for raw in events:
        text = assembly.add(raw)
        if raw.get("choices"):
            yield Chunk(text, raw)
        else:
            last = raw  # the usage, after every choice has ended
    if not assembly.complete:
        raise LLMUnreachable(call.llm.id, "the stream ended before the reply did.", next_step="Read the endpoint's log.")
    yield Chunk("", last, assembly.reply(time.monotonic() - started))


def _raise_refusal(llm: LLM, response: httpx2.Response) -> None:
    if response.status_code != 200:
        raise wire.refusal(llm, response.status_code, response.content, response.headers.get("retry-after"))
