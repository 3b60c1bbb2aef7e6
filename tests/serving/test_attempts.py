"""The attempts of a request, read from its account: calls of every end, with their times, each once."""

from collections import deque
from contextlib import suppress
from typing import Any

import pytest

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.client.protocol import Reply
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.errors import LLMFailed, LLMOverloaded, NoAnswer
from mixture.replay.virtual_time import clock, drive
from mixture.run.account import Account
from mixture.run.engine import Mixture
from mixture.run.request import Request
from serving.tracing.attempts import Attempt, attempts
from tests.mixture.makers import candidate, user

FREE = Weights(usd=0, second=0)


def asked(scripts: dict[str, Any], **options: Any) -> list[Attempt]:
    """Attempts of a request to LLMs that do what their scripts say."""
    account = Account()
    candidates = [candidate(name, 0.6 - 0.1 * at) for at, name in enumerate(scripts)]
    request = Request(user(), candidates, Options(**{"weights": FREE, "max_layers": 1, **options}), Layered(order="value"))
    decision: Decision | None = None
    with suppress(NoAnswer, LLMFailed):
        decision = drive(Mixture(ScriptedClient(scripts), clock).answer(request, None, account))
    return attempts(account, decision)


def told(made: list[Attempt]) -> list[tuple[str, int, float, float, str]]:
    return [
        (each.llm, each.layer, round(each.start_s, 3), round(each.end_s, 3), type(each.error).__name__ if each.error else "answered")
        for each in made
    ]


def test_calls_at_once_and_a_synthesis() -> None:
    """A layer's calls begin together, the aggregator's after them, in layer 0; calls of one LLM are numbered."""
    made = asked({"a": Script("one", takes=2.0), "b": Script("two", takes=1.0)}, k=2, aggregation="synthesise")
    assert told(made) == [("b", 1, 0.0, 1.0, "answered"), ("a", 1, 0.0, 2.0, "answered"), ("a", 0, 2.0, 4.0, "answered")]
    assert [each.call for each in made] == [0, 0, 1]


def test_a_call_that_failed_and_one_that_stood_in() -> None:
    """Both are there, with what each took."""
    failed = LLMOverloaded("a", "HTTP 429: slow down")
    made = asked({"a": Script(fails=failed, takes=0.5), "b": Script("two", takes=1.0)}, k=1)
    assert told(made) == [("a", 1, 0.0, 0.5, "LLMOverloaded"), ("b", 1, 0.5, 1.5, "answered")]


def test_tries_within_a_call_stand_apart() -> None:
    """Each try that another followed is an attempt of its own; the last one is the call's, from where they ended."""
    failed = LLMOverloaded("a", "HTTP 503: later")
    failed.retryable = True
    script = deque([Script(fails=failed, takes=0.5, retried=True), Script("one", takes=1.0)])
    made = asked({"a": script}, k=1)
    assert told(made) == [("a", 1, 0.0, 0.5, "LLMOverloaded"), ("a", 1, 0.5, 1.5, "answered")]
    assert [each.call for each in made] == [None, 0]


def test_a_reply_of_no_use_is_one_attempt() -> None:
    """It came, was paid, and failed: one attempt with its tokens and its error."""
    empty = Reply("a", " ", "length", 10, 20, 0.5, 1.0)
    made = asked({"a": Script(empty, takes=1.0), "b": Script("two", takes=1.0)}, k=1)
    assert told(made) == [("a", 1, 0.0, 1.0, "LLMGarbled"), ("b", 1, 1.0, 2.0, "answered")]
    assert made[0].reply == empty


def test_a_request_without_an_answer_has_its_attempts() -> None:
    """Nobody answered: there is no decision, and the calls are known all the same."""
    failed = LLMFailed("a", "gone")
    made = asked({"a": Script(fails=failed, takes=0.5)}, k=1)
    assert told(made) == [("a", 1, 0.0, 0.5, "LLMFailed")]
    assert made[0].error is failed
    assert made[0].end_s == pytest.approx(0.5)
