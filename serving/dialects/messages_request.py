"""From a request in Anthropic's Messages dialect to the chat completion request that says the same, and to what its own endpoints get."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers

from mixture.effort import level_of
from serving.dialects import messages_schema as schema
from serving.dialects.messages_schema import CountRequest, MessagesRequest
from serving.dialects.messages_turns import messages_of
from serving.sessions.naming import in_metadata

MOST_OF_A_USER = 64  # characters of a `user` that endpoints take
NEAREST = {"minimal": "low", "xhigh": "high", "max": "high"}  # levels that only some endpoints know
NOT_PASSED_ON = frozenset({"routemoa", "betas", "service_tier", "speed", "user_profile_id", "workspace_id"})
_BETAS = re.compile(r"[\w.,; -]{1,1000}", re.ASCII)
Chat = dict[str, Any]


def as_chat(body: CountRequest) -> Chat:
    """The JSON of a chat completion request."""
    chat: Chat = {"model": body.model, "messages": messages_of(body)}
    if body.tools:
        chat["tools"] = [_tool(each) for each in body.tools]
    if body.tool_choice is not None:
        chat |= _tool_choice(body.tool_choice)
    if (effort := _effort(body)) is not None:
        chat["reasoning_effort"] = effort
    if body.output_config is not None and body.output_config.format is not None:
        named = {"name": "output", "schema": body.output_config.format.json_schema, "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}
    metadata = body.metadata or schema.Metadata()
    if metadata.user_id:
        chat["user"] = _user(metadata.user_id)
    options = (metadata.routemoa if body.routemoa is None else body.routemoa) or {}
    if (session := in_metadata({"session_id": metadata.session_id, "user_id": metadata.user_id})) and "session" not in options:
        options = {**options, "session": session}  # metadata themselves go to no endpoint
    chat |= {"routemoa": options} if options else {}
    return chat | _of_the_answer(body) if isinstance(body, MessagesRequest) else chat


def passed_on(written: Mapping[str, Any]) -> Chat:
    """The request as an endpoint of this dialect gets it: what is ours is left out, and what would choose another price or account."""
    metadata = written.get("metadata")
    sent = {name: value for name, value in written.items() if name not in NOT_PASSED_ON and value is not None}
    if isinstance(metadata, dict):
        sent["metadata"] = {name: value for name, value in metadata.items() if name == "user_id"}
    return sent


def betas_of(headers: Headers) -> str:
    """The vendor's experiments that the caller takes part in, for endpoints of this dialect."""
    betas = headers.get("anthropic-beta", "")
    return betas if _BETAS.fullmatch(betas) else ""


def _of_the_answer(body: MessagesRequest) -> Chat:
    limits = {
        "max_tokens": body.max_tokens,
        "stop": body.stop_sequences or None,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "stream": body.stream,
    }
    return {name: value for name, value in limits.items() if value is not None}


def _tool(tool: schema.Tool) -> Chat:
    function: Chat = {"name": tool.name, "parameters": tool.input_schema}
    function |= {} if tool.description is None else {"description": tool.description}
    function |= {} if tool.strict is None else {"strict": tool.strict}
    return {"type": "function", "function": function}


def _tool_choice(choice: schema.ToolChoice) -> Chat:
    kinds: Mapping[str, Any] = {"auto": "auto", "any": "required", "none": "none"}
    chosen = kinds.get(choice.type) or {"type": "function", "function": {"name": choice.name}}
    return {"tool_choice": chosen} | ({"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {})


def _effort(body: CountRequest) -> str | None:
    """How much is to be thought, in a level that most endpoints know; None where that is left to the LLM."""
    if body.output_config is not None and body.output_config.effort is not None:
        level: str = body.output_config.effort
    elif body.thinking is not None and body.thinking.budget_tokens is not None and isinstance(body, MessagesRequest):
        level = level_of(body.thinking.budget_tokens, body.max_tokens)
    else:
        return None
    return NEAREST.get(level, level)


def _user(user_id: str) -> str:
    """The caller's own user, in as many characters as endpoints take."""
    return user_id if len(user_id) <= MOST_OF_A_USER else hashlib.sha256(user_id.encode()).hexdigest()
