"""Damaged replies and streams of five providers' shapes: `python -m benchmarks.wire_fuzz` runs twenty thousand."""

import asyncio

import pytest

from benchmarks import wire_fuzz
from mixture.client.openai import OpenAIClient
from mixture.run.calls import Calls


def test_whatever_an_endpoint_sends_is_a_reply_or_a_failure_of_that_llm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No 500, nothing unforeseen, every attempt recorded with its cost, and no part of our key in an error."""
    monkeypatch.setenv(wire_fuzz.KEY_VARIABLE, wire_fuzz.KEY)
    ended, failures, violations = asyncio.run(wire_fuzz.run(1, 400))
    assert violations == {}
    assert {end.split(": ")[0] for end in ended} == set(wire_fuzz.WAYS)
    assert {"LLMGarbled", "LLMOverloaded", "LLMRefused", "LLMUnreachable"} <= failures.keys()


@pytest.mark.parametrize(
    ("where", "what", "instead", "violation"),
    [
        (Calls, "fail", lambda *_: None, "an attempt that is in no record"),
        (OpenAIClient, "ask", lambda *_: 1 / 0, "would leave as a 500 (ZeroDivisionError)"),
    ],
)
def test_the_fuzz_notices(monkeypatch: pytest.MonkeyPatch, where: type, what: str, instead: object, violation: str) -> None:
    """An engine that writes down no failure, a client that raises something else."""
    monkeypatch.setenv(wire_fuzz.KEY_VARIABLE, wire_fuzz.KEY)
    monkeypatch.setattr(where, what, instead)
    assert violation in asyncio.run(wire_fuzz.run(1, 80))[2]
