"""Takes out of logged calls what must not be kept, as the server does of what it records."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from monitoring.redaction import redact
from pipelines.logs.call import LoggedCall

DEEPEST = 100  # levels of a value that nobody wrote by hand


def redacted(calls: Iterable[LoggedCall]) -> tuple[list[LoggedCall], int]:
    """The calls without addresses, numbers, keys and passwords in their texts, and of how many the text or answer changed."""
    kept, changed = [], 0
    for call in calls:
        text, answer = (redact(each) if each is not None else None for each in (call.text, call.answer))
        changed += (text, answer) != (call.text, call.answer)
        kept.append(replace(call, text=text, answer=answer, messages=_clean(call.messages, 0), rest=_clean(call.rest, 0)))
    return kept, changed


def _clean(value: Any, depth: int) -> Any:
    """A JSON value with each text in it redacted; what is nested too deeply goes."""
    if isinstance(value, str):
        return redact(value)
    if depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return {name: _clean(each, depth + 1) for name, each in value.items()}
    return [_clean(each, depth + 1) for each in value] if isinstance(value, list | tuple) else value
