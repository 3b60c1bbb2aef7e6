"""Ten turns of a conversation that uses tools, by OpenAI's own client: the bill is an independent biller's, to the cent."""

import json
from decimal import Decimal

import pytest
from openai import OpenAI
from starlette.testclient import TestClient
from vendor import Vendor
from vendor_bill import bill

TURNS = 10
SYSTEM = "You are an agent. " * 200
ADD = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {"turn": {"type": "integer"}}}}
MODELS = ["plain", "thinker", "native", "routemoa-single", "routemoa"]


class Till:
    """Costs as the server says them, of each answer by its record."""

    def __init__(self, served: TestClient) -> None:
        self._served = served
        self.usd: list[Decimal] = []
        self.unsettled = Decimal(0)  # calls that were given up, on a machine too busy to answer in time: the vendor bills them

    def take(self, decision_id: str) -> None:
        record = self._served.get(f"/v1/decisions/{decision_id}").json()
        self.usd.append(Decimal(str(record["cost_usd"])))
        self.unsettled += Decimal(str(record["decision"]["unsettled_usd"]))


@pytest.mark.parametrize("model", MODELS)
def test_over_chat_completions(official: OpenAI, served: TestClient, vendor: Vendor, model: str) -> None:
    """Odd turns whole, even ones streamed."""
    counted, till = len(vendor.counted), Till(served)
    tools = [{"type": "function", "function": ADD}]
    messages: list = [{"role": "system", "content": f"{SYSTEM} {model}"}]
    for turn in range(1, TURNS + 1):
        messages.append({"role": "user", "content": f"step {turn}, please"})
        for _ in ("call", "answer"):
            if turn % 2:
                answer = official.chat.completions.create(model=model, messages=messages, tools=tools)
            else:
                with official.chat.completions.stream(model=model, messages=messages, tools=tools) as stream:
                    answer = stream.until_done().get_final_completion()
            till.take(answer.id.removeprefix("chatcmpl-"))
            message = answer.choices[0].message
            messages.append(message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True))
            for call in message.tool_calls or ():
                assert json.loads(call.function.arguments) == {"turn": turn}
                messages.append({"role": "tool", "tool_call_id": call.id, "content": f"result {turn}"})
        assert f"result {turn}" in messages[-1]["content"]
    agrees(till, vendor.counted[counted:])


@pytest.mark.parametrize("goes_on", ["whole", "previous_response_id"])
@pytest.mark.parametrize("model", MODELS)
def test_over_responses(official: OpenAI, served: TestClient, vendor: Vendor, model: str, goes_on: str) -> None:
    """With the conversation sent each time, and with the server keeping it."""
    counted, till = len(vendor.counted), Till(served)
    tools = [{"type": "function", **ADD, "strict": False}]
    history: list = []
    previous = None
    for turn in range(1, TURNS + 1):
        new: list = [{"role": "user", "content": f"step {turn}, please"}]
        for _ in ("call", "answer"):
            sent = [*history, *new] if goes_on == "whole" else new
            asked = {"model": model, "input": sent, "tools": tools, "instructions": f"{SYSTEM} {model} {goes_on}"}
            asked |= {} if previous is None or goes_on == "whole" else {"previous_response_id": previous}
            raw = official.responses.with_raw_response.create(**asked)
            till.take(raw.headers["x-routemoa-decision"])
            answer = raw.parse()
            previous = answer.id
            history += [*new, *(item.model_dump(exclude_none=True) for item in answer.output)]
            calls = [item for item in answer.output if item.type == "function_call"]
            new = [{"type": "function_call_output", "call_id": call.call_id, "output": f"result {turn}"} for call in calls]
        assert f"result {turn}" in answer.output_text
    agrees(till, vendor.counted[counted:])


def agrees(till: Till, counted: list[tuple[str, int, int, int, int]]) -> None:
    """Call by call and in the sum; caches had a part in it."""
    assert len(till.usd) == 2 * TURNS
    assert len(counted) >= 2 * TURNS
    assert sum(cached for _, _, cached, _, _ in counted) > 0
    difference, rounding = bill(counted) - sum(till.usd), Decimal("1e-12")
    assert -rounding < difference < till.unsettled + rounding
