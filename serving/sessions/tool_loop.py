"""Where a conversation stands in a loop of tool calls."""

from collections.abc import Mapping, Sequence

import orjson

from mixture.llm import Message
from serving.request.querytext import text_of

RESULTS = frozenset({"tool", "function"})
ERRORS = ("error", "traceback", "exception", "failed", "<tool_use_error>", "fatal:", "command failed", "exit code: 1")


def is_inside(messages: Sequence[Message], user_turn: int | None) -> bool:
    """Whether results of tool calls have come back for the present user turn, and no answer to the user yet."""
    after = messages[0 if user_turn is None else user_turn + 1 :]
    last = next((each for each in reversed(after) if each.get("role") in {*RESULTS, "assistant"}), None)
    return last is not None and (last.get("role") in RESULTS or bool(last.get("tool_calls") or last.get("function_call")))


def calls_wait(messages: Sequence[Message]) -> bool:
    """Whether calls of the last message that calls tools wait for a result."""
    for place in range(len(messages) - 1, -1, -1):
        calls = messages[place].get("tool_calls")
        if calls:
            answered = {each.get("tool_call_id") for each in messages[place + 1 :] if each.get("role") in RESULTS}
            return any(isinstance(call, Mapping) and call.get("id") not in answered for call in calls)
    return False


def errors_in_a_row(messages: Sequence[Message]) -> int:
    """How many of the last results were errors, in a row up to the end."""
    count = 0
    for message in reversed(messages):
        if message.get("role") in RESULTS:
            if not _is_error(message):
                break
            count += 1
        elif message.get("role") != "assistant" or not message.get("tool_calls"):
            break
    return count


def _is_error(message: Message) -> bool:
    """By its own mark, where it has one; else by how it begins."""
    if "is_error" in message:
        return bool(message["is_error"])
    text = text_of(message).lstrip()[:200]
    if text.startswith("{"):
        try:
            tree = orjson.loads(text_of(message))
        except orjson.JSONDecodeError:
            return False
        return isinstance(tree, dict) and bool(tree.get("error") or tree.get("is_error"))
    return text.lower().startswith(ERRORS)
