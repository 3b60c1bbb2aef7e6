"""A reply as a JSON object, which an endpoint with structured output keeps to: the answer, and beside it the judgements it was asked for.

The answer stands first, so that it is written before any judgement, and is kept where a limit cuts the rest off.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mixture.judge.text_reply import JudgedReply

_BEGUN = re.compile(  # up to the answer's end, or to the end of what came, which may be half an escape
    r'\s*+\{\s*+"answer"\s*+:\s*+("(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+)(?:"|(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z)'
)


def response_format(shown: Sequence[str], *, self_score: bool) -> dict[str, Any]:
    """The request's field of that name; `shown` are the opaque ids to score, none where peers are not judged."""
    chance = {"type": "number"}  # its bounds are told in words and read strictly: some endpoints refuse a schema that has them
    properties: dict[str, Any] = {"answer": {"type": "string"}}
    if shown:
        properties["scores"] = _object(dict.fromkeys(shown, chance))
    if self_score:
        properties["confidence"] = chance
    return {"type": "json_schema", "json_schema": {"name": "judged_answer", "strict": True, "schema": _object(properties)}}


def note(shown: Sequence[str], *, self_score: bool) -> str:
    """The same in words, for LLMs are better at a form that they were told of."""
    fields = ['"answer": your complete answer, written as you would write it otherwise']
    if shown:
        fields.append(f'"scores": for each of {", ".join(shown)} the chance, between 0.00 and 1.00, that that answer is right')
    if self_score:
        fields.append('"confidence": the chance, between 0.00 and 1.00, that your answer is right')
    return "Reply with one JSON object:\n" + "\n".join(f"- {field}" for field in fields)


def read(text: str, shown: Sequence[str]) -> JudgedReply | None:
    """What `text` says; None where it is no such object. Of one that was cut off, the answer as far as it goes.

    A judgement that is missing or out of range is unknown.
    """
    text = _unfenced(text.strip())
    try:
        tree = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        if text and '{"answer":"'.startswith("".join(text.split())):
            return JudgedReply("")
        begun = _BEGUN.match(text)
        return JudgedReply(_text(json.loads(f'{begun[1]}"', strict=False))) if begun else None
    if not isinstance(tree, dict) or not isinstance(tree.get("answer"), str):
        return None
    chances = tree.get("scores")
    scores = {opaque: _chance(chances.get(opaque)) for opaque in shown} if isinstance(chances, dict) else {}
    return JudgedReply(
        _text(tree["answer"]), _chance(tree.get("confidence")), {key: score for key, score in scores.items() if score is not None}
    )


def write(judged: JudgedReply) -> str:
    """A reply that `read` takes for `judged`."""
    fields = {"answer": judged.text, "scores": dict(judged.scores) or None, "confidence": judged.self_score}
    return json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


def _unfenced(text: str) -> str:
    """`text` without the code fence that an LLM puts around JSON where its endpoint does not keep it from that."""
    return text.removeprefix("```").removeprefix("json").removesuffix("```").strip() if text.startswith("```") else text


def _text(text: str) -> str:
    """`text` without halves of a character, which JSON can spell and nothing else can say."""
    return text.encode(errors="ignore").decode()


def _chance(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else None
