"""Exports of other tools, known by their keys: each row flat, under the names of our columns.

Written for LiteLLM_SpendLogs of LiteLLM 1.8, observations of Langfuse 3, ShareGPT's conversations, and requests and results of OpenAI's
Batch API.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.user_files import chats
from pipelines.user_files.content import Cells, Content, Row

Flat = Callable[[Cells], Cells | str]  # a row under our columns' names, or why it is left out


@dataclass(frozen=True, slots=True)
class Export:
    """A tool's export: a row with `keys` (in lower case, without '_') is of it. query, answer: what it says of each; None: nothing."""

    name: str
    keys: frozenset[str]
    query: Flat | None
    answer: Flat | None


def as_queries(read: Content, path: Path) -> Content:
    """`read` with the rows of a known export as queries. Raises ImportRefused where none of them is one."""
    return _flattened(read, path, lambda export: export.query, "queries", "--queries")


def as_answers(read: Content, path: Path) -> Content:
    """`read` with the rows of a known export as answers. Raises ImportRefused where none of them is one."""
    return _flattened(read, path, lambda export: export.answer, "answers", "--answers")


def _flattened(read: Content, path: Path, part: Callable[[Export], Flat | None], what: str, option: str) -> Content:
    export = _recognised(read)
    if export is None:
        return read
    flat = part(export)
    if flat is None:
        raise ImportRefused(f"{path}: is {export.name}, in which are no {what}.", next_step=f"Give {option} another file.")
    rows: list[Row] = []
    left_out: dict[str, int] = {}
    for row in read.rows:
        flattened = flat(_folded(row.cells))
        if isinstance(flattened, str):
            left_out[flattened] = left_out.get(flattened, 0) + 1
        else:
            rows.append(Row(row.number, flattened))
    reasons = "".join(f"; left out: {count} {reason}" for reason, count in left_out.items())
    if not rows:
        raise ImportRefused(f"{path}: is {export.name}, and no row of it has a text{reasons}.", next_step="Export prompts and replies too.")
    return Content(rows, [*read.notes, f"{path.name} is {export.name}: {len(rows)} {what}{reasons}."])


def _recognised(read: Content) -> Export | None:
    """The export whose keys the first row has."""
    keys = set(_folded(read.rows[0].cells)) if read.rows else set()
    return next((export for export in EXPORTS if export.keys <= keys), None)


def _folded(cells: Cells) -> dict[str, Any]:
    """`cells` by key in lower case without '_', as both spellings are exported; JSON in cells parsed."""
    return {str(key).lower().replace("_", ""): value for key, value in cells.items()}


def _litellm_query(row: Cells) -> Cells | str:
    text = chats.asked(chats.parsed(row.get("messages"))) or chats.asked(chats.parsed(row.get("proxyserverrequest")))
    return {"query_id": row["requestid"], "text": text} if text else "calls without messages (prompt logging was off)"


def _litellm_answer(row: Cells) -> Cells | str:
    text = chats.replied(chats.parsed(row.get("response")))
    if row.get("status") not in {None, "", "success"} or text is None:
        return "calls without a response"
    return {
        "query_id": row["requestid"],
        "llm": row.get("modelgroup") or row.get("model"),
        "text": text,
        "input_tokens": row.get("prompttokens"),
        "output_tokens": row.get("completiontokens"),
        "cost_usd": row.get("spend"),
        "latency_s": _seconds(row.get("starttime"), row.get("endtime")),
    }


def _langfuse_query(row: Cells) -> Cells | str:
    if (skipped := _langfuse_skipped(row)) is not None:
        return skipped
    value = chats.parsed(row.get("input"))
    text = chats.asked(value) or (value if isinstance(value, str) else None)
    return {"query_id": row["id"], "text": text} if text else "generations without input"


def _langfuse_answer(row: Cells) -> Cells | str:
    if (skipped := _langfuse_skipped(row)) is not None:
        return skipped
    value = chats.parsed(row.get("output"))
    text = chats.replied(value)
    text = value if text is None and isinstance(value, str) else text
    if text is None:
        return "generations without output"
    usage = row.get("usagedetails") or row.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    cached = next((usage[key] for key in ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read") if key in usage), 0)
    return {
        "query_id": row["id"],
        "llm": row.get("model") or row.get("providedmodelname"),
        "text": text,
        "input_tokens": usage["input"] + (cached or 0) if isinstance(usage.get("input"), int) else None,
        "output_tokens": usage.get("output"),
        "cost_usd": next((row[key] for key in ("totalcost", "calculatedtotalcost") if row.get(key) is not None), None),
        "latency_s": _seconds(row.get("starttime"), row.get("endtime")),
    }


def _langfuse_skipped(row: Cells) -> str | None:
    if str(row.get("type") or "GENERATION").upper() != "GENERATION":
        return "observations that are no generations"
    return "generations that failed" if str(row.get("level") or "").upper() == "ERROR" else None


def _sharegpt_query(row: Cells) -> Cells | str:
    text = chats.asked(chats.parsed(row.get("conversations")))
    return {**_id(row, "id"), "text": text} if text else "conversations without a question"


def _sharegpt_answer(row: Cells) -> Cells | str:
    turns = chats.parsed(row.get("conversations"))
    text = chats.replied(turns)
    if text is None:
        return "conversations that do not end with a reply"
    named = {"llm": row["model"]} if row.get("model") else {}
    return {**_id(row, "id"), "query": chats.asked(turns), **named, "text": text}


def _batch_request(row: Cells) -> Cells | str:
    body = row.get("body")
    text = chats.asked(body) if isinstance(body, Mapping) else None
    if text is None and isinstance(body, Mapping) and isinstance(body.get("input"), str):
        text = body["input"]
    return {"query_id": row["customid"], "text": text} if text else "requests without messages"


def _batch_result(row: Cells) -> Cells | str:
    response = row.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    text = chats.replied(body)
    if row.get("error") or not isinstance(body, Mapping) or text is None:
        return "requests that failed"
    usage = body.get("usage") or {}
    reason = body["choices"][0].get("finish_reason")
    return {
        "query_id": row["customid"],
        "llm": body.get("model"),
        "text": text,
        "finish_reason": reason,
        "input_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens"),
    }


def _id(row: Cells, key: str) -> dict[str, Any]:
    return {"query_id": row[key]} if row.get(key) not in {None, ""} else {}


def _seconds(start: object, end: object) -> float | None:
    """Between two times as ISO 8601 writes them; None where one is missing or no time."""
    try:
        seconds = (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds()
    except (ValueError, TypeError):
        return None
    return seconds if seconds >= 0 else None


EXPORTS = (
    Export("a spend log of LiteLLM", frozenset({"requestid", "spend", "messages"}), _litellm_query, _litellm_answer),
    Export("an export of Langfuse", frozenset({"id", "traceid", "input", "output"}), _langfuse_query, _langfuse_answer),
    Export("conversations in ShareGPT's form", frozenset({"conversations"}), _sharegpt_query, _sharegpt_answer),
    Export("a batch of OpenAI", frozenset({"customid", "body"}), _batch_request, None),
    Export("the results of an OpenAI batch", frozenset({"customid", "response"}), None, _batch_result),
)
