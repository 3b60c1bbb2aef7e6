"""Conversations of agents through Anthropic's clients: ten turns with tools, thoughts that go back signed, and a bill to the cent."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import agent_upstream
import anthropic
import pytest
from agent_upstream import THOUGHT
from agent_world import PLAIN_PRICE, PRICE, Agents, AgentWorld, agents_server
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message
from routing_client import ready

PRICES = {"thinker": PRICE, "plain": PLAIN_PRICE, "native": PRICE}
TURNS = 10
TOOLS: Any = [{"name": "look", "description": "looks", "input_schema": {"type": "object", "properties": {"turn": {"type": "integer"}}}}]
SYSTEM: Any = [{"type": "text", "text": "You look before you answer.", "cache_control": {"type": "ephemeral"}}]


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agents]:
    """It runs."""
    with agents_server(tmp_path_factory.mktemp("agents") / "project") as running:
        yield running


def billed_by_hand(used: Sequence[tuple[str, Mapping[str, int]]]) -> float:
    """USD for what an endpoint used, reckoned from its own counts and the prices of the pool alone."""
    total = 0.0
    for model, tokens in used:
        price = PRICES[model]
        uncached = tokens["input"] - tokens["cache_read"] - tokens["cache_write"]
        total += uncached * price["input"] / 1e6 + tokens["output"] * price["output"] / 1e6
        total += tokens["cache_read"] * price.get("cache_read", price["input"]) / 1e6
        total += tokens["cache_write"] * price.get("cache_write", price["input"]) / 1e6
    return total


def billed_by_usage(answers: Sequence[Message], llm: str) -> float:
    """USD for the usage that a client was told, as the vendor's clients add it up."""
    price, total = PRICES[llm], 0.0
    for answer in answers:
        usage = answer.usage
        total += usage.input_tokens * price["input"] / 1e6 + usage.output_tokens * price["output"] / 1e6
        total += (usage.cache_read_input_tokens or 0) * price.get("cache_read", price["input"]) / 1e6
        total += (usage.cache_creation_input_tokens or 0) * price.get("cache_write", price["input"]) / 1e6
    return total


def sync_answer(agents: Agents, streamed: bool, **fields: Any) -> Message:
    """By the client that waits."""
    with Anthropic(api_key=agents.server.key, base_url=agents.server.url, max_retries=0) as official:
        if not streamed:
            return official.messages.create(**fields)
        with official.messages.stream(**fields) as stream:
            return stream.get_final_message()


def async_answer(agents: Agents, streamed: bool, **fields: Any) -> Message:
    """By the client that does not."""

    async def ask() -> Message:
        async with AsyncAnthropic(api_key=agents.server.key, base_url=agents.server.url, max_retries=0) as official:
            if not streamed:
                return await official.messages.create(**fields)
            async with official.messages.stream(**fields) as stream:
                return await stream.get_final_message()

    return asyncio.run(ask())


def converse(agents: Agents, model: str, answer: Any, *, streamed: bool) -> list[Message]:
    """Ten turns, each a call of a tool and its result; every answer goes back as it came."""
    messages: list[Any] = []
    answers: list[Message] = []
    for turn in range(TURNS):
        messages.append({"role": "user", "content": f"<system-reminder>turn {turn}</system-reminder> what is there?"})
        while messages[-1]["role"] == "user":
            told = answer(agents, streamed, model=model, max_tokens=2000, messages=messages, tools=TOOLS, system=SYSTEM)
            answers.append(told)
            messages.append(told.to_param())
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": f"saw {block.input}"}]}
                for block in told.content
                if block.type == "tool_use"
            ]
            if results:
                messages.append({"role": "user", "content": results})
    return answers


