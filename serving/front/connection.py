"""One HTTP connection, and what it may cost before anybody has shown a key: bytes of headers, and time to send, to ask and to read."""

import asyncio
import resource
from enum import Enum, auto
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.errors import HeadersTooLarge, Overloaded, RequestRefused, RequestTooSlow, ServingError
from serving.settings import ConnectionSettings

SETTINGS = "connections"  # where the lifespan's state has them
WHOLE = "whole"  # in a request's state: all of it has come
PIECE = 16 * 1024  # bytes parsed at once: by so much the cap on headers can be passed
MOST_AHEAD = 16  # requests sent before the first is answered; uvicorn would keep any number
LAST_WORDS_S = 0.5  # a refused caller gets to read why before the connection is cut
FILES_FOR_CONNECTIONS = 0.75  # of those that this process may open; the rest are for LLMs, records and artifacts


class Sends(Enum):
    """What the caller is sending."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """uvicorn's connection within `ConnectionSettings`; refuses as every route does, in the dialect of its address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A stranger; the one who has kept us waiting longest makes room where there are too many."""
        super().connection_made(transport)
        self._settings = cast(ConnectionSettings, self.app_state[SETTINGS])
        self._sends, self._request = Sends.HEADERS, 0
        self._without_body = 0  # bytes since the last one of a body: headers, trailers, chunk extensions
        self._waiting_since = self.loop.time()
        self._refused = False
        self._timed: tuple[Sends, int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > most_connections(self._settings):
            self._make_room()
        self._keep_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        for timer in (self._timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """In pieces, so that what a parser collects stays within the cap."""
        for start in range(0, len(data), PIECE):
            if self._refused or self.transport.is_closing():
                return
            piece = data[start : start + PIECE]
            self._without_body += len(piece)
            if self._sends is Sends.NOTHING:
                self._sends = Sends.HEADERS
            super().data_received(piece)
            if self._without_body > self._settings.header_bytes:
                self._refuse(HeadersTooLarge(f"The headers have more than {self._settings.header_bytes} bytes."))
        self._keep_time()

    def on_message_begin(self) -> None:
        """The next request."""
        self._sends, self._request = Sends.HEADERS, self._request + 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Raises ValueError for a request too many ahead, or without the one Host that HTTP/1.1 asks for (RFC 9112, 3.2)."""
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("pipeline")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise ValueError("Host")
        self._sends = Sends.BODY
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of it."""
        self._without_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here, often before anybody has looked at it."""
        self._sends, self._without_body = Sends.NOTHING, 0
        self.scope["state"][WHOLE] = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The caller's turn."""
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The caller does not read what it asked for."""
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self._settings.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for a while; a close would wait for a caller who has not read his last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What the parser does not take."""
        self._refuse(RequestRefused(f"{msg} It has to be HTTP/1.1 with one Host."))

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is being answered here."""
        return not self._is_answering and not self.transport.is_closing()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        waiting = [each for each in self.connections if isinstance(each, Connection) and each is not self and each.is_waiting]
        if waiting:
            min(waiting, key=lambda each: each._waiting_since).transport.abort()
        else:
            self._refuse(Overloaded("This server has as many connections as it takes.", next_step="Try again shortly."))

    def _keep_time(self) -> None:
        """Times the part of the request that has begun and is not here yet: most are here at once and cost no timer."""
        now = (self._sends, self._request)
        if now == self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
        limits = {Sends.HEADERS: self._settings.headers_s, Sends.BODY: self._settings.body_s}
        limit = limits.get(self._sends)
        self._timed = now
        self._timer = None if limit is None else self.loop.call_later(limit, self._late)

    def _late(self) -> None:
        self._timed = self._timer = None
        if self._sends is Sends.HEADERS and self._is_answering:  # of the next request already: not late before this one is answered
            self._keep_time()
        elif self._request == 0 and self._without_body == 0:  # never said a word
            self.transport.close()
        else:
            limit = self._settings.headers_s if self._sends is Sends.HEADERS else self._settings.body_s
            self._refuse(RequestTooSlow(f"The {self._sends.name.lower()} did not arrive within {limit:g} s."))

    def _refuse(self, error: ServingError) -> None:
        """Says why and closes; only closes where an answer is on its way already."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        about_this = self._sends is Sends.BODY
        if (self._is_answering and not about_this) or (about_this and self.cycle is not None and self.cycle.response_started):
            self.transport.close()
        else:
            self.transport.write(_answer(error, (self.scope or {}).get("path") or ""))
            if self.transport.can_write_eof():
                self.transport.write_eof()
            if self.cycle is not None:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        self.loop.call_later(LAST_WORDS_S, self.transport.abort)


def most_connections(settings: ConnectionSettings) -> int:
    """As many as the operator allows and this process's limit of open files can bear."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return settings.most if soft == resource.RLIM_INFINITY else min(settings.most, int(soft * FILES_FOR_CONNECTIONS))


def allow_files(wanted: int) -> None:
    """Raises this process's limit of open files to `wanted`, or as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _answer(error: ServingError, path: str) -> bytes:
    """path: as far as it is known already."""
    from serving.dialects.spoken import dialect_of  # here, for a supervisor imports this module before it knows where its metrics go

    answer = dialect_of(path).error(error, {"connection": "close"})
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
    return STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body)
