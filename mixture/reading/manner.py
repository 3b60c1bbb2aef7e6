"""How a sentence means what it says: refused, unsure, denied, one of several, or only polite."""

import re
from functools import cache

from mixture.reading.languages import any_of

_SENTENCE = re.compile(r"[^\n.!?。！？]*(?:[.!?](?!\s|$|[\"'”»)*_])[^\n.!?。！？]*)*(?:[.!?。！？]+[\"'”»)*_]*|$|\n)")
_HEDGED = re.compile(
    r"\b(?:could|might|may|maybe|perhaps|possibly|either|könnte|vielleicht|entweder|peut-être|pourrait|soit|podría|quizás?|tal\s+vez|poderia|talvez|potrebbe|forse|может|возможно|可能|也许|かもしれ|아마)",
    re.IGNORECASE,
)
_GUESS = re.compile(r"\b(?:but|however|think|believe|guess|aber|mais|pero|mas|ma|но)\b|但", re.IGNORECASE)
_NOT_ONLY = re.compile(
    r"\b(?:not\s+only|nicht\s+nur|pas\s+seulement|no\s+s[oó]lo|não\s+só|non\s+solo|не\s+только)|不仅|不只", re.IGNORECASE
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_LEAD = re.compile(r"^[\s>*_#\-•]*")
_CLAUSE = re.compile(r"[,;:，、；：]|\s[–—-]\s|\b(?:but|aber|sondern|mais|pero|sino|mas|ma|bensì|а|но)\b|而是|但")


def sentences(text: str) -> list[str]:
    """The sentences of `text`; a line break ends one too."""
    return [sentence for match in _SENTENCE.finditer(text) if (sentence := match[0].strip())]


def is_refusal(text: str) -> bool:
    """Whether an answer that states nothing says in its first two sentences that it will not or cannot answer, or does not know."""
    first = " ".join(sentences(text[:600])[:2])
    unsure = _pattern("unsure").search(first)
    guesses = unsure is not None and (_GUESS.search(first, unsure.end()) or _GUESS.search(first[: unsure.start()])) is not None
    return _pattern("refusal").search(first) is not None or (unsure is not None and not guesses)


def is_closing(sentence: str) -> bool:
    """Whether a sentence is only polite, a note or a statement of confidence."""
    bare = _LEAD.sub("", sentence).lstrip("(")
    return _pattern("closing").match(bare) is not None


def without_closing(text: str) -> str:
    """`text` without the polite sentences at its end."""
    lines = text.rstrip().splitlines()
    while lines:
        parts = sentences(lines[-1])
        kept = list(parts)
        while kept and (is_closing(kept[-1]) or not re.search(r"[\w`]", kept[-1])):
            kept.pop()
        if kept and len(kept) == len(parts):
            break
        lines[-1:] = [" ".join(kept)] if kept else []
    return "\n".join(lines)


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether what stands at `start` to `end` of a sentence is denied there: by a "not" shortly before it, or an "is wrong" behind it."""
    before = _CLAUSE.split(text[max(start - 80, 0) : start])[-1]
    near = " ".join(_NOT_ONLY.sub("", before).split()[-4:])
    near = near[-8:] if _UNSPACED.search(near) else near
    if _pattern("negation").search(near):
        return True
    return _denial().match(text[end : end + 60]) is not None


def is_hedged(sentence: str) -> bool:
    """Whether a sentence names things of which it picks none: "It could be A, B or C."."""
    return bool(_HEDGED.search(sentence)) and _pattern("alternatives").search(sentence) is not None


def meant(content: str) -> str | None:
    """A statement without what it takes back: `not C but B` means B, `not C` nothing."""
    if not _negated().match(content):
        return content
    parts = _but().split(content, maxsplit=1)
    return parts[1].strip() if len(parts) > 1 and parts[1].strip() else None


@cache
def _pattern(field: str) -> re.Pattern[str]:
    return re.compile(any_of(field), re.IGNORECASE)


@cache
def _negated() -> re.Pattern[str]:
    """A statement that begins with a "not" before something; a mere "No." is an answer."""
    return re.compile(r"\W*(?:(?:not|isn['’]t|nicht|pas|non|n[ãa]o|не)\s+[\w\"'(«“*$\\]|不是|并非|並非|不能是)", re.IGNORECASE)


@cache
def _but() -> re.Pattern[str]:
    return re.compile(rf"[,;\s，]\s*{any_of('but')}\s*|而是|[;,]\s*(?:it\s+is|it['’]s)\s+", re.IGNORECASE)


@cache
def _denial() -> re.Pattern[str]:
    verbs = r"(?:is|are|was|ist|est|es|é|è|это|n['’]est|no\s+es|não\s+é|non\s+è)"
    behind = r"ではない|ではありません|じゃない|でない|(?:이|가)?\s?아니|(?:이|가)?\s?아닙"
    return re.compile(
        rf"[\s)\]*_\"'”]*(?:(?:it\s+)?{verbs}\s+(?:clearly\s+|also\s+)?{any_of('negation')}|(?:it\s+)?(?:{verbs}\s+)?(?:clearly\s+|also\s+)?{any_of('wrong')}|it\s+is\s+not|{behind})",
        re.IGNORECASE,
    )
