"""What the guard lets through to pages and sockets, and what it tells browsers."""

import asyncio
import re
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from console.guard import Guard
from tests.serving.world import World

NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Answers whatever comes through."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public")]})


def call(kind: str, *, host: str, origin: str | None = None, path: str = "/") -> dict[str, Any]:
    """The first thing that is sent back."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    headers = [(b"host", host.encode()), *([(b"origin", origin.encode())] if origin else [])]
    asyncio.run(Guard(inner, names=NAMES)({"type": kind, "path": path, "headers": headers}, None, send))
    return sent[0]


@pytest.mark.parametrize("host", ["localhost:8070", "127.0.0.1", "[::1]:8070", "LOCALHOST"])
def test_its_own_names_are_let_in(host: str) -> None:
    """With and without a port, in any case."""
    assert call("http", host=host)["status"] == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:8070"])
def test_another_name_is_refused(host: str) -> None:
    """A page that had its own name point here reads nothing (DNS rebinding)."""
    assert call("http", host=host)["status"] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:9999", "null", "https://localhost.evil.example"])
def test_another_origin_opens_no_socket_and_no_page(origin: str) -> None:
    """Neither a form of another page nor its script acts with a person's session; another port of this machine is another origin."""
    assert call("http", host="localhost:8070", origin=origin)["status"] == 403
    assert call("websocket", host="localhost:8070", origin=origin) == {"type": "websocket.close", "code": 1008}


def test_its_own_page_opens_a_socket() -> None:
    """The pages live by it."""
    assert call("websocket", host="localhost:8070", origin="http://localhost:8070")["type"] == "websocket.accept"


def test_pages_are_not_kept_framed_or_mixed_with_strangers() -> None:
    """Every answer has a policy; what a key may see is in no cache, the library's own files may be."""
    headers = dict(call("http", host="localhost")["headers"])
    assert headers[b"cache-control"] == b"no-store"
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
    assert b"http" not in headers[b"content-security-policy"]  # nothing from elsewhere
    assert dict(call("http", host="localhost", path="/_nicegui/x.js")["headers"])[b"cache-control"] == b"public"


@pytest.mark.parametrize("path", ["/", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"])
def test_a_real_console_is_guarded(console: str, path: str) -> None:
    """Its pages, and the library's socket, which takes every origin by itself."""
    with httpx2.Client(base_url=console, trust_env=False) as client:
        assert client.get(path).status_code == 200
        assert client.get(path, headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 403


def test_its_cookie_is_for_no_script_and_no_other_site(console: str) -> None:
    """It names a session, and holds no key."""
    cookie = httpx2.get(console, trust_env=False).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("words", [None, "No response returned."])
def test_a_page_that_its_browser_left_is_no_error(words: str | None) -> None:
    """The library then answers nothing, or says so by an error; the log is for faults. Any other error is one."""

    async def left(_: Any, __: Any, ___: Any) -> None:
        if words is not None:
            raise RuntimeError(words)

    async def broken(_: Any, __: Any, ___: Any) -> None:
        raise RuntimeError("broken")

    assert first_sent(left)["status"] == 503
    with pytest.raises(RuntimeError, match="broken"):
        first_sent(broken)


def test_a_real_console_says_nothing_of_those_who_leave(world: World, console: str) -> None:
    """Files are sent compressed, which begins late: a browser that goes on to another page leaves many of them."""
    address = urlsplit(console)
    page = httpx2.get(console, trust_env=False).text
    files = sorted(set(re.findall(r"/_nicegui/[^\"'> ]+\.js", page)))
    assert files
    for path in files * 5:
        with socket.create_connection((address.hostname, address.port)) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves by a reset
            asking.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
    assert httpx2.get(console, trust_env=False).status_code == 200
    assert "Traceback" not in (world.home / "console.log").read_text()


def first_sent(app: Any) -> dict[str, Any]:
    """What is sent first where `app` is behind the guard."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(Guard(app, names=NAMES)({"type": "http", "path": "/", "headers": [(b"host", b"localhost")]}, None, send))
    return sent[0]
