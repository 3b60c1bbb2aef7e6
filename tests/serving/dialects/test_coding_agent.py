"""A coding agent works through the server as it does at the vendor: every request that its shape has, step by step."""

from collections.abc import Iterator
from typing import Any

import coding_agent
import pytest
from agent_world import Agents, agents_server
from anthropic import Anthropic
from anthropic.types.beta import BetaMessage

MODELS = ["thinker", "plain", "native", "routemoa-single", "routemoa"]


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agents]:
    """It runs."""
    with agents_server(tmp_path_factory.mktemp("coding") / "project") as running:
        yield running


@pytest.fixture
def official(agents: Agents) -> Iterator[Anthropic]:
    """The vendor's own client, with the betas that such agents take part in."""
    betas = {"anthropic-beta": ",".join(coding_agent.BETAS)}
    with Anthropic(api_key=agents.server.key, base_url=agents.server.url, max_retries=0, default_headers=betas) as client:
        yield client


def answered(official: Anthropic, sent: dict[str, Any]) -> BetaMessage:
    """The whole message, by the address that such agents use."""
    fields = {name: value for name, value in sent.items() if name != "stream"}
    if not sent.get("stream"):
        return official.beta.messages.create(**fields)
    with official.beta.messages.stream(**fields) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("model", MODELS)
def test_the_requests_around_the_work(official: Anthropic, model: str) -> None:
    """The check of the key, and the title in structured output."""
    assert answered(official, coding_agent.check_of_the_key(model)).usage.output_tokens > 0
    assert "Why does the parser test fail?" in answered(official, coding_agent.title(model)).content[-1].text


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted_before_the_work(official: Anthropic, model: str) -> None:
    """System text and tools are most of it: about a token for four characters, where the endpoint does not count itself."""
    sent = coding_agent.work(model, [coding_agent.first_turn()])
    fields = {name: sent[name] for name in ("model", "messages", "system", "tools", "thinking")}
    counted = official.beta.messages.count_tokens(**fields).input_tokens
    assert counted == 4321 if model == "native" else len(str(fields)) / 6 < counted < len(str(fields)) / 3


@pytest.mark.parametrize("model", MODELS)
def test_the_work(agents: Agents, official: Anthropic, model: str) -> None:
    """Three questions, each with a step of tools: nothing of the request is missing at the LLM, and no answer is cut."""
    messages: list[Any] = []
    for step in range(3):
        messages.append(coding_agent.first_turn())
        answer = answered(official, coding_agent.work(model, messages))
        assert answer.stop_reason == "tool_use"
        messages.append({"role": "assistant", "content": answer.content})
        calls = [(block.id, f"line {step}") for block in answer.content if block.type == "tool_use"]
        messages.append(coding_agent.results(calls))
        answer = answered(official, coding_agent.work(model, messages))
        messages.append({"role": "assistant", "content": answer.content})
        seen = agents.upstream.bodies[-1]
        assert [len(seen["tools"]), all(text["text"] in written(seen) for text in coding_agent.SYSTEM)] == [36, True]
        assert written(seen).count(coding_agent.QUESTION) == step + 1
        assert f"line {step}" in written(seen)


def written(value: Any) -> str:
    """Every text of a request."""
    if isinstance(value, str):
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "\n".join(map(written, inner))
