"""How an endpoint is told how hard to think: a small table of ways, chosen by the pool entry or by where the endpoint is."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from mixture.effort import LEVELS, SHARES, Effort, Way, thinks
from mixture.llm import LLM

LEAST_BUDGET = 1024  # thinking tokens, by Anthropic's interface
BY_HOST: Mapping[str, Way] = {"openrouter.ai": "reasoning", "api.anthropic.com": "thinking"}
OWN_HOST: Way = "chat_template_kwargs"  # vLLM, SGLang, llama.cpp: a template reads it, and one that does not know it ignores it
OTHER_HOST: Way = "reasoning_effort"  # OpenAI's own field, which most others take


def way_of(llm: LLM) -> Way:
    """By the entry's word, else by the host."""
    if llm.effort_way is not None:
        return llm.effort_way
    host = "" if llm.endpoint is None else urlsplit(llm.endpoint.base_url).hostname or ""
    return BY_HOST.get(host) or (OWN_HOST if _is_ours(host) else OTHER_HOST)


def effort_fields(llm: LLM, effort: Effort, most_tokens: int) -> dict[str, Any]:
    """The fields of a request to `llm` whose answer, with its thinking, has at most `most_tokens`.

    Raises ValueError, with what to do, where its endpoint cannot be told of such an effort.
    """
    return _WAYS[way_of(llm)](effort, most_tokens)


def is_level(value: Any) -> bool:
    """Whether a caller's `reasoning_effort` is one that can be said in every way."""
    return isinstance(value, str) and value in LEVELS


def _is_ours(host: str) -> bool:
    """Whether a host is a machine of the operator's own: a private address, or a name without a domain."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host


def _reasoning_effort(effort: Effort, _: int) -> dict[str, Any]:
    if isinstance(effort, int):
        raise ValueError(f"its endpoint takes levels, not a budget of {effort} tokens: give one of {', '.join(LEVELS)}, or effort_way")  # noqa: TRY004
    return {"reasoning_effort": effort}


def _reasoning(effort: Effort, _: int) -> dict[str, Any]:
    """OpenRouter."""
    return {"reasoning": {"max_tokens": effort} if isinstance(effort, int) else {"effort": effort}}


def _thinking(effort: Effort, most_tokens: int) -> dict[str, Any]:
    """Anthropic: a budget below the answer's limit, of 1,024 tokens at least."""
    if not thinks(effort):
        return {"thinking": {"type": "disabled"}}
    budget = effort if isinstance(effort, int) else max(LEAST_BUDGET, int(SHARES[effort] * most_tokens))
    if not LEAST_BUDGET <= budget < most_tokens:
        raise ValueError(
            f"thinking in {budget} of {most_tokens} tokens: its endpoint wants at least {LEAST_BUDGET}, and fewer than max_tokens;"
            " raise max_tokens"
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _template(effort: Effort, _: int) -> dict[str, Any]:
    """Chat templates: Qwen's read enable_thinking, gpt-oss' reasoning_effort, Seed-OSS' thinking_budget."""
    told: dict[str, Any] = {"enable_thinking": thinks(effort)}
    if isinstance(effort, int):
        told["thinking_budget"] = effort
    elif thinks(effort):
        told["reasoning_effort"] = effort
    return {"chat_template_kwargs": told}


_WAYS: Mapping[Way, Callable[[Effort, int], dict[str, Any]]] = {
    "reasoning_effort": _reasoning_effort,
    "reasoning": _reasoning,
    "thinking": _thinking,
    "chat_template_kwargs": _template,
}
