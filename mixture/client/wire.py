"""What comes back in the OpenAI chat protocol, parsed once: what is wrong and not needed counts as not sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mixture.client import failures
from mixture.client.complaints import Complaint
from mixture.client.json_values import count, mapping, mappings, number, parsed, text
from mixture.client.usage import UsageReport
from mixture.errors import LLMFailed
from mixture.llm import LLM
from mixture.reading.thinking import is_thought
from mixture.usage import Usage

TEXTS = ("content", "refusal", "reasoning_content", "reasoning")  # of a message; endpoints name what they think in two ways
MOST_CHOICES = 1_000  # an index beyond is an error of whoever counted
BROKEN_OFF = frozenset({"error", "abort", "aborted", "network_error", "insufficient_system_resource"})  # finish reasons


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a reply, or one step of it. is_there: whether it has a message or a delta, however empty.

    texts: of that, by TEXTS; only those that were sent. tool_calls: as they were sent. further: fields of the message that pass through as
    they are (annotations, audio). rest: the same of the choice (log-probabilities). logprobs: of its tokens.
    """

    index: int
    is_there: bool
    role: str | None
    texts: Mapping[str, str]
    tool_calls: list[dict[str, Any]]
    finish_reason: str | None
    logprobs: list[float]
    further: Mapping[str, Any]
    rest: Mapping[str, Any]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Choice":
        """A choice as it was sent: with a message, a delta, or the bare text of the older protocol."""
        message = mapping(raw.get("message")) or mapping(raw.get("delta"))
        content, thought = _content(message.get("content") if "content" in message else raw.get("text"))
        texts = {name: sent for name in TEXTS[1:] if (sent := text(message.get(name)))}
        texts |= {} if content is None else {"content": content}
        texts |= {"reasoning_content": thought} if thought and not texts.keys() & {"reasoning", "reasoning_content"} else {}
        return cls(
            index=count(raw.get("index"), MOST_CHOICES) or 0,
            is_there=any(isinstance(raw.get(name), dict) for name in ("message", "delta")) or isinstance(raw.get("text"), str),
            role=text(message.get("role")),
            texts=texts,
            tool_calls=mappings(message.get("tool_calls")),
            finish_reason=text(raw.get("finish_reason")),
            logprobs=_logprobs(raw.get("logprobs")),
            further={name: value for name, value in message.items() if name not in _READ and value is not None},
            rest={name: value for name, value in raw.items() if name not in _ENVELOPE and value is not None},
        )

    @property
    def size(self) -> int:
        """Characters of all that it brings."""
        called = sum(len(str(each.get("function"))) + len(str(each.get("custom"))) for each in self.tool_calls)
        return sum(map(len, self.texts.values())) + called


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply, or one event of a stream. head: its other fields, passed on as they are."""

    choices: list[Choice]
    usage: UsageReport
    head: Mapping[str, Any]

    @classmethod
    def of(cls, llm: LLM, raw: Any, *, named: str | None = None) -> "Completion":
        """Reads what was sent; `named` is the event's name, if it has one.

        Raises LLMGarbled where it is none; LLMFailed where it is an error, whatever stands beside it: its cost is in it where the usage
        says so.
        """
        if not isinstance(raw, dict):
            raise failures.garbled(llm, f"the reply is no JSON object but {_kind(raw)}.")
        if not isinstance(raw.get("choices"), list | None):
            raise failures.garbled(llm, f"the reply is no chat completion: its choices are {_kind(raw['choices'])}.")
        choices = [Choice.of(each) for each in mappings(raw.get("choices"))]
        if len({each.index for each in choices}) < len(choices):
            choices = [replace(choice, index=at) for at, choice in enumerate(choices)]
        completion = cls(
            choices,
            UsageReport.of(raw.get("usage")),
            {name: value for name, value in raw.items() if name not in {"choices", "usage", "error"}},
        )
        failed = _error(llm, raw, completion, named)
        if failed is None:
            return completion
        failed.billable = failed.billable or any(each.size for each in choices)
        raise charged(failed, llm, completion.usage)


def tree(llm: LLM, content: bytes, kind: str = "") -> Any:
    """The JSON of a reply or of an event. kind: its content type. Raises LLMGarbled, which does not repeat it."""
    try:
        return parsed(content)
    except ValueError as exc:
        what = f"{len(content)} bytes{f' of {kind}' if kind else ''}" if content else "an empty body"
        raise failures.garbled(llm, f"the reply is no JSON: {what}.") from exc


def charged(failed: LLMFailed, llm: LLM, report: UsageReport) -> LLMFailed:
    """`failed` with what it cost, where the endpoint counted it."""
    usage = report.counted
    if usage is not None:
        failed.billable = True
        failed.paid = (charge(llm, usage, report.stated_usd), usage.input_tokens, usage.output_tokens)
    return failed


def charge(llm: LLM, usage: Usage, stated_usd: float | None) -> float:
    """USD for a call that has ended: at the price in force now; what the endpoint states where no price is known, 0 where neither is."""
    if llm.price.known:
        return llm.price.at(datetime.now(UTC)).bill(usage)
    return stated_usd or 0.0


_READ = frozenset({"role", "tool_calls", *TEXTS})
_ENVELOPE = frozenset({"index", "message", "delta", "text", "finish_reason", "error"})


def _error(llm: LLM, raw: Mapping[str, Any], completion: Completion, named: str | None) -> LLMFailed | None:
    complaint = Complaint.of(raw) or next(filter(None, map(Complaint.of, _with_error(raw.get("choices")))), None)
    if complaint is not None:
        return failures.inside(llm, complaint)
    if named == "error":
        return failures.inside(llm, Complaint("an error event that does not say what is wrong"))
    broken = next((each for each in completion.choices if (each.finish_reason or "").lower() in BROKEN_OFF), None)
    return None if broken is None else failures.inside(llm, Complaint(f"the reply broke off (finish reason {broken.finish_reason!r})"))


def _with_error(choices: Any) -> list[dict[str, Any]]:
    """The errors inside choices and their messages."""
    places = (place for each in mappings(choices) for place in (each, each.get("message"), each.get("delta")) if isinstance(place, dict))
    return [{"error": place["error"]} for place in places if "error" in place]


def _content(content: Any) -> tuple[str | None, str | None]:
    """What a message says and what it thinks: a text, or parts of it."""
    if isinstance(content, str):
        return content, None
    parts = content if isinstance(content, list) else [content]
    said = [_text(each) for each in parts if not is_thought(mapping(each))]
    thought = "".join(_text(each) or "" for each in parts if is_thought(mapping(each)))
    return ("".join(filter(None, said)) if any(each is not None for each in said) else None), thought or None


def _text(part: Any) -> str | None:
    """The text of a part: itself, under the name that its type has, or in parts of its own; None of anything else (an image)."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(_text(each) or "" for each in part)
    fields = mapping(part)
    names = ("text", "thinking", "reasoning", "summary", "content", "output_text", "value")
    return next((_text(fields[name]) for name in names if fields.get(name) is not None), None)


def _logprobs(value: Any) -> list[float]:
    """The tokens' log-probabilities, in either of the protocol's forms; tokens without one are left out."""
    logprobs = mapping(value)
    tokens = [each.get("logprob") for each in mappings(logprobs.get("content"))]
    older = logprobs.get("token_logprobs")
    values = map(number, tokens or (older if isinstance(older, list) else []))
    return [each for each in values if each is not None and each <= 0]


def _kind(value: Any) -> str:
    return {list: "a list", dict: "an object", str: "a text", type(None): "null", bool: "a truth value"}.get(type(value), "a number")
