"""What a connection may cost whoever is behind it: bytes of headers, time to send, to ask and to read."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import psutil
import pytest
from world import Running, World

BODY = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}).encode()
LIMITS = {
    "ROUTEMOA_CONNECTIONS__HEADERS_S": "1",
    "ROUTEMOA_CONNECTIONS__BODY_S": "1.5",
    "ROUTEMOA_CONNECTIONS__IDLE_S": "2",
    "ROUTEMOA_CONNECTIONS__UNREAD_S": "1",
    "ROUTEMOA_CONNECTIONS__MOST": "40",
    "ROUTEMOA_MAX_IN_FLIGHT": "16",
}


@pytest.fixture(scope="module")
def server(shared: World) -> Iterator[Running]:
    """A server in a hurry: 40 connections, 16 places (12 for a key), 4 for what is being sent (3 for a key)."""
    with shared.served(**LIMITS) as running:
        yield running


@contextlib.contextmanager
def raw(server: Running) -> Iterator[socket.socket]:
    """A connection on which nothing is said yet."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def head(path: str = "/livez", *more: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *more, "", ""]).encode()


def post(server: Running, length: int = len(BODY)) -> bytes:
    return head("/v1/chat/completions", f"Authorization: Bearer {server.key}", f"Content-Length: {length}", method="POST")


def callers(server: Running) -> set[tuple[str, int]]:
    """The addresses that the server's process has a connection to."""
    return {tuple(each.raddr) for each in psutil.Process(server.process.pid).net_connections() if each.raddr}


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            got += piece
    return got


def error(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer that has to be in OpenAI's schema."""
    lines, _, body = answer.partition(b"\r\n\r\n")
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert b"content-type: application/json" in lines
    return int(lines.split()[1]), json.loads(body)["error"]["code"]


def send(connection: socket.socket, content: bytes) -> None:
    """As much as the server takes."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(content)


def drip(connection: socket.socket, content: bytes) -> None:
    """A hundred bytes a second."""
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(0.01)


ENDLESS = {
    "many headers": head()[:-2] + b"X-Y: z\r\n" * 2_000_000,
    "one header": head()[:-2] + b"X-Y: " + b"z" * 16_000_000,
    "one name": head()[:-2] + b"z" * 16_000_000,
    "the address": b"GET /" + b"z" * 16_000_000,
    "trailers": head("/livez", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n" + b"X-Y: z\r\n" * 2_000_000,
    "a chunk's extension": head("/livez", "Transfer-Encoding: chunked") + b"1;" + b"z" * 16_000_000,
    "empty lines": b"\r\n" * 8_000_000,
}


@pytest.mark.parametrize("what", ENDLESS)
def test_headers_without_end_are_cut_off(server: Running, what: str) -> None:
    """Whatever is not body has a cap, without a key: memory stays, others are answered at once."""
    process = psutil.Process(server.process.pid)
    before, cpu = process.memory_info().rss, sum(process.cpu_times()[:2])
    with raw(server) as connection, server.client() as client:
        send(connection, ENDLESS[what])
        assert client.get("/livez").status_code == 200
        rest(connection)  # comes to an end
    assert process.memory_info().rss - before < 20 * 2**20
    assert sum(process.cpu_times()[:2]) - cpu < 2.0


@pytest.mark.parametrize("count", [1, 70])
def test_headers_up_to_the_cap_are_read(server: Running, count: int) -> None:
    """50 KB are fine, in one header or in many; 100 KB are 431 in OpenAI's schema."""
    for size, wanted in ((50_000, 200), (100_000, 431)):
        with raw(server) as connection:
            each = size // count
            connection.sendall(head("/livez", "Connection: close", *(f"X-{number}: {'z' * each}" for number in range(count))))
            answer = rest(connection)
        assert answer.startswith(f"HTTP/1.1 {wanted} ".encode())
        if wanted == 431:
            assert error(answer) == (431, "headers_too_large")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-", "request_too_slow"),
        (b"GET", "request_too_slow"),
        (b"", None),
        ("body", "request_too_slow"),
    ],
)
def test_a_request_that_never_ends_is_ended(server: Running, sent: bytes, code: str | None) -> None:
    """Headers and body have their time, then 408 and the end; a connection that says nothing is only closed."""
    content = post(server) + BODY[:-1] if sent == "body" else sent
    with raw(server) as connection:
        connection.sendall(content)
        began = time.monotonic()
        answer = rest(connection)
        assert time.monotonic() - began < 10
    assert error(answer) == (408, code) if code else answer == b""


