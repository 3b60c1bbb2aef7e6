"""From a request in Anthropic's Messages dialect to the chat completion request that says the same.

What the chat dialect has no place for is written into its words (an error of a tool, a search's result), or kept beside the message for the
LLM it is for (`mixture.client.provider_state`). No text and no call of a tool is lost.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from starlette.datastructures import Headers

from mixture.client.provider_state import KEY, ProviderState
from mixture.client.thinking_state import ThinkingState, opened
from serving.dialects import messages_schema as schema
from serving.dialects.messages_schema import CacheControl, CountRequest, MessagesRequest

BETWEEN = "\n\n"  # blocks of one turn
FAILED = "Error:"  # before the result of a tool that failed
MOST_OF_A_USER = 64  # characters of a `user` that endpoints take
EFFORTS = ((4096, "low"), (16384, "medium"))  # thinking tokens below which an effort is meant; more is high
NOT_PASSED_ON = frozenset({"routemoa", "betas", "service_tier", "speed", "user_profile_id", "workspace_id"})
_BETAS = re.compile(r"[\w.,; -]{1,1000}", re.ASCII)
Chat = dict[str, Any]


def as_chat(body: CountRequest) -> Chat:
    """The JSON of a chat completion request."""
    chat: Chat = {"model": body.model, "messages": _messages(body)}
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
    options = metadata.routemoa if body.routemoa is None else body.routemoa
    chat |= {} if options is None else {"routemoa": options}
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


def _messages(body: CountRequest) -> list[Chat]:
    messages = [_text_message("system", body.system)] if body.system else []
    loop_begins = max((at for at, each in enumerate(body.messages) if _is_asked(each)), default=-1)
    for at, message in enumerate(body.messages):
        if message.role == "user":
            messages += _user_turn(message)
        elif message.role == "system":
            messages.append(_text_message("system", message.content))
        else:
            messages.append(_assistant_turn(message, in_loop=at > loop_begins))
    if body.cache_control is not None:
        _mark_end(messages[-1], body.cache_control)
    return messages


def _is_asked(message: schema.Message) -> bool:
    """Whether a user says something here, rather than a tool."""
    return message.role == "user" and not any(isinstance(each, schema.ToolResult) for each in message.content)


def _user_turn(message: schema.Message) -> list[Chat]:
    """The results of tools, each a message, then the rest of the turn: an endpoint wants results right after the calls."""
    results = [block for block in message.content if isinstance(block, schema.ToolResult)]
    messages, media = [], []
    for result in results:
        told, shown = _result(result)
        messages.append(told)
        media += shown
    rest = [block for block in message.content if not isinstance(block, schema.ToolResult)]
    if media:
        return [*messages, {"role": "user", "content": [*media, *_parts(rest)], KEY: ProviderState()}]
    return [*messages, _shown_message(rest)] if rest else messages


def _shown_message(blocks: Sequence[Any]) -> Chat:
    if all(_words(block) is not None for block in blocks):
        return _text_message("user", blocks)
    return {"role": "user", "content": _parts(blocks), KEY: ProviderState()}


def _result(result: schema.ToolResult) -> tuple[Chat, list[Chat]]:
    """What a tool said, as a message; and what it showed, as parts of one that follows, since tools' messages hold words alone."""
    texts = [words for block in result.content if (words := _words(block)) is not None]
    shown = [part for block in result.content if _words(block) is None for part in _parts([block])]
    texts = [FAILED, *texts] if result.is_error else texts
    if shown:
        texts.append(f"[{len(shown)} shown below]")
        shown.insert(0, {"type": "text", "text": f"[shown by {result.tool_use_id}]"})
    content = BETWEEN.join(texts)
    message = {"role": "tool", "tool_call_id": result.tool_use_id, "content": content}
    marks = _marks([(len(content), result.cache_control)])
    return (message | {KEY: ProviderState(marks=marks)} if marks else message), shown


def _assistant_turn(message: schema.Message, *, in_loop: bool) -> Chat:
    calls = [_call(block) for block in message.content if isinstance(block, schema.ToolUse)]
    texts = [block for block in message.content if isinstance(block, schema.Text)]
    turn = _text_message("assistant", texts)
    if calls:
        turn = {**turn, "content": turn["content"] or None, "tool_calls": calls}
    state = turn.get(KEY, ProviderState())
    thoughts = [(block, sealed) for block in message.content if (sealed := _sealed(block)) is not None]
    maker = thoughts[-1][1].llm if thoughts else ""
    fields = _thought([each for each in thoughts if each[1].llm == maker], in_loop=in_loop)
    if fields or state.marks:
        turn[KEY] = ProviderState(maker, fields, state.marks)
    return turn


