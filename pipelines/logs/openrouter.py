"""What OpenRouter's API (SDK 1.3.84) says of calls: `/generation`, rows of `/activity`, and completions with the usage it adds."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs import chat
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, expect

NAME = "OpenRouter"
PROVIDER = "openrouter"


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """Calls, and sums of calls."""
    for path in paths:
        for outer in reading.rows(path):
            wrapped = outer.raw("data")
            row = reading.fields(path, outer.number, wrapped) if isinstance(wrapped, dict) else outer
            expect(path, row, NAME, ("model",), ("total_cost", "date", "choices", "usage"))
            if row.has("total_cost", "native_tokens_prompt"):
                _generation(reading, path, row)
            elif row.has("date"):
                _activity(reading, path, row)
            else:
                _completion(reading, path, row)


def _generation(reading: Reading, path: Path, row: Fields) -> None:
    if row.raw("cancelled") is True and row.count("native_tokens_completion") is None:
        return reading.skip("calls that were cancelled")
    return reading.keep(
        LoggedCall(
            str(path),
            row.number,
            call_id=row.text("id"),
            at=row.when("created_at"),
            llm=row.text("model"),
            provider=PROVIDER,
            key=row.text("external_user", "app_id"),
            session=row.text("session_id"),
            finish_reason=row.text("finish_reason"),
            usage=LoggedUsage(
                row.count("native_tokens_prompt", "tokens_prompt"),
                row.count("native_tokens_cached"),
                None,
                row.count("native_tokens_completion", "tokens_completion"),
                row.count("native_tokens_reasoning"),
            ),
            cost_usd=row.usd("total_cost"),
            latency_s=row.seconds("generation_time", per_second=1000),
            first_token_s=row.seconds("latency", per_second=1000),
            rest=row.rest(),
        )
    )


def _activity(reading: Reading, path: Path, row: Fields) -> None:
    reading.keep(
        LoggedCall(
            str(path),
            row.number,
            at=row.when("date"),
            llm=row.text("model", "model_permaslug"),
            provider=PROVIDER,
            requests=row.count("requests"),
            usage=LoggedUsage(
                row.count("prompt_tokens"),
                row.count("cached_tokens"),
                None,
                row.count("completion_tokens"),
                row.count("reasoning_tokens"),
            ),
            cost_usd=row.usd("usage"),
            rest=row.rest(),
        )
    )


def _completion(reading: Reading, path: Path, row: Fields) -> None:
    """A completion as it came back; what was asked is not in it."""
    told = row.mapping("usage")
    sent, written = told.mapping("prompt_tokens_details"), told.mapping("completion_tokens_details")
    reading.keep(
        LoggedCall(
            str(path),
            row.number,
            call_id=row.text("id"),
            at=row.when("created"),
            llm=row.text("model"),
            provider=PROVIDER,
            answer=chat.replied({"choices": row.items("choices")}),
            usage=LoggedUsage(
                told.count("prompt_tokens"),
                sent.count("cached_tokens"),
                sent.count("cache_write_tokens"),
                told.count("completion_tokens"),
                written.count("reasoning_tokens"),
            ),
            cost_usd=told.usd("cost"),
            rest=row.rest(),
        )
    )
