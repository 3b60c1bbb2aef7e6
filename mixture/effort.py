"""How hard an LLM thinks before it answers: a level, or a budget of thinking tokens, and the fields by which an endpoint is told."""

from typing import Literal, get_args

Level = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Effort = Level | int  # int: at most so many thinking tokens
Way = Literal["reasoning_effort", "reasoning", "thinking", "chat_template_kwargs"]  # called as the field that is sent
LEVELS: tuple[Level, ...] = get_args(Level)
# Of an answer's tokens, what a level may think: OpenRouter's ratios, by which it tells endpoints that only know budgets.
SHARES: dict[Level, float] = {"none": 0.0, "minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}


def thinks(effort: Effort | None) -> bool:
    """Whether an LLM asked so thinks; of one that is not told anything (None) nobody knows, and this says no."""
    return effort not in {None, "none", 0}


def level_of(budget_tokens: int, most_tokens: int) -> Level:
    """The lowest level that may think so many of an answer's `most_tokens`: what a dialect's budget is in one of levels."""
    share = budget_tokens / max(1, most_tokens)
    return next((level for level in LEVELS if SHARES[level] >= share), "xhigh")
