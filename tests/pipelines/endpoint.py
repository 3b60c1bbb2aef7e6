"""An OpenAI-protocol endpoint that counts what it is asked, for tests of stages that ask; what it does not know it reverses."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Endpoint:
    """delay_s: how long each answer takes. failing: questions answered with HTTP 500. meanwhile: called before each answer.

    knows: its answers to questions. most_at_once: of the questions that were being answered at any time.
    """

    delay_s: float = 0.0
    meanwhile: Callable[[], object] = lambda: None
    failing: set[str] = field(default_factory=set)
    knows: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    url: str = ""
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a busy machine takes connections late


@contextmanager
def running() -> Iterator[Endpoint]:
    """An endpoint listening on a free port."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = body["messages"][-1]["content"]
            with endpoint.lock:
                endpoint.asked[question] += 1
                endpoint.at_once += 1
                endpoint.most_at_once = max(endpoint.most_at_once, endpoint.at_once)
            endpoint.meanwhile()
            time.sleep(endpoint.delay_s)
            with endpoint.lock:
                endpoint.at_once -= 1
            fails = question in endpoint.failing
            message = {"role": "assistant", "content": endpoint.knows.get(question, question[::-1])}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": [{"logprob": -0.5}]}}
            content = {"choices": [choice], "usage": {"prompt_tokens": 20, "completion_tokens": 5}}
            self.send(500 if fails else 200, {"error": {"message": "cannot"}} if fails else content)

        def send(self, status: int, content: dict) -> None:
            encoded = json.dumps(content).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)
            except ConnectionError:
                pass  # the asking run was killed

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
