"""Pages of Anthropic's `/v1/organizations/usage_report/messages` (autumn 2026): sums of calls by time, LLM and other groups."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, buckets, expect

NAME = "a usage report of Anthropic"


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The sums of usage reports."""
    for path in paths:
        for bucket, row in buckets(reading, path, NAME, "starting_at"):
            expect(path, row, NAME, ("uncached_input_tokens",), ("output_tokens",))
            _sum(reading, path, bucket, row)


def _sum(reading: Reading, path: Path, bucket: Fields, row: Fields) -> None:
    """Anthropic counts tokens that were read from or written to the cache beside the others."""
    creation = row.mapping("cache_creation")
    fresh, cached = row.count("uncached_input_tokens"), row.count("cache_read_input_tokens")
    wrote = [count for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens") if (count := creation.count(name)) is not None]
    reading.keep(
        LoggedCall(
            str(path),
            row.number,
            at=bucket.when("starting_at"),
            llm=row.text("model"),
            provider="anthropic",
            key=row.text("api_key_id", "workspace_id"),
            requests=None,
            tier=row.text("service_tier"),
            usage=LoggedUsage(
                fresh + (cached or 0) + sum(wrote) if fresh is not None else None,
                cached,
                sum(wrote) if wrote else None,
                row.count("output_tokens"),
            ),
            rest=row.rest() | ({"cache_creation": row.raw("cache_creation")} if creation else {}),  # 5 min and 1 h have two prices
        )
    )
