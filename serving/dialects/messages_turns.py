"""The turns of a request in Anthropic's Messages dialect as messages of a chat.

What the chat dialect has no place for is written into its words (an error of a tool, a search's result), or kept beside the message for the
LLM it is for (`mixture.client.provider_state`). No text and no call of a tool is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from mixture.client.provider_state import KEY, ProviderState
from mixture.client.thinking_state import ThinkingState, opened
from serving.dialects import messages_blocks as kinds
from serving.dialects.messages_blocks import CacheControl
from serving.dialects.messages_schema import CountRequest

BETWEEN = "\n\n"  # blocks of one turn
FAILED = "Error:"  # before the result of a tool that failed
Chat = dict[str, Any]


def messages_of(body: CountRequest) -> list[Chat]:
    """The system text and the turns."""
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


def _is_asked(message: kinds.Message) -> bool:
    """Whether a user says something here, rather than a tool."""
    return message.role == "user" and not any(isinstance(each, kinds.ToolResult) for each in message.content)


def _user_turn(message: kinds.Message) -> list[Chat]:
    """The results of tools, each a message, then the rest of the turn: an endpoint wants results right after the calls."""
    results = [block for block in message.content if isinstance(block, kinds.ToolResult)]
    messages, media = [], []
    for result in results:
        told, shown = _result(result)
        messages.append(told)
        media += shown
    rest = [block for block in message.content if not isinstance(block, kinds.ToolResult)]
    if media:
        return [*messages, {"role": "user", "content": [*media, *_parts(rest)], KEY: ProviderState()}]
    return [*messages, _shown_message(rest)] if rest else messages


def _shown_message(blocks: Sequence[Any]) -> Chat:
    if all(_words(block) is not None for block in blocks):
        return _text_message("user", blocks)
    return {"role": "user", "content": _parts(blocks), KEY: ProviderState()}


def _result(result: kinds.ToolResult) -> tuple[Chat, list[Chat]]:
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


def _assistant_turn(message: kinds.Message, *, in_loop: bool) -> Chat:
    calls = [_call(block) for block in message.content if isinstance(block, kinds.ToolUse)]
    texts = [block for block in message.content if isinstance(block, kinds.Text)]
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
    if isinstance(block, kinds.Thinking):
        return opened(block.signature)
    return opened(block.data) if isinstance(block, kinds.RedactedThinking) else None


def _thought(thoughts: Iterable[tuple[Any, ThinkingState]], *, in_loop: bool) -> Chat:
    """The fields that go back to who thought this. Bare text only while its tools are at work: endpoints take it no longer than that."""
    fields: Chat = {}
    for block, state in thoughts:
        for name, blocks in state.fields.items():
            fields[name] = [*fields.get(name, ()), *blocks]
        if in_loop and state.text and isinstance(block, kinds.Thinking):
            fields[state.text] = fields.get(state.text, "") + block.thinking
    return fields


def _call(block: kinds.ToolUse) -> Chat:
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
    if isinstance(block, kinds.Text):
        return block.text
    if isinstance(block, kinds.SearchResult):
        return "\n".join([f"{block.title} ({block.source})", *(each.text for each in block.content)])
    if isinstance(block, kinds.Document) and block.source.type == "text":
        return "\n".join(filter(None, [block.title, block.context, block.source.data]))
    return None


def _parts(blocks: Iterable[Any]) -> list[Chat]:
    """Blocks as parts of a message."""
    parts: list[Chat] = []
    for block in blocks:
        if (words := _words(block)) is not None:
            part: Chat = {"type": "text", "text": words}
        elif isinstance(block, kinds.Image):
            part = {"type": "image_url", "image_url": {"url": _data_url(block.source)}}
        else:
            parts += [{"type": "text", "text": block.context}] if block.context else []
            part = {"type": "file", "file": {"file_data": _data_url(block.source), "filename": block.title or "document.pdf"}}
        parts.append(part | {"cache_control": _plain(block.cache_control)} if block.cache_control else part)
    return parts


def _data_url(source: kinds.Source) -> str:
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
