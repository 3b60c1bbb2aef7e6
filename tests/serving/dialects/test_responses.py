"""OpenAI's own client holds conversations in responses, with virtual models and every LLM, streamed and whole."""

import json

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel
from starlette.testclient import TestClient
from vendor import THOUGHT, Vendor
from vendor_world import VendorWorld

from serving.access import keys

ASK = "what is the sum of 1 and 2 ?"
ADD = {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}, "strict": False}
PATCH = {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}
PNG = "data:image/png;base64,iVBORw0K"
MODELS = ["routemoa", "routemoa-layers", "routemoa-single", "plain", "thinker", "native"]


def test_a_whole_response_parses(official: OpenAI) -> None:
    """With words, usage in its parts, and our facts."""
    for model in MODELS:
        answer = official.responses.create(model=model, input=ASK)
        assert answer.status == "completed"
        assert answer.output_text
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 5


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_accumulates(official: OpenAI, model: str) -> None:
    """The client's own accumulator ends with the whole response; events are numbered without a gap, the last says complete."""
    with official.responses.stream(model=model, input=ASK) as stream:
        events = list(stream)
        final = stream.get_final_response()
    numbers = [each.sequence_number for each in events]
    assert numbers == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    said = "".join(each.delta for each in events if each.type == "response.output_text.delta")
    assert said == final.output_text
    assert final.usage is not None


def test_what_is_thought_is_an_item_of_its_own(official: OpenAI) -> None:
    """In a stream and whole; its tokens stand in the usage."""
    whole = official.responses.create(model="thinker", input=ASK)
    with official.responses.stream(model="thinker", input=ASK) as stream:
        thought = "".join(each.delta for each in stream if each.type == "response.reasoning_text.delta")
        streamed = stream.get_final_response()
    for answer in (whole, streamed):
        assert [item.type for item in answer.output] == ["reasoning", "message"]
        assert answer.output[0].content[0].text == THOUGHT == thought
        assert answer.usage.output_tokens_details.reasoning_tokens == len(THOUGHT.split())


@pytest.mark.parametrize("model", ["routemoa", "plain", "native"])
@pytest.mark.parametrize("stream", [False, True])
def test_tools_over_turns(official: OpenAI, vendor: Vendor, model: str, stream: bool) -> None:
    """A call, its result, an answer that knows the result; the conversation sent whole each time."""
    items: list = [{"role": "user", "content": "add, please"}]
    for turn in (1, 2):
        if stream:
            with official.responses.stream(model=model, input=items, tools=[ADD]) as streamed:
                called = streamed.until_done().get_final_response()
        else:
            called = official.responses.create(model=model, input=items, tools=[ADD])
        call = next(item for item in called.output if item.type == "function_call")
        assert (call.name, json.loads(call.arguments)) == ("add", {"turn": turn})
        items += [item.model_dump(exclude_none=True) for item in called.output]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": f"result {turn}"})
        answer = official.responses.create(model=model, input=items, tools=[ADD])
        assert f"result {turn}" in answer.output_text
        items += [*(item.model_dump(exclude_none=True) for item in answer.output), {"role": "user", "content": "again"}]


