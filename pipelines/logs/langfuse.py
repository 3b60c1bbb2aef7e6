"""Observations of Langfuse 3 (type GENERATION), with its scores: inside of them, or as rows of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.logs import chat
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, expect, objects

NAME = "an export of Langfuse"
READ = ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read")
WRITTEN = ("cache_creation_input_tokens", "input_cache_creation", "input_cache_creation_tokens")
REASONED = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens")
Score = tuple[str, str | None, str | None, Any]  # name, observation, trace, value


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The generations of exports, and their scores."""
    scores: list[Score] = []
    traces: dict[str, str] = {}
    for path in paths:
        for row in reading.rows(path):
            if row.has("value", "stringValue") and row.has("name") and not row.has("type", "input"):
                scores.append(_score(row))
                continue
            expect(path, row, NAME, ("id",), ("traceId", "observations"))
            for inner in [reading.fields(path, row.number, each) for each in objects(row.items("observations"))] or [row]:
                _call(reading, path, inner, traces)
            of = row.text("id") if row.has("traceId") else None
            trace = row.text("traceId", "id")
            scores += [_score(reading.fields(path, row.number, each), of, trace) for each in objects(row.items("scores"))]
    reading.scores = [(name, call_id, value) for name, of, trace, value in scores if (call_id := of or traces.get(trace or ""))]


def _score(row: Fields, of: str | None = None, trace: str | None = None) -> Score:
    """A score of an observation; one of a trace is of its last generation."""
    value = row.raw("stringValue") if row.text("dataType") == "CATEGORICAL" else row.raw("value", "stringValue")
    return row.text("name") or "score", row.text("observationId") or of, row.text("traceId") or trace, value


def _call(reading: Reading, path: Path, row: Fields, traces: dict[str, str]) -> None:
    if (row.text("type") or "GENERATION").upper() != "GENERATION":
        return reading.skip("observations that are no generations")
    if (row.text("level") or "").upper() == "ERROR":
        return reading.skip("generations that failed")
    call_id, trace = row.text("id"), row.text("traceId")
    if call_id is not None and trace is not None:
        traces[trace] = call_id
    started, ended, first = row.when("startTime"), row.when("endTime"), row.when("completionStartTime")
    asked = chat.asked(row.raw("input"))
    return reading.keep(
        LoggedCall(
            str(path),
            row.number,
            call_id=call_id,
            at=started,
            llm=row.text("model", "providedModelName"),
            key=row.text("userId"),
            session=row.text("sessionId", "traceId"),
            text=asked.text if asked else None,
            messages=asked.messages if asked else None,
            answer=chat.replied(row.raw("output")),
            usage=_usage(row),
            cost_usd=row.usd("totalCost", "calculatedTotalCost"),
            latency_s=chat.seconds_between(started, ended),
            first_token_s=chat.seconds_between(started, first),
            rest=row.rest(),
        )
    )


def _usage(row: Fields) -> LoggedUsage:
    """Langfuse counts cached and reasoning tokens beside input and output, unless its total says that they are within."""
    told = row.mapping("usageDetails", "usage")
    sent, written = told.count("input", "prompt_tokens", "promptTokens"), told.count("output", "completion_tokens", "completionTokens")
    read_, wrote, reasoned, total = told.count(*READ), told.count(*WRITTEN), told.count(*REASONED), told.count("total")
    if sent is None or written is None or total != sent + written:
        sent = sent + (read_ or 0) + (wrote or 0) if sent is not None else None
        written = written + (reasoned or 0) if written is not None else None
    return LoggedUsage(sent, read_, wrote, written, reasoned)
