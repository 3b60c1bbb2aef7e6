"""The formats that `routemoa import --from` reads: a line each, with what none of its files can say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.logs import (
    anthropic_usage,
    langfuse,
    litellm,
    llmrouterbench,
    openai_batch,
    openai_usage,
    opencompass,
    openrouter,
    otlp,
    sharegpt,
)
from pipelines.logs.reading import Reading


@dataclass(frozen=True, slots=True)
class Format:
    """what: in words, with the version it was written for. never: the facts (`call.FACTS`) that it cannot hold.

    graded: a result file, whose queries are a benchmark's and not somebody's.
    """

    what: str
    read: Callable[[Reading, Sequence[Path]], None]
    never: frozenset[str]
    graded: bool = False


TEXTS = frozenset({"text", "answer", "quality", "session"})
FORMATS: Mapping[str, Format] = {
    "litellm": Format("LiteLLM_SpendLogs, StandardLoggingPayload (LiteLLM 1.8)", litellm.read, frozenset({"quality"})),
    "langfuse": Format("observations and scores (Langfuse 3)", langfuse.read, frozenset()),
    "otlp": Format("GenAI spans as OTLP JSON (semantic conventions 1.38)", otlp.read, frozenset({"cost"})),
    "openai-usage": Format("/v1/organization/usage/completions (autumn 2026)", openai_usage.read, TEXTS | {"reasoning tokens", "cost"}),
    "anthropic-usage": Format(
        "/v1/organizations/usage_report/messages (autumn 2026)", anthropic_usage.read, TEXTS | {"reasoning tokens", "cost"}
    ),
    "openrouter": Format("/generation, /activity, completions (SDK 1.3.84)", openrouter.read, frozenset({"text", "quality"})),
    "opencompass": Format(
        "predictions and results (OpenCompass 0.5.3)",
        opencompass.read,
        frozenset({"when", "key", "session", "tokens", "cached tokens", "reasoning tokens", "cost"}),
        graded=True,
    ),
    "llmrouterbench": Format(
        "results/bench/DATASET/SPLIT/LLM/TIME.json",
        llmrouterbench.read,
        frozenset({"when", "key", "session", "cached tokens", "reasoning tokens"}),
        graded=True,
    ),
    "openai-batch": Format("requests and results of the Batch API", openai_batch.read, frozenset({"session", "key", "quality", "cost"})),
    "sharegpt": Format(
        "conversations", sharegpt.read, frozenset({"key", "tokens", "cached tokens", "reasoning tokens", "cost", "quality"})
    ),
}
