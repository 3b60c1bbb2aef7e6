"""What an LLM says, without what it thinks: thinking in tags, in fields of its own, or in parts of a list."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_NAMES = (r"(?:seed:)?think(?:ing)?", "thoughts?", "reasoning", "reflection", "scratchpad", "analysis", "inner_monologue")
_PAIRS = (
    *((rf"<{name}(?:\s[^<>\n]*)?>", rf"</{name}\s*>") for name in _NAMES),
    (r"\[THINK\]", r"\[/THINK\]"),  # Mistral
    (r"◁think▷", r"◁/think▷"),  # Kimi
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),  # Cohere
    (r"<unused94>", r"<unused95>"),  # Gemma
    (r"<details type=\"reasoning\"[^<>\n]*>", r"</details>"),
    (r"\AHere(?: is|'s) my thought process:", r"Here(?: is|'s) my response:"),  # Granite
)
_TAG = re.compile("|".join(f"(?P<o{at}>{opens})|(?P<c{at}>{closes})" for at, (opens, closes) in enumerate(_PAIRS)), re.IGNORECASE)
_FINAL_CHANNEL = re.compile(r"<\|channel\|>final[^<]*<\|message\|>|\Aanalysis(?=[A-Z]).*?assistantfinal", re.DOTALL)  # gpt-oss
_OTHER_CHANNEL = re.compile(r"<\|channel\|>(?:analysis|commentary)|\Aanalysis(?=[A-Z][a-z])")
_MARKS = ("<", "[", "◁")  # nothing of all this without one of them
_SPECIAL = re.compile(r"<\|[A-Za-z_]+\|>")
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "redacted_thinking", "thought", "summary_text", "reasoning_text"})


def spoken(text: str) -> str:
    """`text` without its thinking. "" where thinking is opened and never closed: such an answer was cut off before it was given."""
    if not any(mark in text for mark in _MARKS) and not text.startswith(("analysis", "Here")):
        return text
    final = list(_FINAL_CHANNEL.finditer(text))
    if final:
        text = _SPECIAL.sub("", text[final[-1].end() :])
    elif _OTHER_CHANNEL.search(text):
        return ""
    if not _TAG.search(text):
        return text
    parts: list[str] = []
    at, opened = 0, ""
    for tag in _TAG.finditer(text):
        kind = str(tag.lastgroup)
        if opened:
            if kind == f"c{opened}":
                at, opened = tag.end(), ""
        elif _quoted(text, at, tag):
            continue
        elif kind[0] == "o":
            parts.append(text[at : tag.start()])
            opened = kind[1:]
        else:  # closed without being opened: the prompt's template opened it, and all before it is thinking
            parts.clear()
            at = tag.end()
    return "" if opened else "".join([*parts, text[at:]]).strip("\n")


def text_of(content: Any) -> str:
    """What a message says: its `content` as text or as a list of parts, thinking left out wherever it stands; "" for anything else.

    Takes a message (fields such as `reasoning_content` are not said), its content, or one part of it.
    """
    if isinstance(content, str):
        return spoken(content)
    if isinstance(content, Mapping):
        if is_thought(content):
            return ""
        return text_of(content.get("content") if content.get("text") is None else content["text"])
    if isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
        return "".join(map(text_of, content))
    return ""


def is_thought(part: Mapping[str, Any]) -> bool:
    """Whether a part of a message is something that an LLM thinks."""
    kind = part.get("type")
    return (isinstance(kind, str) and kind in _THOUGHT_PARTS) or part.get("thought") is True


def _quoted(text: str, since: int, tag: re.Match[str]) -> bool:
    """Whether a tag is only spoken about: in quotes, in backticks or in a block of code that began after `since`."""
    before = text[max(tag.start() - 1, 0) : tag.start()]
    in_code = text.count("```", since, tag.start()) % 2 == 1
    return before in {"'", '"', "`"} or (in_code and not (before == "\n" and str(tag.lastgroup).startswith("c")))
