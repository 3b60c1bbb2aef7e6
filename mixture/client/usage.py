"""What an endpoint says that a reply used, in any of the dialects: OpenAI chat and responses, Anthropic, OpenRouter; estimated else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mixture.client.json_values import count, mapping, number
from mixture.client.protocol import Call
from mixture.client.request_size import expected_input_tokens
from mixture.client.token_estimate import text_tokens
from mixture.usage import Usage

MOST_TOKENS = 10_000_000  # of one call; a larger count is an error of whoever counted
MOST_USD = 10_000.0  # of one call, alike
_ANTHROPIC = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"})


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Counts as they were sent, None where the endpoint did not say; input_tokens with all that caches had and took.

    stated_usd: the cost that the endpoint states itself. details: all it said, of the right kinds. last_wins: whether a later report
    takes the place of an earlier one (Anthropic); else counts only grow.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    stated_usd: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    last_wins: bool = False

    @classmethod
    def of(cls, value: Any) -> "UsageReport":
        """The usage that an endpoint sent; it counts nothing where `value` is none.

        Some leave reasoning out of `completion_tokens`: it is charged all the same. Anthropic leaves caches out of `input_tokens`.
        """
        sent = mapping(value)
        if not sent:
            return UNCOUNTED
        read, written = _count(sent, "prompt_tokens", "input_tokens"), _count(sent, "completion_tokens", "output_tokens")
        total = _count(sent, "total_tokens")
        of_input = mapping(sent.get("prompt_tokens_details")) or mapping(sent.get("input_tokens_details"))
        of_output = mapping(sent.get("completion_tokens_details")) or mapping(sent.get("output_tokens_details"))
        reasoning = _count(of_output, "reasoning_tokens", "thinking_tokens") or 0
        cached = _count(of_input, "cached_tokens") or _count(sent, "cache_read_input_tokens", "prompt_cache_hit_tokens") or 0
        hour = _count(mapping(sent.get("cache_creation")), "ephemeral_1h_input_tokens") or 0
        taken = _count(of_input, "cache_write_tokens", "cache_creation_tokens") or _count(sent, "cache_creation_input_tokens") or 0
        taken = max(taken, hour + (_count(mapping(sent.get("cache_creation")), "ephemeral_5m_input_tokens") or 0))
        if "prompt_tokens" not in sent and not _ANTHROPIC.isdisjoint(sent) and read is not None:
            read += cached + taken
        if read is not None and written is not None and reasoning and (written < reasoning or total == read + written + reasoning):
            written += reasoning
        if read is None and written is not None and total is not None and total >= written:
            read = total - written
        if written is None and read is not None and total is not None and total > read:
            written = total - read
        return cls(
            input_tokens=max(read, cached + taken) if read else None,
            output_tokens=None if written is None or (not read and not written) else written,
            cache_read=cached,
            cache_write=taken - hour,
            cache_write_1h=hour,
            reasoning=reasoning,
            stated_usd=_stated_usd(sent),
            details=_counts(sent),
            last_wins=not _ANTHROPIC.isdisjoint(sent) or ("output_tokens" in sent and "total_tokens" not in sent),
        )

    def fold(self, later: "UsageReport") -> "UsageReport":
        """The usage of a stream that reports it more than once; a late zero takes nothing back."""
        if later is UNCOUNTED:
            return self
        pick = _later if later.last_wins else _larger
        read, written = (pick(getattr(self, name), getattr(later, name)) for name in ("input_tokens", "output_tokens"))
        parts = {name: pick(getattr(self, name), getattr(later, name)) or 0 for name in _PARTS}
        return UsageReport(
            read,
            written,
            **parts,
            stated_usd=self.stated_usd if later.stated_usd is None else later.stated_usd,
            details=_folded(self.details, later.details, last_wins=later.last_wins),
            last_wins=later.last_wins,
        )

    def completed(self, call: Call, written: str) -> tuple[Usage, dict[str, Any]]:
        """The usage, what was not counted estimated from the request and from what was `written`; and how the caller is told of it.

        Tools and images count, and it is rounded up: budgets must hold there too. The details say so under `estimated`, and have the
        three counts of the protocol.
        """
        read, output, details = self.input_tokens, self.output_tokens, dict(self.details)
        if read is None:
            read = expected_input_tokens(call.llm.prompt.apply(call.messages), call.options)
        if output is None:
            output = text_tokens(written) + 1
        if self.estimated:
            details["estimated"] = True
        parts = {name: getattr(self, name) for name in _PARTS}
        usage = Usage(read, output, **parts, estimated=self.estimated)
        return usage, {**details, "prompt_tokens": read, "completion_tokens": output, "total_tokens": read + output}

    @property
    def counted(self) -> Usage | None:
        """The usage where the endpoint said all of it."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return Usage(self.input_tokens, self.output_tokens, **{name: getattr(self, name) for name in _PARTS})

    @property
    def estimated(self) -> bool:
        """Whether a count is missing."""
        return self.input_tokens is None or self.output_tokens is None


def with_thinking(usage: Usage, details: Mapping[str, Any], share: float) -> tuple[Usage, dict[str, Any]]:
    """Both with the thinking tokens where the endpoint shows that it thinks and does not count it: `share` of what it wrote, marked so."""
    if usage.reasoning or not share:
        return usage, dict(details)
    thought = min(usage.output_tokens, math.ceil(share * usage.output_tokens))
    of_output = {**mapping(details.get("completion_tokens_details")), "reasoning_tokens": thought, "estimated": True}
    return replace(usage, reasoning=thought), {**details, "completion_tokens_details": of_output}


_PARTS = ("cache_read", "cache_write", "cache_write_1h", "reasoning")
UNCOUNTED = UsageReport()


def _count(sent: Mapping[str, Any], *names: str) -> int | None:
    """The first of these counts that is there and can be right."""
    return next((each for name in names if (each := count(sent.get(name), MOST_TOKENS)) is not None), None)


def _stated_usd(sent: Mapping[str, Any]) -> float | None:
    """What the endpoint says that the call cost; with the caller's own key at the vendor, what the vendor takes is beside it."""
    cost = number(sent.get("cost"))
    if cost is not None and sent.get("is_byok") is True:
        cost += number(mapping(sent.get("cost_details")).get("upstream_inference_cost")) or 0.0
    return cost if cost is not None and 0 <= cost <= MOST_USD else None


def _counts(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers in `sent` that can be right, and those in objects inside it."""
    kept: dict[str, Any] = {}
    for name, value in sent.items():
        if isinstance(value, dict):
            kept[name] = {key: inner for key, inner in value.items() if _plausible(inner)}
        elif _plausible(value):
            kept[name] = value
    return kept


def _plausible(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= MOST_TOKENS


def _folded(before: Mapping[str, Any], after: Mapping[str, Any], *, last_wins: bool) -> dict[str, Any]:
    folded = dict(before)
    for name, value in after.items():
        known = folded.get(name)
        if isinstance(value, dict):
            folded[name] = _folded(mapping(known), value, last_wins=last_wins)
        elif isinstance(known, int | float):
            folded[name] = (value or known) if last_wins or name == "cost" else max(value, known)
        else:
            folded[name] = value
    return folded


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _later(one: int | None, other: int | None) -> int | None:
    return other or one
