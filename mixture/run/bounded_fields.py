"""The fields of a request under which a call costs no more than its worst case says: what a budget allows."""

from collections.abc import Mapping
from typing import Any

# Their text is counted, their tokens come out of max_tokens, or they cost nothing. Any other field may buy more than is reserved for it:
# tokens beyond max_tokens (n_predict, best_of, prediction), another price (service_tier, audio), or work of the endpoint's own (plugins).
BOUNDED = frozenset({
    "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "stop",
    "max_tokens", "max_completion_tokens", "n", "logprobs", "top_logprobs", "logit_bias", "reasoning_effort", "verbosity",
    "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format", "chat_template_kwargs",
    "grammar", "json_schema", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs",
    "user", "metadata", "store", "safety_identifier", "prompt_cache_key",
})  # fmt: skip
THE_CALLERS_OWN = frozenset({"function", "custom", None})  # tools; every other type is run by the endpoint, at its price


def unbounded(fields: Mapping[str, Any]) -> str | None:
    """The first field by which a call could cost more than its worst case, None where there is none."""
    for name in fields:
        if name not in BOUNDED:
            return name
    return "tools" if any(tool.get("type") not in THE_CALLERS_OWN for tool in fields.get("tools") or ()) else None
