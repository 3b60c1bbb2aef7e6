"""The official client works against the server unchanged."""

import openai
import pytest
from openai import OpenAI
from world import World

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


@pytest.fixture
def official(client, shared: World) -> OpenAI:
    """OpenAI's own client, its HTTP going to the app in this process."""
    return OpenAI(api_key=shared.key, base_url="http://testserver/v1", http_client=client, max_retries=0)


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single", "echo"])
def test_create(official: OpenAI, model: str) -> None:
    """A completion parses, with usage, and our facts as extra fields."""
    answer = official.chat.completions.create(model=model, messages=ASK, seed=1, extra_body={"routemoa": {"max_layers": 1}})
    assert "the sum of 1 and 2" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.total_tokens >= 15
    assert answer.model_extra["routemoa"]["decision_id"] in answer.id


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single", "echo"])
def test_stream(official: OpenAI, model: str) -> None:
    """A stream parses; its last chunk has the usage."""
    chunks = list(official.chat.completions.create(model=model, messages=ASK, stream=True, stream_options={"include_usage": True}))
    assert "the sum of 1 and 2" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None


def test_the_stream_helper(official: OpenAI) -> None:
    """The client's accumulating helper ends with the whole completion."""
    with official.chat.completions.stream(model="routemoa-single", messages=ASK) as stream:
        for _ in stream:
            pass
        assert "the sum of 1 and 2" in (stream.get_final_completion().choices[0].message.content or "")


def test_a_broken_stream_raises(official: OpenAI) -> None:
    """The client raises where a stream ends in an error event."""
    with pytest.raises(openai.APIError, match="it broke before the answer was complete"):
        list(official.chat.completions.create(model="cut", messages=ASK, stream=True))


@pytest.mark.parametrize(
    ("call", "raised"),
    [
        (lambda it: it.chat.completions.create(model="nobody-here", messages=ASK), openai.NotFoundError),
        (lambda it: it.chat.completions.create(model="echo", messages=[]), openai.BadRequestError),
        (lambda it: it.chat.completions.create(model="echo", messages=ASK, temperature=9), openai.BadRequestError),
        (lambda it: it.with_options(api_key="wrong").models.list(), openai.AuthenticationError),
        (lambda it: it.chat.completions.create(model="garbled", messages=ASK), openai.InternalServerError),
    ],
)
def test_errors_are_the_clients_own(official: OpenAI, call, raised) -> None:
    """Every error arrives as the exception that the client has for it, with code and message."""
    with pytest.raises(raised) as caught:
        call(official)
    assert caught.value.code
    assert caught.value.message


def test_models(official: OpenAI) -> None:
    """The list has the virtual models and the LLMs that can be called, and no other; each can be retrieved."""
    names = {model.id for model in official.models.list()}
    assert {"routemoa", "routemoa-single", "echo"} <= names
    assert not {"retired-one", "recorded-one", "stranger"} & names
    assert official.models.retrieve("routemoa").owned_by == "routemoa"


def test_tools(official: OpenAI) -> None:
    """Tool calls come back as the LLM made them."""
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    answer = official.chat.completions.create(model="routemoa", messages=ASK, tools=tools)
    assert answer.choices[0].message.tool_calls is not None
    assert answer.choices[0].message.tool_calls[0].function.name == "add"
