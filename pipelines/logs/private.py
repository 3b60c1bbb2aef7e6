"""Takes out of logged calls what must not be kept, as the server does of what it records."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

from monitoring.records.redaction import redact
from pipelines.logs.call import LoggedCall

DEEPEST = 100  # levels of a value that nobody wrote by hand


_redact = lru_cache(256)(redact)  # a message is in each later call of its chat


class Redacting:
    """Calls without addresses, numbers, keys and passwords in their texts. changed: of how many the text or answer was."""

    def __init__(self) -> None:
        self.changed = 0

    def __call__(self, call: LoggedCall) -> LoggedCall:
        """The call without them."""
        text, answer = (_redact(each) if each is not None else None for each in (call.text, call.answer))
        self.changed += (text, answer) != (call.text, call.answer)
        return replace(call, text=text, answer=answer, messages=_clean(call.messages, 0), rest=_clean(call.rest, 0))


def _clean(value: Any, depth: int) -> Any:
    """A JSON value with each text in it redacted; what is nested too deeply goes."""
    if isinstance(value, str):
        return _redact(value)
    if depth > DEEPEST:
        return None
    if isinstance(value, dict):
        return {name: _clean(each, depth + 1) for name, each in value.items()}
    return [_clean(each, depth + 1) for each in value] if isinstance(value, list | tuple) else value
