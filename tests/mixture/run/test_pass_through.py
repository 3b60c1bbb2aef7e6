"""A request that names its LLM: asked as it is, whatever it can do; data policy, budget and deadline hold."""

from typing import Any

import pytest

from mixture.choose.options import Options
from mixture.client.protocol import Chunk
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.errors import LLMTimedOut, LLMUnreachable, NoAnswer
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.makers import broken, candidate, user


def passed(script: Script, options: Options | None = None, sent: list[Chunk] | None = None, **fields: Any) -> Decision:
    request = Request(user(), [candidate("a", 0.0, data_policy=frozenset({"eu"}))], options or Options(), fields=fields)

    async def emit(chunk: Chunk) -> None:
        if sent is not None:
            sent.append(chunk)

    return drive(Mixture(ScriptedClient({"a": script}), clock).pass_through(request, None if sent is None else emit))


def test_the_llm_gets_the_request_and_the_caller_its_reply() -> None:
    """Abilities nobody wrote down are the endpoint's business; nobody predicted a score."""
    decision = passed(Script("42"), tools=[{"type": "function"}])
    assert (decision.text, decision.llm, decision.stopped_because, decision.score) == ("42", "a", "passed through", 0.0)
    assert decision.reply is not None
    assert decision.reply.raw == {"id": "a"}
    assert decision.snapshot is None


def test_an_empty_reply_is_passed_on_too() -> None:
    """Whoever names an LLM gets what it says."""
    assert passed(Script("")).text == ""


def test_it_is_streamed_as_it_comes() -> None:
    """The endpoint's own chunks, and the decision after them."""
    sent: list[Chunk] = []
    assert passed(Script("one two"), sent=sent).text == "one two"
    assert [chunk.raw["choices"][0]["delta"]["content"] for chunk in sent if chunk.raw] == ["one", "two"]


def test_its_own_failure_is_told() -> None:
    """Nobody stands in for it."""
    with pytest.raises(LLMUnreachable, match="a: is gone"):
        passed(broken("a"))
    with pytest.raises(LLMTimedOut, match="deadline"):
        passed(Script(takes=9.0), Options(deadline=2.0))


@pytest.mark.parametrize(("options", "why"), [(Options(data_policy=frozenset({"local"})), "nobody"), (Options(budget_usd=0.0), "budget")])
def test_policy_and_budget_hold(options: Options, why: str) -> None:
    """Naming an LLM does not get around them."""
    with pytest.raises(NoAnswer) as caught:
        passed(Script("42"), options)
    assert caught.value.why == why
