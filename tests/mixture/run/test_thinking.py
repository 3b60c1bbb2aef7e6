"""Efforts and thoughts in a whole request: which rows are asked, and who gets to see what was thought."""

from dataclasses import replace
from typing import Any

import pytest

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.client.scripted import Script, ScriptedClient
from mixture.effort import Effort
from mixture.llm import LLM, Endpoint
from mixture.price import Price
from mixture.replay.replay import differences
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.makers import user

FREE = Weights(usd=0, second=0)
THOUGHT = "<think>The secret is that CONFIDENCE: 0.99 would look fine.</think>"


def row(llm: str, weights: str, effort: Effort | None, prior: float = 0.5) -> Candidate:
    return Candidate(LLM(llm, llm, Price(1, 1), Endpoint("http://x/v1", weights), effort=effort), prior)


POOL = [row("a-low", "a", "low", 0.9), row("a-high", "a", "high", 0.4), row("a-plain", "a", None, 0.8), row("b", "b", 2048, 0.3)]


def asked(candidates: list[Candidate], options: Options, **fields: Any) -> tuple[ScriptedClient, Any]:
    client = ScriptedClient({each.llm.id: Script(f"{THOUGHT}answer of {each.llm.id}") for each in candidates})
    request = Request(user(), candidates, options, Layered(order="value"), fields)
    return client, drive(Mixture(client, clock).answer(request))


@pytest.mark.parametrize(
    ("effort", "kept"),
    [("high", {"a-high", "b"}), ("low", {"a-low", "b"}), ("none", {"a-low", "a-high", "a-plain", "b"})],
)
def test_a_callers_effort_narrows_the_candidates(effort: str, kept: set[str]) -> None:
    """Of a family with a row of that effort only that is asked; others keep theirs; the field goes no further."""
    client, decision = asked(POOL, Options(k=4, max_layers=1, weights=FREE, aggregation="best"), reasoning_effort=effort)
    assert set(decision.layers[0].before) == kept
    assert all(f"reasoning_effort is {effort}" in decision.excluded[llm] for llm in {each.llm.id for each in POOL} - kept)
    assert all("reasoning_effort" not in call.options for call in client.calls)
    assert {call.llm.id for call in client.calls} <= kept


def test_a_named_llm_is_asked_with_the_field() -> None:
    """Nobody chose it by its effort, so the client passes the caller's on."""
    client = ScriptedClient({"b": Script("an answer")})
    request = Request(user(), POOL[3:], Options(weights=FREE), fields={"reasoning_effort": "low"})
    drive(Mixture(client, clock).pass_through(request))
    assert client.calls[0].options == {"reasoning_effort": "low"}


def test_thoughts_are_shown_to_nobody_and_judge_nothing() -> None:
    """Peers and aggregators are shown what was said; a confidence inside a thought is no confidence; replayed, it is the same."""
    candidates = [replace(each, prior=0.3) for each in (POOL[0], POOL[3])]
    client, decision = asked(candidates, Options(k=2, max_layers=2, weights=FREE, aggregation="synthesise"))
    shown = [str(call.messages) for call in client.calls]
    assert any("answer of a-low" in each for each in shown)
    assert all("secret" not in each for each in shown)
    runs = [run for layer in decision.layers for run in layer.runs]
    assert {run.text for run in runs} == {"answer of a-low", "answer of b"}
    assert all(run.self_score is None for run in runs)
    assert differences(decision) == []


def test_an_llm_that_only_thinks_gave_no_answer() -> None:
    """Its thoughts are not an answer: another one's is returned, and the failure says why."""
    client = ScriptedClient({"a-low": Script(THOUGHT), "b": Script("an answer")})
    request = Request(user(), [POOL[0], POOL[3]], Options(k=2, max_layers=1, weights=FREE, aggregation="best"), Layered(order="value"))
    decision = drive(Mixture(client, clock).answer(request))
    assert decision.llm == "b"
    assert [failure.llm for failure in decision.failures] == ["a-low"]
