"""How endpoints are told how hard to think, and what is read of what they thought."""

from dataclasses import replace
from typing import Any

import pytest

from mixture.client.effort_fields import effort_fields, way_of
from mixture.client.protocol import Call
from mixture.client.request_body import body
from mixture.client.stream_assembly import Assembly
from mixture.effort import LEVELS, Effort, Way, level_of, thinks
from mixture.errors import LLMRefused
from mixture.llm import LLM, Decoding, Endpoint
from mixture.price import Price
from tests.mixture.client.misbehaving import completion

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def at(base_url: str, effort: Effort | None = None, max_tokens: int = 4096, **more: Any) -> LLM:
    return LLM(
        "thinker", "Thinker", Price(1, 2, reasoning=3), Endpoint(base_url, "m"), effort=effort, decoding=Decoding(0.0, max_tokens), **more
    )


def sent(llm: LLM, **options: Any) -> dict[str, Any]:
    return body(Call(llm, QUESTION, options), stream=False)


@pytest.mark.parametrize(
    ("base_url", "way"),
    [
        ("https://api.openai.com/v1", "reasoning_effort"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "reasoning_effort"),
        ("https://openrouter.ai/api/v1", "reasoning"),
        ("https://api.anthropic.com/v1", "thinking"),
        ("http://127.0.0.1:8000/v1", "chat_template_kwargs"),
        ("http://10.0.0.7:8000/v1", "chat_template_kwargs"),
        ("http://vllm:8000/v1", "chat_template_kwargs"),
        ("http://8.8.8.8/v1", "reasoning_effort"),
    ],
)
def test_the_way_follows_the_host_unless_the_entry_names_one(base_url: str, way: Way) -> None:
    """A known provider's own way, a template for machines of one's own, OpenAI's field for all others."""
    assert way_of(at(base_url)) == way
    assert way_of(at(base_url, effort_way="reasoning")) == "reasoning"


