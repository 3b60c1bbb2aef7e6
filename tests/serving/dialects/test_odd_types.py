"""Where a dialect's request says what kind a thing is, anything may stand: it is refused by name, in the dialect's schema."""

import pytest

ODD = [None, 4, [], ["text"], {}, {"type": "text"}]
ASK = {"role": "user", "content": "hello"}
FUNCTION = {"type": "function", "name": "f", "parameters": {}}
RESULT = {"type": "function_call_output", "call_id": "c"}


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda odd: {"input": [{**RESULT, "output": [{"type": odd, "text": "x"}]}]},
        lambda odd: {"input": [{"role": "user", "content": [{"type": odd, "text": "x"}]}]},
        lambda odd: {"input": "x", "tools": [{"type": odd, "name": "f"}]},
        lambda odd: {"input": "x", "tools": [FUNCTION], "tool_choice": {"type": odd, "name": "f"}},
    ],
)
def test_responses(client, wrap, odd) -> None:
    """In OpenAI's."""
    answer = client.post("/v1/responses", json={"model": "echo", **wrap(odd)})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda odd: {"messages": [{"role": "user", "content": [{"type": odd, "text": "x"}]}]},
        lambda odd: {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": odd}}]}]},
        lambda odd: {"messages": [{"role": odd, "content": "x"}]},
        lambda odd: {"messages": [ASK], "tool_choice": {"type": odd}},
        lambda odd: {"messages": [ASK], "thinking": {"type": odd}},
        lambda odd: {"messages": [ASK], "system": [{"type": odd, "text": "x"}]},
        lambda odd: {"messages": [ASK], "tools": [{"type": odd or 4, "name": "f", "input_schema": {}}]},
    ],
)
def test_messages(client, wrap, odd) -> None:
    """In Anthropic's."""
    answer = client.post("/v1/messages", json={"model": "echo", "max_tokens": 9, **wrap(odd)})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["param"]
