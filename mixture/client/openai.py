"""Asks LLMs over HTTP, in the OpenAI chat protocol or as a caller wrote it: time-outs, retries, streams; the one door to httpx2."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from mixture.client import http_bodies, request_body
from mixture.client.circuit_breaker import Breaker
from mixture.client.httpx_errors import translate, translated
from mixture.client.native import Event, Native, NativeAssembly, usable
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.refused_fields import without_refused
from mixture.client.retry import retried
from mixture.client.stream_assembly import Assembly
from mixture.client.timeouts import at_most, until_deadline
from mixture.client.trace_headers import trace_headers
from mixture.errors import LLMCutOff, LLMGarbled, LLMOverloaded, LLMRefused, LLMSetAside, LLMTimedOut, LLMUnreachable
from mixture.llm import Endpoint, RequestFields

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
        self._taken: dict[Endpoint, RequestFields] = {}  # what an endpoint takes of a request, where it refused something by name

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

        async def attempt(request: httpx2.Request) -> Reply:
            started = time.monotonic()
            async with at_most(call.llm, call.llm.limits.total_s, "limits.total_s"), self._response(request) as response:
                tree = await http_bodies.whole(call.llm, response)
            assembly = _assembly(call)
            assembly.add(tree)
            return assembly.reply(time.monotonic() - started)

        further = trace_headers(call.llm.id)
        async with self._slot(call):
            return await self._sent(call, attempt, further, stream=False)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk]:
        """The reply in pieces; closing the generator closes the connection, which ends the work at the endpoint."""
        further = trace_headers(call.llm.id)
        async with self._slot(call):
            begun = await self._sent(call, partial(self._open, call), further, stream=True)
            async with aclosing(begun.events), aclosing(self._watched(call, begun.chunks(), begun.started)) as watched:
                async for chunk in watched:
                    yield chunk

    async def _sent(self, call: Call, attempt: Callable[[httpx2.Request], Awaitable[T]], further: Mapping[str, str], *, stream: bool) -> T:
        """The result of `attempt`, tried again where it may be; fields that the endpoint refuses by name are left out from then on.

        further: headers beside the endpoint's own. stream: `attempt` only begins a reply. Otherwise it brings the whole.
        """
        place = request_body.endpoint(call.llm)
        if (native := _native(call)) is not None:
            request = self._request(call, native.body(call.llm, stream=stream), further, native)
            return await self._admitted(call, partial(_made, attempt, request), whole=not stream)
        taken = self._taken.get(place, RequestFields())
        while True:
            sent = taken.apply(request_body.body(call, stream=stream))
            request = self._request(call, sent, further)
            try:
                result = await self._admitted(call, partial(_made, attempt, request), whole=not stream)
            except LLMRefused as refused:
                taken = without_refused(call, sent, taken, refused)
            else:
                self._taken[place] = taken
                return result

    async def _open(self, call: Call, request: httpx2.Request) -> "_Begun":
        """The stream, its first event already there: up to here a failure may be retried."""
        started = time.monotonic()
        events = self._events(call, request)
        assembly = _assembly(call)
        limit = min(call.llm.limits.first_token_s, call.llm.limits.total_s)
        try:
            async with at_most(call.llm, limit, "limits.first_token_s"):
                first = await _first(call, events)
            return _Begun(started, events, assembly, assembly.add(first.tree, named=first.name))
        except BaseException:
            await events.aclose()
            raise

    async def _events(self, call: Call, request: httpx2.Request) -> AsyncGenerator[Event | None]:
        async with self._response(request) as response:
            async for event in http_bodies.events(call.llm, response):
                yield event

    @asynccontextmanager
    async def _response(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Response]:
        """The answer to `request` once its head is there; its body is still to be read."""
        response = await self._http.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

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

    def _request(
        self, call: Call, sent: Mapping[str, Any], further: Mapping[str, str], native: Native | None = None
    ) -> Callable[[], httpx2.Request]:
        """Makes the same request anew for each attempt.

        Raises LLMRefused where it cannot be made: an unset key variable, a malformed base_url, text that is no Unicode.
        """
        content = request_body.encoded(call.llm, sent)
        of_dialect = request_body.headers(call.llm) if native is None else native.headers(call.llm)
        headers = {"Content-Type": "application/json", **further, **of_dialect}
        url = request_body.endpoint(call.llm).base_url.rstrip("/") + ("/chat/completions" if native is None else native.path)
        timeout = httpx2.Timeout(None, connect=call.llm.limits.connect_s)

        def build() -> httpx2.Request:
            try:
                return self._http.build_request("POST", url, content=content, headers=headers, timeout=timeout)
            except httpx2.InvalidURL as exc:
                raise translate(exc, call.llm) from exc

        return build

    def _breaker(self, call: Call) -> Breaker:
        return self._breakers.setdefault(request_body.endpoint(call.llm), Breaker(self._failures, self._cool_down_s))

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


def _native(call: Call) -> Native | None:
    return call.native if usable(call.native, call.llm) else None


def _assembly(call: Call) -> Assembly | NativeAssembly:
    native = _native(call)
    return Assembly(call) if native is None else native.assembly(call)


async def _made(attempt: Callable[[httpx2.Request], Awaitable[T]], request: Callable[[], httpx2.Request]) -> T:
    return await attempt(request())


async def _first(call: Call, events: AsyncGenerator[Event | None]) -> Event:
    event = await anext(events, None)
    if event is None:
        raise LLMGarbled(call.llm.id, "the stream ended without an event.")
    return event


@dataclass(frozen=True, slots=True)
class _Begun:
    """A stream whose first event is there. started: monotonic seconds."""

    started: float
    events: AsyncGenerator[Event | None]
    assembly: Assembly | NativeAssembly
    first: Chunk

    async def chunks(self) -> AsyncGenerator[Chunk]:
        """The events as chunks, the last with the whole reply.

        Raises LLMUnreachable where the stream ends before the reply does: a broken stream never looks complete.
        """
        done, uncounted = False, self.first
        if _passes(self.first):
            yield self.first
        async for event in self.events:
            if event is None:
                done = True
                break
            chunk = self.assembly.add(event.tree, named=event.name)
            if _passes(chunk):
                yield chunk
            else:
                uncounted = chunk  # the usage, after every choice has ended
        if not self.assembly.complete(done=done):
            llm = self.assembly.call.llm.id
            raise LLMUnreachable(llm, "the stream ended before the reply did.", next_step="Read the endpoint's log.")
        last = {} if _passes(uncounted) else uncounted.raw
        yield Chunk("", last, self.assembly.reply(time.monotonic() - self.started))


def _passes(chunk: Chunk) -> bool:
    """Whether it brings more than a usage."""
    return chunk.native is not None or bool(chunk.raw["choices"])