def test_a_conversation_reaches_a_chat_endpoint_in_its_form(official: OpenAI, vendor: Vendor) -> None:
    """One system text at the beginning; calls beside each other in one message, then their results, then the images they showed."""
    items = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": PNG, "detail": "low"}]},
        {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": "another LLM's"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "call_id": "a", "name": "add", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "x"},
        {"type": "function_call_output", "call_id": "a", "output": "3"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_image", "image_url": PNG}]},
    ]
    official.responses.create(
        model="plain",
        instructions="You are an agent.",
        input=items,
        tools=[ADD, PATCH],
        tool_choice={"type": "function", "name": "add"},
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=77,
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        metadata={"a": "b"},
        include=["reasoning.encrypted_content"],
        store=False,
    )
    sent = vendor.last("chat")
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert sent["messages"][0]["content"] == "You are an agent.\n\nBe kind."
    assert sent["messages"][1]["content"][1] == {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    assert [call["id"] for call in sent["messages"][2]["tool_calls"]] == ["a", "b"]
    assert sent["messages"][2]["content"] == "I look."
    assert json.loads(sent["messages"][2]["tool_calls"][1]["function"]["arguments"]) == {"input": "x"}
    assert sent["messages"][5]["content"][1]["type"] == "image_url"
    assert "another LLM's" not in json.dumps(sent)
    assert sent["tools"][0] == {"type": "function", "function": {k: ADD[k] for k in ("name", "description", "parameters", "strict")}}
    assert "start: x" in sent["tools"][1]["function"]["description"]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
    assert (sent["max_tokens"], sent["reasoning_effort"], sent["verbosity"], sent["parallel_tool_calls"]) == (77, "low", "low", False)
    assert not {"metadata", "store", "include", "instructions", "input"} & sent.keys()


@pytest.mark.parametrize("stream", [False, True])
def test_a_free_form_tool_is_called_with_a_text(official: OpenAI, stream: bool) -> None:
    """Through an LLM that only knows functions."""
    call = official.responses.create(model="plain", input="go", tools=[PATCH], stream=stream)
    if stream:
        (call,) = (each.response for each in list(call) if each.type == "response.completed")
    (item,) = call.output
    assert (item.type, item.name) == ("custom_tool_call", "patch")
    assert json.loads(item.input) == {"turn": 1}  # no `input` in what this LLM wrote: all of it


def test_structured_output(official: OpenAI, vendor: Vendor) -> None:
    """The client's own way to ask for a form reaches the endpoint as its schema."""

    class Sum(BaseModel):
        total: int

    with pytest.raises(ValueError, match="Invalid JSON"):  # this vendor ignores it: the client says so
        official.responses.parse(model="plain", input=ASK, text_format=Sum)
    assert vendor.last("chat")["response_format"]["json_schema"]["name"] == "Sum"


@pytest.mark.parametrize("model", ["routemoa-single", "plain", "native", "thinker"])
def test_previous_response_id_goes_on(official: OpenAI, model: str) -> None:
    """From a response of any model, by any other; tool calls too."""
    first = official.responses.create(model=model, input="my word is xyzzy", tools=[ADD], instructions="Only now.")
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "done"}
    second = official.responses.create(model=model, previous_response_id=first.id, input=[result])
    assert "done" in second.output_text
    third = official.responses.create(model="plain", previous_response_id=second.id, input="and now")
    assert third.usage.input_tokens > second.usage.input_tokens > first.usage.input_tokens / 2


def test_instructions_are_of_one_response_only(official: OpenAI, vendor: Vendor) -> None:
    """As OpenAI has it: those of the previous one are not carried over."""
    first = official.responses.create(model="plain", input="hello", instructions="Speak Latin.")
    official.responses.create(model="plain", input="go on", previous_response_id=first.id)
    assert [message["role"] for message in vendor.last("chat")["messages"]] == ["user", "assistant", "user"]


def test_what_is_not_kept_is_said(official: OpenAI, served: TestClient, project: VendorWorld) -> None:
    """Unknown, not stored, another key's, forgotten: the error that OpenAI's clients know, and what to do."""
    not_stored = official.responses.create(model="plain", input=ASK, store=False)
    stored = official.responses.create(model="plain", input=ASK)
    other = official.with_options(api_key=_key(served, project, "other"))
    for client, response_id in ((official, "resp_nobody"), (official, not_stored.id), (other, stored.id)):
        with pytest.raises(openai.BadRequestError, match="Send the whole conversation") as caught:
            client.responses.create(model="plain", input="go on", previous_response_id=response_id)
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    assert served.delete(f"/v1/responses/{stored.id}", headers={"Authorization": f"Bearer {other.api_key}"}).status_code == 400
    official.responses.delete(stored.id)
    with pytest.raises(openai.BadRequestError):
        official.responses.create(model="plain", input="go on", previous_response_id=stored.id)


def _key(served: TestClient, project: VendorWorld, name: str) -> str:
    import time

    key = keys.create(project.settings().keys_file, name, ("chat",))
    give_up = time.monotonic() + 20
    while served.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code != 200:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return key


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://10.0.0.1/x"}]}]},
            "input.0.content.0.image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}, "input.0.content.0.file_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x"}]}]}, "input.0.content.0.file_url"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
        ({"input": [{"type": "function_call", "name": "add"}]}, "input.0.call_id"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input.0.call_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0.type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input.0.type"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [ADD], "tool_choice": "sometimes"}, "tool_choice"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"temperature": 9}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": {"format": {"type": "poem"}}}, "text.format.type"),
        ({"messages": []}, "messages"),
        ({"budget_usd": 1}, "budget_usd"),
        ({"routemoa": {"budget": 1}}, "routemoa.budget"),
    ],
)
def test_what_is_not_done_is_refused_by_name(served: TestClient, fields: dict, param: str) -> None:
    """In OpenAI's schema, with the field as its caller wrote it, and nothing is asked."""
    response = served.post("/v1/responses", json={"model": "routemoa", "input": ASK, **fields})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")


@pytest.mark.parametrize(
    ("call", "raised"),
    [
        (lambda it: it.responses.create(model="nobody-here", input=ASK), openai.NotFoundError),
        (lambda it: it.responses.create(model="plain", input=[]), openai.BadRequestError),
        (lambda it: it.with_options(api_key="wrong").responses.create(model="plain", input=ASK), openai.AuthenticationError),
        (lambda it: it.responses.create(model="refusing", input=ASK), openai.BadRequestError),
        (lambda it: it.responses.retrieve("resp_1"), openai.APIStatusError),
    ],
)
def test_errors_are_the_clients_own(official: OpenAI, call, raised) -> None:
    """Every error arrives as the exception that the client has for it."""
    with pytest.raises(raised) as caught:
        call(official)
    assert caught.value.code
    assert caught.value.message


def test_an_answer_cut_by_its_limit_is_incomplete(official: OpenAI, served: TestClient, monkeypatch) -> None:
    """Whole and streamed, and says why."""
    import vendor as vendors

    real = vendors._stream
    monkeypatch.setattr(vendors, "_stream", lambda events, **how: real(json.loads(json.dumps(events).replace('"stop"', '"length"')), **how))
    with official.responses.stream(model="plain", input=ASK) as stream:
        last = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert (last.response.status, last.response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
