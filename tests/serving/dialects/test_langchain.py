"""langchain's client of OpenAI works unchanged: chat completions and responses, tools, streams."""

from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from vendor_world import VendorWorld
from world import Running


@tool
def add(turn: int) -> int:
    """Adds."""
    return turn


@pytest.fixture(scope="module")
def running(project: VendorWorld) -> Iterator[Running]:
    """A server process."""
    with project.served() as server:
        yield server


@pytest.fixture(params=["chat", "responses"])
def llm(request: pytest.FixtureRequest, running: Running) -> ChatOpenAI:
    """Over either dialect."""
    return ChatOpenAI(
        model="routemoa", base_url=f"{running.url}/v1", api_key=running.key, max_retries=0, use_responses_api=request.param == "responses"
    )


def test_it_answers(llm: ChatOpenAI) -> None:
    """Whole and streamed, with usage."""
    whole = llm.invoke("what is the sum of 1 and 2 ?")
    assert "sum of 1 and 2" in whole.text
    assert whole.usage_metadata["total_tokens"] > 0
    assert "sum of 1 and 2" in "".join(chunk.text for chunk in llm.stream("what is the sum of 1 and 2 ?"))


def test_it_uses_tools(llm: ChatOpenAI) -> None:
    """A call, its result, an answer that knows it."""
    able = llm.bind_tools([add])
    asked: list = [HumanMessage("add, please")]
    called = able.invoke(asked)
    assert isinstance(called, AIMessage)
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("add", {"turn": 1})
    answer = able.invoke([*asked, called, ToolMessage("result 1", tool_call_id=call["id"])])
    assert "result 1" in answer.text
