"""Prompts and answers as the semantic conventions write them, redacted; only where an operator asked for them."""

import json
from collections.abc import Sequence

from mixture.llm import Message
from mixture.reading.thinking import text_of
from monitoring.records.redaction import redact

LONGEST = 20_000  # characters of a text; collectors refuse what is very long


def turns(messages: Sequence[Message]) -> str:
    """gen_ai.input.messages."""
    return json.dumps([{"role": str(each.get("role")), "parts": _parts(text_of(each))} for each in messages], ensure_ascii=False)


def said(text: str, finish_reason: str) -> str:
    """gen_ai.output.messages."""
    return json.dumps([{"role": "assistant", "parts": _parts(text_of(text)), "finish_reason": finish_reason}], ensure_ascii=False)


def _parts(text: str) -> list[dict[str, str | None]]:
    return [{"type": "text", "content": redact(text[:LONGEST])}]
