"""An answer as Anthropic's Messages dialect writes it: content blocks, why it stopped, what it used."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mixture.client.thinking_state import TEXTS, ThinkingState, signed_in
from mixture.decision import Decision
from mixture.usage import Usage

Block = dict[str, Any]
STOP_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}
UNREADABLE = "INVALID_JSON"  # the key under which arguments that are no JSON object stand, as the vendor advises its clients to do


def message_id(decision_id: str) -> str:
    """The vendor's form of an answer's id."""
    return f"msg_{decision_id}"


def whole(decision: Decision, decision_id: str, model: str, stops: Sequence[str] = ()) -> dict[str, Any]:
    """The message. model: as the caller named it. stops: the caller's stop sequences."""
    choice = _first_choice(decision)
    content = blocks(choice.get("message") or {}, decision.llm or "") if choice else text_blocks(decision.text)
    return {
        "id": message_id(decision_id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        **stopped(decision, content, stops),
        "usage": usage(decision),
    }


def blocks(message: Mapping[str, Any], llm: str) -> list[Block]:
    """A chat message as blocks: what was thought, what was said, which tools are called. llm: who wrote it."""
    text = next((name for name in TEXTS if message.get(name)), "")
    signed = signed_in(message)
    thoughts = thinking_blocks(message.get(text, ""), ThinkingState(llm, fields=signed, text=text)) if text or signed else []
    said = text_blocks(message.get("content") or message.get("refusal") or "")
    return [*thoughts, *said, *map(tool_block, message.get("tool_calls") or ())]


def thinking_blocks(text: str, state: ThinkingState) -> list[Block]:
    """What was thought, as the one block it is: to be read, or for the LLM alone where it gave no words."""
    if text:
        return [{"type": "thinking", "thinking": text, "signature": state.sealed()}]
    return [{"type": "redacted_thinking", "data": state.sealed()}]


def text_blocks(text: str) -> list[Block]:
    """What was said; no block where nothing was."""
    return [{"type": "text", "text": text}] if text else []


def tool_block(call: Mapping[str, Any]) -> Block:
    """A call of a tool, in the chat dialect's form, as a block."""
    what = call.get("function") or call.get("custom") or {}
    written = what.get("arguments", what.get("input")) or ""
    return {"type": "tool_use", "id": call.get("id") or "", "name": what.get("name") or "", "input": tool_input(written)}


def tool_input(arguments: str) -> dict[str, Any]:
    """The arguments as the object that they should be; what is none is kept under UNREADABLE, so that the caller can say so to the LLM."""
    if not arguments.strip():
        return {}
    try:
        tree = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {UNREADABLE: arguments}
    return tree if isinstance(tree, dict) else {UNREADABLE: arguments}


def stopped(decision: Decision, content: Iterable[Mapping[str, Any]], stops: Sequence[str] = ()) -> dict[str, Any]:
    """Why the answer ended. An endpoint that says which stop sequence it met does so under `stop_reason`."""
    choice = _first_choice(decision)
    met = choice.get("stop_reason")
    reason = STOP_REASONS.get(choice.get("finish_reason") or decision.finish_reason, "end_turn")
    if reason == "end_turn" and any(block["type"] == "tool_use" for block in content):
        reason = "tool_use"
    if reason == "end_turn" and (choice.get("message") or {}).get("refusal"):
        reason = "refusal"
    if reason == "end_turn" and isinstance(met, str) and met in stops:
        return {"stop_reason": "stop_sequence", "stop_sequence": met}
    return {"stop_reason": reason, "stop_sequence": None}


def usage(decision: Decision) -> dict[str, Any]:
    """Tokens of everything that was run, as the vendor counts: what caches had and took is no part of `input_tokens`."""
    runs = [run for layer in decision.layers for run in layer.runs] + ([decision.synthesis] if decision.synthesis else [])
    parts: list[Usage] = [run.usage for run in runs if run.usage is not None]
    read, short, hour = (sum(getattr(each, name) for each in parts) for name in ("cache_read", "cache_write", "cache_write_1h"))
    return {
        "input_tokens": max(0, decision.input_tokens - read - short - hour),
        "cache_creation_input_tokens": short + hour,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour},
        "output_tokens": decision.output_tokens,
        "output_tokens_details": {"thinking_tokens": sum(each.reasoning for each in parts)},
    }


def _first_choice(decision: Decision) -> Mapping[str, Any]:
    """The endpoint's own, where one LLM answered unchanged."""
    raw = decision.reply.raw if decision.reply is not None else {}
    choices = raw.get("choices") or ()
    return choices[0] if choices else {}
