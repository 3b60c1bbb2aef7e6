"""Files of OpenAI's Batch API: requests and results, joined by `custom_id`; each result a call."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs import chat
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.chat import Asked
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, expect

NAME = "OpenAI's Batch API"


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The results of batches, with what was asked where the requests are among the files."""
    asked: dict[str, Asked] = {}
    results: list[tuple[Path, Fields]] = []
    for path in paths:
        for row in reading.rows(path):
            expect(path, row, NAME, ("custom_id",), ("body", "response", "error"))
            if row.has("response", "error"):
                results.append((path, row))
            elif (question := _question(row)) is not None:
                asked[row.text("custom_id") or ""] = question
    for path, row in results:
        _call(reading, path, row, asked.get(row.text("custom_id") or ""))
    if not results:
        reading.notes.append(f"{len(asked)} requests and no result: give the batch's output file too.")


def _question(row: Fields) -> Asked | None:
    body = row.mapping("body")
    return chat.asked(body.raw("messages", "input"))


def _call(reading: Reading, path: Path, row: Fields, asked: Asked | None) -> None:
    response = row.mapping("response")
    body = response.mapping("body")
    if row.raw("error") is not None or (response.count("status_code") or 200) >= 400 or not body:
        return reading.skip("requests that failed")
    told = body.mapping("usage")
    sent, written = told.mapping("prompt_tokens_details", "input_tokens_details"), told.mapping("completion_tokens_details")
    choices = body.items("choices")
    reason = choices[0].get("finish_reason") if choices and isinstance(choices[0], dict) else None
    return reading.keep(
        LoggedCall(
            str(path),
            row.number,
            call_id=row.text("custom_id"),
            at=body.when("created", "created_at"),
            llm=body.text("model"),
            provider="openai",
            tier="batch",
            text=asked.text if asked else None,
            messages=asked.messages if asked else None,
            answer=chat.replied({"choices": choices}),
            finish_reason=reason if isinstance(reason, str) else None,
            usage=LoggedUsage(
                told.count("prompt_tokens", "input_tokens"),
                sent.count("cached_tokens"),
                None,
                told.count("completion_tokens", "output_tokens"),
                written.count("reasoning_tokens"),
            ),
            rest=row.rest(),
        )
    )