def _sealed(block: Any) -> ThinkingState | None:
    if isinstance(block, schema.Thinking):
        return opened(block.signature)
    return opened(block.data) if isinstance(block, schema.RedactedThinking) else None


def _thought(thoughts: Iterable[tuple[Any, ThinkingState]], *, in_loop: bool) -> Chat:
    """The fields that go back to who thought this. Bare text only while its tools are at work: endpoints take it no longer than that."""
    fields: Chat = {}
    for block, state in thoughts:
        for name, blocks in state.fields.items():
            fields[name] = [*fields.get(name, ()), *blocks]
        if in_loop and state.text and isinstance(block, schema.Thinking):
            fields[state.text] = fields.get(state.text, "") + block.thinking
    return fields


def _call(block: schema.ToolUse) -> Chat:
    arguments = orjson.dumps(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _text_message(role: str, blocks: Sequence[Any]) -> Chat:
    """A message of words alone: one text, which every endpoint takes, and beside it where its cached prefixes end."""
    texts = [_words(block) or "" for block in blocks]
    ends, at = [], 0
    for text in texts:
        at += len(text)
        ends.append(at)
        at += len(BETWEEN)
    message: Chat = {"role": role, "content": BETWEEN.join(texts)}
    marks = _marks(zip(ends, (block.cache_control for block in blocks), strict=True))
    return message | {KEY: ProviderState(marks=marks)} if marks else message


def _words(block: Any) -> str | None:
    """A block as words, None where it is none."""
    if isinstance(block, schema.Text):
        return block.text
    if isinstance(block, schema.SearchResult):
        return "\n".join([f"{block.title} ({block.source})", *(each.text for each in block.content)])
    if isinstance(block, schema.Document) and block.source.type == "text":
        return "\n".join(filter(None, [block.title, block.context, block.source.data]))
    return None


def _parts(blocks: Iterable[Any]) -> list[Chat]:
    """Blocks as parts of a message."""
    parts: list[Chat] = []
    for block in blocks:
        if (words := _words(block)) is not None:
            part: Chat = {"type": "text", "text": words}
        elif isinstance(block, schema.Image):
            part = {"type": "image_url", "image_url": {"url": _data_url(block.source)}}
        else:
            parts += [{"type": "text", "text": block.context}] if block.context else []
            part = {"type": "file", "file": {"file_data": _data_url(block.source), "filename": block.title or "document.pdf"}}
        parts.append(part | {"cache_control": _plain(block.cache_control)} if block.cache_control else part)
    return parts


def _data_url(source: schema.Source) -> str:
    return f"data:{source.media_type};base64,{source.data}"


def _marks(ends: Iterable[tuple[int, CacheControl | None]]) -> tuple[tuple[int, Mapping[str, Any]], ...]:
    """Where cached prefixes end; nothing ends where nothing has been said since the mark before."""
    marks: list[tuple[int, Mapping[str, Any]]] = []
    for end, mark in ends:
        if mark is not None and end > (marks[-1][0] if marks else 0):
            marks.append((end, _plain(mark)))
    return tuple(marks)


def _mark_end(message: Chat, mark: CacheControl) -> None:
    """Lets the prefix that is cached end with the last message."""
    content = message["content"]
    state: ProviderState = message.get(KEY, ProviderState())
    if isinstance(content, str):
        ends = (*state.marks, *_marks([(len(content), mark)]))
        message[KEY] = ProviderState(state.maker, state.fields, tuple(dict(ends).items()))
    elif content:
        content[-1] = {"cache_control": _plain(mark)} | content[-1]


def _plain(mark: CacheControl) -> dict[str, str]:
    return mark.model_dump(exclude_none=True)


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
    """How much is to be thought, in the chat dialect's words; None where that is left to the LLM."""
    if body.output_config is not None and body.output_config.effort is not None:
        return body.output_config.effort if body.output_config.effort in {"low", "medium"} else "high"
    budget = None if body.thinking is None else body.thinking.budget_tokens
    return None if budget is None else next((effort for below, effort in EFFORTS if budget < below), "high")


def _user(user_id: str) -> str:
    """The caller's own user, in as many characters as endpoints take."""
    return user_id if len(user_id) <= MOST_OF_A_USER else hashlib.sha256(user_id.encode()).hexdigest()