@pytest.mark.parametrize(
    ("way", "effort", "fields"),
    [
        ("reasoning_effort", "high", {"reasoning_effort": "high"}),
        ("reasoning_effort", "none", {"reasoning_effort": "none"}),
        ("reasoning", "low", {"reasoning": {"effort": "low"}}),
        ("reasoning", 2000, {"reasoning": {"max_tokens": 2000}}),
        ("thinking", "medium", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("thinking", 3000, {"thinking": {"type": "enabled", "budget_tokens": 3000}}),
        ("thinking", "low", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("thinking", "none", {"thinking": {"type": "disabled"}}),
        ("chat_template_kwargs", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("chat_template_kwargs", "high", {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "high"}}),
        ("chat_template_kwargs", 512, {"chat_template_kwargs": {"enable_thinking": True, "thinking_budget": 512}}),
    ],
)
def test_an_effort_is_sent_in_the_endpoints_way(way: Way, effort: Effort, fields: dict[str, Any]) -> None:
    """The entry's effort is in the request, and nothing else of it is changed but the temperature that Anthropic's thinking forbids."""
    llm = at("http://x.example/v1", effort, effort_way=way)
    plain = sent(at("http://x.example/v1"))
    assert effort_fields(llm, effort, 4096) == fields
    if fields.get("thinking", {}).get("type") == "enabled":
        plain.pop("temperature")
    assert sent(llm) == {**plain, **fields}


def test_nothing_is_said_to_an_llm_without_an_effort() -> None:
    """An entry from before there were efforts is asked as it was."""
    assert not {"reasoning_effort", "reasoning", "thinking", "chat_template_kwargs"} & sent(at("http://127.0.0.1/v1")).keys()


def test_a_named_llm_gets_the_callers_effort_in_its_endpoints_way() -> None:
    """The caller's `reasoning_effort` goes before the entry's, and arrives as the endpoint wants it."""
    assert sent(at("https://openrouter.ai/api/v1", "low"), reasoning_effort="high")["reasoning"] == {"effort": "high"}
    assert "reasoning_effort" not in sent(at("https://openrouter.ai/api/v1", "low"), reasoning_effort="high")
    assert sent(at("https://api.openai.com/v1"), reasoning_effort="minimal")["reasoning_effort"] == "minimal"
    assert sent(at("https://api.openai.com/v1", "low"), reasoning_effort="of 2027")["reasoning_effort"] == "of 2027"


def test_what_the_caller_wrote_in_the_endpoints_way_stays() -> None:
    """Keys of `chat_template_kwargs` are merged, the caller's win."""
    asked = sent(at("http://vllm:8000/v1", "high"), chat_template_kwargs={"enable_thinking": False, "persona": "x"}, temperature=0.3)
    assert asked["chat_template_kwargs"] == {"enable_thinking": False, "reasoning_effort": "high", "persona": "x"}
    assert asked["temperature"] == 0.3


@pytest.mark.parametrize(
    ("llm", "options", "says"),
    [
        (at("https://api.openai.com/v1", 900), {}, "takes levels, not a budget of 900 tokens"),
        (at("https://api.anthropic.com/v1", "high", 4096), {"max_tokens": 1000}, "thinking in 1024 of 1000 tokens"),
        (at("https://api.anthropic.com/v1", 500), {}, "at least 1024"),
    ],
)
def test_an_effort_that_an_endpoint_cannot_be_told_is_refused_before_it_is_asked(llm: LLM, options: dict[str, Any], says: str) -> None:
    """With the numbers, as the caller's fault, and with what to do."""
    with pytest.raises(LLMRefused, match=says) as refused:
        sent(llm, **options)
    assert refused.value.status == 400
    assert "more max_tokens" in str(refused.value)


def test_levels_and_budgets() -> None:
    """A budget is the lowest level that may think as much; nothing, none and zero do not think."""
    assert [level_of(budget, 1000) for budget in (0, 100, 150, 500, 800, 900, 5000)] == [
        "none", "minimal", "low", "medium", "high", "xhigh", "xhigh"
    ]  # fmt: skip
    assert [level for level in (*LEVELS, None, 64) if not thinks(level)] == ["none", None]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("message", "thought"),
    [
        ({"content": "Paris", "reasoning_content": "France is " * 3}, 18),
        ({"content": "Paris", "reasoning": "France is " * 3}, 18),
        ({"content": "<think>France is France is </think>Paris"}, 18),
        ({"content": "Paris"}, 0),
    ],
)
def test_thinking_that_nobody_counted_is_counted_by_its_share(message: dict[str, Any], thought: int) -> None:
    """It is billed at the price of thinking, shown in the usage's details, and marked as an estimate."""
    llm = at("http://127.0.0.1/v1")
    assembly = Assembly(Call(llm, QUESTION))
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    assembly.add(completion(message={"role": "assistant", **message}, usage=usage))
    reply = assembly.reply(1.0)
    assert reply.usage is not None
    assert reply.usage.reasoning == thought
    assert reply.cost_usd == pytest.approx((10 * 1 + (20 - thought) * 2 + thought * 3) / 1e6)
    details = {"reasoning_tokens": thought, "estimated": True}
    assert reply.raw["usage"].get("completion_tokens_details") == (details if thought else None)


def test_thinking_that_the_endpoint_counted_is_left_as_it_is() -> None:
    """Its own count is not an estimate."""
    assembly = Assembly(Call(at("http://127.0.0.1/v1"), QUESTION))
    counted = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 9}}
    assembly.add(completion(message={"content": "Paris", "reasoning_content": "France " * 9}, usage=counted))
    reply = assembly.reply(1.0)
    assert reply.usage == replace(reply.usage, reasoning=9)  # type: ignore[type-var]
    assert reply.raw["usage"]["completion_tokens_details"] == {"reasoning_tokens": 9}
