"""What a reply used: tokens as the endpoint counts them, estimated where it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixture.client.json_values import count, mapping
from mixture.client.protocol import Call

CHARACTERS_PER_TOKEN = 4  # of English text; only for endpoints that report no usage
MOST_TOKENS = 10_000_000  # of one call; a larger count is an error of whoever counted


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written, None where the endpoint did not say. details: all it said, of the right kinds."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> "Usage":
        """The usage that an endpoint sent; it counts nothing where `value` is none.

        Some leave reasoning out of `completion_tokens`: it is charged all the same.
        """
        sent = mapping(value)
        if not sent:
            return UNCOUNTED
        details = _counts(sent)
        read, written, total = (count(sent.get(name), MOST_TOKENS) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
        reasoning = count(mapping(sent.get("completion_tokens_details")).get("reasoning_tokens"), MOST_TOKENS) or 0
        if read is not None and written is not None and reasoning and (written < reasoning or total == read + written + reasoning):
            written += reasoning
        if read is None and written is not None and total is not None and total >= written:
            read = total - written
        if written is None and read is not None and total is not None and total > read:
            written = total - read
        return cls(read or None, None if written is None or (not read and not written) else written, details)

    def fold(self, later: "Usage") -> "Usage":
        """The usage of a stream that reports it more than once: counts only grow, so a late zero takes nothing back."""
        if later is UNCOUNTED:
            return self
        return Usage(
            _larger(self.input_tokens, later.input_tokens),
            _larger(self.output_tokens, later.output_tokens),
            _folded(self.details, later.details),
        )

    def completed(self, call: Call, written: str) -> "Usage":
        """The same with what was not counted estimated from the characters of the request and of what was `written`.

        Budgets must hold there too, so it is rounded up. `details` says so under `estimated`, and has the three counts of the protocol.
        """
        read, output, details = self.input_tokens, self.output_tokens, dict(self.details)
        if read is None:
            characters = sum(len(str(message.get("content", ""))) for message in call.llm.prompt.apply(call.messages))
            read = characters // CHARACTERS_PER_TOKEN + 1
        if output is None:
            output = len(written) // CHARACTERS_PER_TOKEN + 1
        if self.estimated:
            details["estimated"] = True
        return Usage(read, output, {**details, "prompt_tokens": read, "completion_tokens": output, "total_tokens": read + output})

    @property
    def estimated(self) -> bool:
        """Whether a count is missing."""
        return self.input_tokens is None or self.output_tokens is None


UNCOUNTED = Usage()


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


def _folded(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    folded = dict(before)
    for name, value in after.items():
        known = folded.get(name)
        if isinstance(value, dict):
            folded[name] = _folded(mapping(known), value)
        else:
            folded[name] = max(value, known) if isinstance(known, int | float) else value
    return folded


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)
