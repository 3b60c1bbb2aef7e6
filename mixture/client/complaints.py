"""What an endpoint says is wrong: read from any of the usual shapes, and quoted without our key."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixture.client.json_values import count, mapping, mappings, parsed
from mixture.llm import LLM

LONGEST_COMPLAINT = 300  # characters of an endpoint's own words that are worth repeating
LONGEST_READ = 10_000  # characters of them that are looked at
SHORTEST_SHOWN = 8  # characters in a row that a complaint and a key may not share
_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_STATUS_OF = (  # of an error that comes without a status of its own, by the words in its code or type
    (re.compile("rate_?limit|too_many|quota|exhausted|throttl", re.IGNORECASE), 429),
    (re.compile("auth|api_?key|permission", re.IGNORECASE), 401),
    (re.compile("invalid|context_length|content_filter|content_policy|bad_request|unsupported", re.IGNORECASE), 400),
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """An endpoint's error. words: as it wrote them. status: the HTTP status inside it, None without one. code, param: OpenAI's, if sent."""

    words: str
    status: int | None = None
    code: str | None = None
    param: str | None = None

    @classmethod
    def inside(cls, content: bytes) -> "Complaint":
        """The complaint that the body of an HTTP error is; the whole body where it has none of the usual shapes."""
        try:
            tree = parsed(content)
        except ValueError:
            tree = None
        found = cls.of(tree[0] if isinstance(tree, list) and tree else tree)  # Google sends a list of one
        if found is not None:
            return found
        return cls(repr(content[:LONGEST_READ].decode(errors="replace")) if content else "an empty body")

    @classmethod
    def of(cls, tree: Any) -> "Complaint | None":
        """The complaint in `tree`: under `error`, or beside it where that is what the tree is for; None where there is none."""
        raw = mapping(tree)
        error = raw.get("error")
        if isinstance(error, dict) and not any(error.values()):
            error = None
        if error:
            return cls._described(error)
        if raw.get("object") == "error" or raw.get("type") == "error" or ("choices" not in raw and _words(raw)):
            return cls._described(raw)
        return None

    @classmethod
    def _described(cls, error: Any) -> "Complaint":
        fields = mapping(error)
        words = _words(fields) or (error if isinstance(error, str) else "an error without a message")
        code, kind = fields.get("code"), fields.get("type")
        statuses = (count(fields.get(name), 599) for name in ("code", "status", "status_code", "http_status"))
        status = next((each for each in statuses if each is not None and each >= 400), None)
        return cls(words, status or _status_of(code) or _status_of(kind), _word(code), _word(fields.get("param")))


def quoted(llm: LLM, words: str) -> str:
    """The beginning of what an endpoint said: our key is taken out first, then it is cut."""
    key = os.environ.get(llm.endpoint.api_key_env or "") if llm.endpoint else None
    words = words[:LONGEST_READ]
    return (without(key, words) if key else words)[:LONGEST_COMPLAINT]


def without(secret: str, words: str) -> str:
    """`words` with each part of `secret` replaced that is long enough to tell of it: endpoints repeat keys whole, cut off and wrapped."""
    size = min(SHORTEST_SHOWN, len(secret))
    parts = {secret[at : at + size] for at in range(len(secret) - size + 1)}
    kept: list[str] = []
    at = shown = 0
    while at <= len(words) - size:
        if words[at : at + size] not in parts:
            at += 1
            continue
        kept += [words[shown:at], "[key]"]
        while words[at : at + size] in parts:
            at += 1
        at = shown = at + size - 1
    return "".join([*kept, words[shown:]])


def _words(fields: Mapping[str, Any]) -> str:
    """The message, or what FastAPI's servers send: a detail, or a list of them with places."""
    for name in ("message", "detail", "msg"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
        if details := mappings(value):
            return "; ".join(f"{_place(each.get('loc'))}: {each.get('msg')}" for each in details)
        if inner := mapping(value):
            return _words(inner)
    return ""


def _place(loc: Any) -> str:
    return ".".join(map(str, loc)) if isinstance(loc, list) else str(loc)


def _word(value: Any) -> str | None:
    """A code or the name of a field: one word, so that nothing else travels in it."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _status_of(word: Any) -> int | None:
    if not isinstance(word, str):
        return None
    return next((status for pattern, status in _STATUS_OF if pattern.search(word)), None)