@pytest.mark.parametrize("model", ["thinker", "plain", "native", "routemoa-single"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("answer", [sync_answer, async_answer], ids=["sync", "async"])
def test_ten_turns_with_tools_and_their_bill(agents: Agents, model: str, streamed: bool, answer: Any) -> None:
    """The bill by the endpoint's own counts, by the usage that the client was told and by our records is the same to the cent."""
    before = len(agents.upstream.used)
    answers = converse(agents, model, answer, streamed=streamed)
    used = agents.upstream.used[before:]
    assert len(answers) == len(used) == 2 * TURNS
    assert [each.stop_reason for each in answers] == ["tool_use", "end_turn"] * TURNS
    assert [[block.type for block in each.content] for each in answers] == [["thinking", "text", "tool_use"], ["thinking", "text"]] * TURNS
    by_hand = billed_by_hand(used)
    by_usage = sum(billed_by_usage([each], model if model in PRICES else asked[0]) for each, asked in zip(answers, used, strict=True))
    assert by_usage == pytest.approx(by_hand, abs=1e-9)
    if model != "native":  # its answers have its own ids
        with agents.server.client() as client:
            recorded = [client.get(f"/v1/decisions/{each.id.removeprefix('msg_')}").json() for each in answers]
        assert sum(each["cost_usd"] for each in recorded) == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.parametrize("model", ["thinker", "native"])
def test_what_the_bill_of_a_whole_answer_says_is_in_its_headers(agents: Agents, model: str) -> None:
    """Where an answer is passed on as it is, too."""
    before = len(agents.upstream.used)
    with Anthropic(api_key=agents.server.key, base_url=agents.server.url, max_retries=0) as official:
        raw = official.messages.with_raw_response.create(model=model, max_tokens=100, messages=[{"role": "user", "content": "a"}])
    assert float(raw.headers["x-routemoa-cost-usd"]) == pytest.approx(billed_by_hand(agents.upstream.used[before:]), abs=1e-8)


def test_thoughts_go_back_to_who_had_them_and_to_nobody_else(agents: Agents) -> None:
    """An LLM is sent its own signature unchanged; another LLM, asked to go on, is sent none of it. The endpoint refuses foreign ones."""
    asked = {"role": "user", "content": "a"}
    for first, second in (("thinker", "thinker"), ("thinker", "native"), ("native", "thinker"), ("native", "native"), ("plain", "thinker")):
        answer = sync_answer(agents, True, model=first, max_tokens=100, messages=[asked])
        assert answer.content[0].thinking == THOUGHT
        sync_answer(agents, False, model=second, max_tokens=100, messages=[asked, answer.to_param(), asked])
        sent = agents.upstream.bodies[-1]["messages"][1]
        if second == "native":
            signatures = [block["signature"] for block in sent["content"] if block["type"] == "thinking"]
            assert signatures == (["signed natively"] if first == second else [])
        else:
            signatures = [block["signature"] for block in sent.get("thinking_blocks", ())]
            assert signatures == ([f"signed by {second}"] if first == second else [])


def test_a_request_reaches_an_endpoint_of_its_dialect_as_it_was_written(agents: Agents) -> None:
    """But for the model's name; the answer is the endpoint's own."""
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]
    answer = sync_answer(
        agents, False, model="native", max_tokens=100, messages=messages, system=SYSTEM, tools=TOOLS, metadata={"user_id": "u"},
        thinking={"type": "disabled"}, extra_headers={"anthropic-beta": "some-beta-2026"}, extra_body={"context_management": {"edits": []}},
    )  # fmt: skip
    assert agents.upstream.bodies[-1] == {
        "model": "native", "max_tokens": 100, "messages": messages, "system": SYSTEM, "tools": TOOLS, "metadata": {"user_id": "u"},
        "thinking": {"type": "disabled"}, "context_management": {"edits": []}, "stream": False,
    }  # fmt: skip
    assert agents.upstream.headers[-1]["anthropic-beta"] == "some-beta-2026"
    assert (answer.id, answer.model) == ("msg_native", "native")


def test_tokens_are_counted_by_the_endpoint_that_can(agents: Agents) -> None:
    """It is sent what is counted and no more; where it fails, and for any other model, the count is an estimate that says so."""
    with Anthropic(api_key=agents.server.key, base_url=agents.server.url, max_retries=0) as official:
        counting = official.messages.with_raw_response.count_tokens
        asked: Any = [{"role": "user", "content": "hello"}]
        own = counting(model="native", messages=asked, system=SYSTEM, tools=TOOLS, extra_body={"routemoa": {"k": 1}})
        assert own.parse().input_tokens == 4321
        assert "x-routemoa-estimated" not in own.headers
        assert agents.upstream.bodies[-1] == {"model": "native", "messages": asked, "system": SYSTEM, "tools": TOOLS}
        for model, words in (("native", "broken"), ("thinker", "hello"), ("routemoa", "hello")):
            estimate = counting(model=model, messages=[{"role": "user", "content": words}])
            assert estimate.headers["x-routemoa-estimated"] == "true"
            assert 0 < estimate.parse().input_tokens < 100


def test_cache_marks_reach_the_llm_that_has_a_price_for_them(agents: Agents) -> None:
    """And no other, whose endpoint may refuse them."""
    for model, content in (("thinker", SYSTEM), ("plain", SYSTEM[0]["text"])):
        sync_answer(agents, False, model=model, max_tokens=100, messages=[{"role": "user", "content": "a"}], system=SYSTEM)
        assert agents.upstream.bodies[-1]["messages"][0] == {"role": "system", "content": content}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["routemoa", "routemoa-single"])
def test_a_virtual_model_passes_on_to_an_llm_of_the_dialect(tmp_path: Path, model: str, streamed: bool) -> None:
    """Where one LLM answers alone, it gets the request as it was written; our facts are there for those who want an explanation."""
    with agent_upstream.running() as upstream:
        world = AgentWorld(tmp_path / "project", upstream.base_url, roster=("native",))
        world.publish("1")
        for client in ready(world):
            official = Anthropic(api_key=world.key, base_url="http://testserver", http_client=client, max_retries=0)
            fields: Any = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "a"}], "tools": TOOLS}
            sent = {**fields, "extra_headers": {"x-routemoa-explain": "true"}}
            if streamed:
                events = list(official.messages.create(**sent, stream=True))
                assert [event.type for event in events][-2:] == ["message_delta", "message_stop"]
                facts = events[-2].model_extra["routemoa"]
            else:
                facts = official.messages.create(**sent).model_extra["routemoa"]
            assert facts["llm"] == "native"
            assert facts["cost_usd"] == pytest.approx(billed_by_hand(upstream.used), abs=1e-9)
            assert upstream.bodies[-1] == {**fields, "model": "native", "stream": streamed}


def test_the_client_that_does_not_wait_raises_its_own_errors(agents: Agents) -> None:
    """As the other one does; in a stream before its first word, too."""

    async def ask() -> None:
        messages: Any = [{"role": "user", "content": "a"}]
        async with AsyncAnthropic(api_key=agents.server.key, base_url=agents.server.url, max_retries=0) as official:
            with pytest.raises(anthropic.NotFoundError, match="does not exist"):
                await official.messages.create(model="nobody", max_tokens=9, messages=messages)
            with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
                await official.messages.create(model="plain", max_tokens=0, messages=messages, stream=True)
            with pytest.raises(anthropic.AuthenticationError):
                await official.with_options(api_key="wrong").messages.create(model="plain", max_tokens=9, messages=messages)
            counted = await official.messages.count_tokens(model="plain", messages=messages)
            assert counted.input_tokens > 0

    asyncio.run(ask())
