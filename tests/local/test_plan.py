"""How much the demo does, by how fast an LLM answers."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local import plan
from local.errors import StepFailed
from local.plan import FULL, LEAST


class _Slow(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(0.25)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def slow() -> Iterator[str]:
    """An LLM that takes a quarter of a second."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_a_usual_machine_gets_the_whole_plan() -> None:
    """Nothing is left out, and nothing is said."""
    assert FULL.at_pace(1.2) == (FULL, "")
    assert FULL.at_pace(0.3) == (FULL, "")


def test_a_slow_machine_gets_less_and_is_told() -> None:
    """Four times slower: fewer queries, never fewer than the monitor needs, and four times the patience; the sentence has the figures."""
    slower, sentence = FULL.at_pace(4.0)
    assert LEAST["usual"] <= slower.usual < FULL.usual
    assert LEAST["strange"] <= slower.strange < FULL.strange
    assert slower.audited <= slower.strange
    assert slower.patience == 4.0
    assert f"{slower.usual} usual and {slower.strange} unusual queries instead of {FULL.usual} and {FULL.strange}" in sentence


def test_the_pace_is_measured_by_an_answer(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a second where a tenth is usual is at least two and a half times slower."""
    monkeypatch.setattr(plan, "USUAL_PACE_S", 0.1)
    assert plan.measure(slow, "slow") >= 2.5


def test_an_llm_that_does_not_answer_is_named(slow: str) -> None:
    """Not within the time given: the demo ends with its name and address."""
    with pytest.raises(StepFailed, match=r"^slow does not answer at http://127\.0\.0\.1:\d+/v1 \(ReadTimeout\)"):
        plan.measure(slow, "slow", longest_s=0.05)


def test_what_sends_nothing_of_the_kind_is_not_told_of_it() -> None:
    """An example sends its own queries: only the patience grows."""
    nothing = replace(FULL, usual=0, strange=0, audited=0)
    slower, sentence = nothing.at_pace(4.0)
    assert (slower.usual, slower.strange, slower.patience) == (0, 0, 4.0)
    assert sentence == "An answer takes 4.0 times as long as usual here, so everything may take as much longer."