def test_dripping_buys_no_time(server: Running) -> None:
    """One byte at a time, headers and bodies end all the same."""
    for beginning, drops in ((b"GET /livez HTTP/1.1\r\n", b"X: y\r\n" * 200), (post(server, 100_000), b" " * 1000)):
        with raw(server) as connection:
            connection.sendall(beginning)
            began = time.monotonic()
            with pytest.raises(ConnectionError):
                drip(connection, drops)
            assert time.monotonic() - began < 10


def test_an_idle_connection_is_kept_and_then_closed(server: Running) -> None:
    """Between requests a connection stays for idle_s; a second request on it is answered."""
    with raw(server) as connection:
        for _ in range(2):
            connection.sendall(head())
            while b"alive" not in connection.recv(65536):
                pass
            time.sleep(1.2)  # longer than headers may take: nothing has begun
        assert rest(connection) == b""


def test_idle_connections_shut_nobody_out(server: Running) -> None:
    """Three times as many connections as there may be, silent, half-asked or kept alive: the longest silent make room."""
    with contextlib.ExitStack() as held:
        for number in range(120):
            connection = held.enter_context(raw(server))
            with contextlib.suppress(ConnectionError):
                connection.sendall((b"", b"GET /livez HT", head())[number % 3])
            if number % 20 == 19:
                with server.client() as client:
                    assert client.post("/v1/chat/completions", content=BODY).status_code == 200
        assert len(psutil.Process(server.process.pid).net_connections("tcp")) < 60


def test_bodies_that_never_end_hold_no_place(server: Running, shared: World) -> None:
    """Twice as many as there are places, of one key: others, and the same key's whole requests, are answered."""
    from serving.access import keys

    other = keys.create(shared.settings().keys_file, "another", ("chat",))
    with contextlib.ExitStack() as held, server.client() as client:
        connections = [held.enter_context(raw(server)) for _ in range(32)]
        for connection in connections:
            connection.sendall(post(server) + BODY[:-1])
        deadline = time.monotonic() + 5
        while client.post("/v1/chat/completions", content=BODY, headers={"Authorization": f"Bearer {other}"}).status_code != 200:
            assert time.monotonic() < deadline
        assert client.get("/admin/scorer").json()["in_flight"] == 0
        codes = [error(rest(connection)) for connection in connections]
        assert {*codes} == {(503, "overloaded"), (408, "request_too_slow")}
        assert codes.count((408, "request_too_slow")) == 3
        assert client.post("/v1/chat/completions", content=BODY).status_code == 200


def test_one_key_leaves_places_to_others(server: Running, shared: World) -> None:
    """A key that takes its share of the places gets 503; another key is answered."""
    from serving.access import keys

    other = keys.create(shared.settings().keys_file, "a third", ("chat",))
    ask = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "word " * 40}]}
    with contextlib.ExitStack() as held, server.client() as client:
        for _ in range(12):
            held.enter_context(client.stream("POST", "/v1/chat/completions", json=ask))
        refused = client.post("/v1/chat/completions", content=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert "of this key" in refused.json()["error"]["message"]
        answered = client.post("/v1/chat/completions", content=BODY, headers={"Authorization": f"Bearer {other}"})
        assert answered.status_code == 200


def test_an_answer_that_nobody_reads_is_given_up(server: Running) -> None:
    """A caller who asks on and on and never reads loses the connection; whether he hears of it, his full buffer decides."""
    with raw(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head("/"))
        while connection.getsockname() not in callers(server):
            time.sleep(0.01)
        deadline = time.monotonic() + 60
        while connection.getsockname() in callers(server):
            assert time.monotonic() < deadline
            send(connection, head("/"))
            time.sleep(0.01)


def test_requests_ahead_without_end_are_cut_off(server: Running) -> None:
    """A few may be sent before the first is answered, and are answered in order; not thousands."""
    with raw(server) as connection:
        connection.sendall(head() * 7 + head("/livez", "Connection: close"))
        assert rest(connection).count(b"alive") == 8
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    with raw(server) as connection:
        send(connection, head() * 200_000)
        rest(connection)
    assert process.memory_info().rss - before < 20 * 2**20


BAD = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": b"POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "length and chunks": b"POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST /v1/route HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a NUL": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_request_is_400_in_the_schema(server: Running, what: str) -> None:
    """Also where it is refused before there is a route."""
    with raw(server) as connection:
        connection.sendall(BAD[what])
        answer = rest(connection)
    assert answer.count(b"content-length") == 1
    if what == "bad chunk":  # the key is asked for before the body is looked at
        assert answer.startswith(b"HTTP/1.1 40")
    else:
        assert error(answer) == (400, "invalid_request")
