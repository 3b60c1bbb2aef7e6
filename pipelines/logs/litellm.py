"""LiteLLM_SpendLogs of LiteLLM 1.8, and its StandardLoggingPayload: one call a row."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs import chat
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, expect

NAME = "a spend log of LiteLLM"
NOT_CHATS = ("embedding", "image", "speech", "transcription", "moderation", "rerank", "pass_through")


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The calls of spend logs."""
    for path in paths:
        for row in reading.rows(path):
            expect(path, row, NAME, ("request_id", "id"), ("model", "model_group"), ("spend", "response_cost", "call_type"))
            _call(reading, path, row)


def _call(reading: Reading, path: Path, row: Fields) -> None:
    kind = row.text("call_type") or ""
    if any(each in kind for each in NOT_CHATS):
        return reading.skip("calls that are no chats")
    if (row.text("status") or "success").casefold() not in {"success", "200"}:
        return reading.skip("calls that failed")
    if (row.text("cache_hit") or "").casefold() == "true":
        return reading.skip("answers from the proxy's own cache, for which no LLM was paid")
    metadata = row.mapping("metadata")
    told = metadata.mapping("usage_object")
    started, ended = row.when("startTime"), row.when("endTime")
    first = row.when("completionStartTime")
    asked = chat.asked(row.raw("messages")) or chat.asked(row.raw("proxy_server_request"))
    return reading.keep(
        LoggedCall(
            str(path),
            row.number,
            call_id=row.text("request_id", "id"),
            at=started,
            llm=row.text("model", "model_group"),
            provider=row.text("custom_llm_provider"),
            key=metadata.text("user_api_key_alias") or row.text("api_key", "user", "end_user"),
            session=row.text("session_id", "trace_id"),
            tier=told.text("service_tier"),
            text=asked.text if asked else None,
            messages=asked.messages if asked else None,
            answer=chat.replied(row.raw("response")),
            usage=LoggedUsage(
                row.count("prompt_tokens"),
                _either(told.mapping("prompt_tokens_details").count("cached_tokens"), told.count("cache_read_input_tokens")),
                told.count("cache_creation_input_tokens"),
                row.count("completion_tokens"),
                told.mapping("completion_tokens_details").count("reasoning_tokens"),
            ),
            cost_usd=row.usd("spend", "response_cost"),
            latency_s=chat.seconds_between(started, ended),
            first_token_s=chat.seconds_between(started, first),
            rest=row.rest(),
        )
    )


def _either(first: int | None, second: int | None) -> int | None:
    """Providers say it in one of two places."""
    return second if first is None else first
