"""Usage as endpoints report it, whole and in streams, and what is made of it where they do not."""

from dataclasses import replace
from typing import Any

import pytest

from mixture.client.protocol import Call, Reply
from mixture.client.stream_assembly import Assembly
from mixture.client.token_estimate import text_tokens
from mixture.client.usage import UNCOUNTED, UsageReport
from mixture.price import UNKNOWN, Price
from mixture.usage import Usage
from tests.mixture.client.misbehaving import completion, llm

PRICED = replace(llm("http://127.0.0.1/v1"), price=Price(3, 15, cache_read=0.3, cache_write=3.75, cache_write_1h=6))
CHAT = {
    "prompt_tokens": 1_000,
    "completion_tokens": 200,
    "total_tokens": 1_200,
    "prompt_tokens_details": {"cached_tokens": 900},
    "completion_tokens_details": {"reasoning_tokens": 150},
}
RESPONSES = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 900},
    "output_tokens": 200,
    "output_tokens_details": {"reasoning_tokens": 150},
    "total_tokens": 1_200,
}
ANTHROPIC = {
    "input_tokens": 100,
    "cache_read_input_tokens": 700,
    "cache_creation_input_tokens": 200,
    "cache_creation": {"ephemeral_5m_input_tokens": 150, "ephemeral_1h_input_tokens": 50},
    "output_tokens": 200,
}
OPENROUTER = {**CHAT, "prompt_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 200}, "cost": 0.0045}


def replied(usage: dict[str, Any] | None, call: Call | None = None, text: str = "Paris") -> Reply:
    assembly = Assembly(call or Call(PRICED, [{"role": "user", "content": "x" * 40}]))
    assembly.add({**completion(text), "usage": usage})
    return assembly.reply(1.0)


@pytest.mark.parametrize(
    ("sent", "usage"),
    [
        (CHAT, Usage(1_000, 200, cache_read=900, reasoning=150)),
        (RESPONSES, Usage(1_000, 200, cache_read=900, reasoning=150)),
        (ANTHROPIC, Usage(1_000, 200, cache_read=700, cache_write=150, cache_write_1h=50)),
        (OPENROUTER, Usage(1_000, 200, cache_read=700, cache_write=200, reasoning=150)),
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}, Usage(10, 2, 8)),
        ({"input_tokens": 0, "cache_read_input_tokens": 500, "output_tokens": 3}, Usage(500, 3, 500)),
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 90}}, Usage(90, 1, 90)),
    ],
)
def test_each_dialect_says_the_same_of_one_call(sent: dict[str, Any], usage: Usage) -> None:
    """Anthropic counts caches beside its input tokens, everybody else within them; cached tokens are never more than were read."""
    assert UsageReport.of(sent).counted == usage
    reply = replied(sent)
    assert (reply.usage, reply.cost_usd) == (usage, PRICED.price.bill(usage))


def test_a_streams_counts_are_cumulative_and_anthropics_last_word_counts() -> None:
    """OpenAI's counts only grow; Anthropic's first event has a placeholder that the last one replaces, and leaves the input out there."""
    first, last = ({"prompt_tokens": 9, "completion_tokens": written} for written in (1, 4))
    growing = UsageReport.of(first).fold(UsageReport.of(last)).fold(UsageReport.of(first))
    assert (growing.input_tokens, growing.output_tokens) == (9, 4)
    begun = UsageReport.of({**ANTHROPIC, "output_tokens": 8})
    ended = begun.fold(UsageReport.of({"output_tokens": 5}))
    assert ended.counted == Usage(1_000, 5, cache_read=700, cache_write=150, cache_write_1h=50)
    priced = UsageReport.of({**CHAT, "cost": 0.5}).fold(UsageReport.of({**CHAT, "cost": 0.4})).fold(UNCOUNTED)
    assert priced.stated_usd == 0.4


@pytest.mark.parametrize(
    ("sent", "stated"),
    [
        (OPENROUTER, 0.0045),
        ({**CHAT, "cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}, 0.0021),
        ({**CHAT, "cost": 0}, 0.0),
        ({**CHAT, "cost": -1}, None),
        ({**CHAT, "cost": "0.1"}, None),
        (CHAT, None),
    ],
)
def test_what_an_endpoint_states_itself_is_kept_beside_ours(sent: dict[str, Any], stated: float | None) -> None:
    """Ours is by usage and price; with a key of one's own at the vendor, both bills are one."""
    reply = replied(sent)
    assert reply.stated_usd == pytest.approx(stated)
    assert reply.cost_usd == PRICED.price.bill(reply.usage or Usage())


def test_a_call_whose_cost_nobody_knows_says_so() -> None:
    """The endpoint's own word counts where there is no price; where neither is there, the cost is not known to be nothing."""
    unpriced = replace(PRICED, price=UNKNOWN)
    call = Call(unpriced, [{"role": "user", "content": "x"}])
    assert (replied(CHAT, call).cost_usd, replied(CHAT, call).cost_known) == (0.0, False)
    assert (replied(OPENROUTER, call).cost_usd, replied(OPENROUTER, call).cost_known) == (0.0045, True)


def test_what_was_not_counted_is_estimated_and_marked() -> None:
    """Scripts without spaces are a token a character, images and tools count, and nothing of an image's bytes does."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 4_000, "parameters": {}}}]
    plain = replied(None, Call(PRICED, [{"role": "user", "content": "日本の首都はどこですか" * 10}]), text="東京です" * 5)
    assert plain.usage_estimated
    assert (plain.raw["usage"]["estimated"], plain.input_tokens >= 110, plain.output_tokens) == (True, True, 21)
    shown = replied(None, Call(PRICED, [{"role": "user", "content": [{"type": "text", "text": "what?"}, image]}], {"tools": tools}))
    assert 2_000 < shown.input_tokens < 4_000
    assert not replied(CHAT).usage_estimated


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abcd" * 10, 10), ("日本語", 3), ("ภาษาไทย", 7), ("привет", 4), ("a\ud800", 1)])
def test_a_texts_tokens_are_rounded_up_in_any_script(text: str, tokens: int) -> None:
    """A quarter of a token for a character of English, a third for a byte beyond ASCII."""
    assert text_tokens(text) == tokens
