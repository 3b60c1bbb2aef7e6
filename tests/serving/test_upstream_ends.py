"""What endpoints do to a request that is routed: another LLM answers at once, or the caller hears at once why none does."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from routing_client import ready
from starlette.testclient import TestClient

from benchmarks import server_world
from benchmarks.upstream_world import running, unreachable
from mixture.client import retry
from serving.settings import ServingSettings

ROUTED = ("routemoa-single", "routemoa")


@dataclass
class Project:
    """One in a folder, as `routing_client.ready` wants it."""

    home: Path
    key: str

    def settings(self, **changed: Any) -> ServingSettings:
        """The server's."""
        return ServingSettings(_env_file=None, home=self.home, **changed)


def asked(client: TestClient, model: str, fault: str, bad: str) -> Any:
    """The answer to a request whose LLMs (`all`, or the `first` in the ranking) have this fault."""
    return client.post(
        "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": f"fault: {fault} bad: {bad}"}]}
    )


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A fresh server before LLMs that fail as the prompt says."""
    with running() as base_url:
        yield from ready(Project(tmp_path, server_world.project(tmp_path, base_url)))


@pytest.mark.parametrize("model", ROUTED)
def test_a_wait_that_one_llm_asks_for_is_nobodys(client: TestClient, model: str) -> None:
    """429 with a minute to wait from the first: the next answers, and nothing was slept for it."""
    began = time.monotonic()
    answer = asked(client, model, "http-429-after-60", "first")
    assert answer.status_code == 200
    assert answer.json()["routemoa"]["llm"] != "one"
    assert time.monotonic() - began < retry.MOST_RETRY_AFTER_S


@pytest.mark.parametrize("model", ROUTED)
def test_a_refusal_is_an_answer(client: TestClient, model: str) -> None:
    """One LLM says no: its caller gets that, and nobody else is paid."""
    answer = asked(client, model, "refusal", "all")
    assert answer.status_code == 200
    message = answer.json()["choices"][0]["message"]
    assert "No." in {message["content"], message.get("refusal")}
    assert answer.json()["routemoa"]["asked"] == ["one"]


@pytest.mark.parametrize("model", ROUTED)
def test_where_nobody_can_be_reached_that_is_said(tmp_path: Path, model: str) -> None:
    """502 and not the deadline's 504, long before the deadline; the message names no address."""
    with unreachable() as addresses:
        for client in ready(Project(tmp_path, server_world.project(tmp_path, addresses["refused"]))):
            began = time.monotonic()
            answer = asked(client, model, "ok", "all")
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "no_answer")
            assert "127.0.0.1" not in answer.text
            assert time.monotonic() - began < 60


def test_one_callers_bad_requests_set_no_llm_aside(client: TestClient) -> None:
    """An LLM that answers 500 to what one caller sends is asked by the others: calls count, not the attempts of each."""
    assert [asked(client, "one", "http-500", "all").status_code for _ in range(2)] == [503, 503]
    assert asked(client, "one", "ok", "all").status_code == 200


@pytest.mark.parametrize("model", ["one", *ROUTED])
def test_a_failed_call_is_a_line_of_the_log_without_words(client: TestClient, model: str) -> None:
    """Which LLM, how it failed, in which request: also where another LLM answered in its place."""
    with structlog.testing.capture_logs() as lines:
        answer = asked(client, model, "http-500-repeats-the-request", "first")
    (line,) = [each for each in lines if each.get("llm") == "one"]
    assert (line["error"], line["status"]) == ("LLMOverloaded", 500)
    assert line["decision"] == answer.headers["x-routemoa-decision"]
    assert "secret" not in str(lines)
