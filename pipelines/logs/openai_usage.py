"""Pages of OpenAI's `/v1/organization/usage/completions` (autumn 2026): sums of calls by time, LLM and whatever they were grouped by."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, buckets, expect

NAME = "a usage report of OpenAI"


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The sums of usage reports."""
    for path in paths:
        for bucket, row in buckets(reading, path, NAME, "start_time"):
            expect(path, row, NAME, ("input_tokens",), ("output_tokens",))
            _sum(reading, path, bucket, row)


def _sum(reading: Reading, path: Path, bucket: Fields, row: Fields) -> None:
    batch = row.raw("batch")
    reading.keep(
        LoggedCall(
            str(path),
            row.number,
            at=bucket.when("start_time"),
            llm=row.text("model"),
            provider="openai",
            key=row.text("api_key_id", "project_id", "user_id"),
            requests=row.count("num_model_requests"),
            tier="batch" if batch is True else row.text("service_tier"),
            usage=LoggedUsage(
                row.count("input_tokens"),
                row.count("input_cached_tokens"),
                row.count("input_cache_write_tokens"),
                row.count("output_tokens"),
            ),
            rest=row.rest(),
        )
    )
