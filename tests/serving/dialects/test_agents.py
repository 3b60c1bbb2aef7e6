"""What coding agents send is taken as it is, by virtual models and by every kind of LLM, and answered with a tool call."""

import agent_shapes
import pytest
from openai import OpenAI
from vendor import Vendor

MODELS = ["routemoa", "routemoa-single", "plain", "thinker", "native"]


@pytest.mark.parametrize("model", MODELS)
def test_over_responses(official: OpenAI, vendor: Vendor, model: str) -> None:
    """A stream whose last event has the call; the free-form tool stays one where the endpoint knows it."""
    asked = agent_shapes.codex(model)
    events = list(official.responses.create(**asked))
    assert [each.sequence_number for each in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    call = next(item for item in events[-1].response.output if item.type == "function_call")
    assert call.name == asked["tools"][0]["name"]
    if model == "native":
        assert vendor.last("responses") == {**asked, "model": "native"}


@pytest.mark.parametrize("model", MODELS)
def test_over_chat_completions(official: OpenAI, vendor: Vendor, model: str) -> None:
    """The conversation reaches the LLM as it was written."""
    asked = agent_shapes.editor(model)
    chunks = list(official.chat.completions.create(**asked))
    calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == asked["tools"][0]["function"]["name"]
    assert chunks[-1].usage.total_tokens > 1000
    assert vendor.last("chat")["messages"] == asked["messages"]
