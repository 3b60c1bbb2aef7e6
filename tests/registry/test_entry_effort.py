"""The effort of a pool entry."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from mixture.llm import LLM
from registry import pool
from registry.entry import PoolEntry
from registry.errors import JoiningRefused
from registry.joining import _refuse_twins

ENTRY: dict[str, Any] = {
    "name": "Thinker",
    "endpoint": {"base_url": "http://127.0.0.1:9/v1", "served_name": "m"},
    "price": {"input": 1, "output": 2},
    "decoding": {"max_tokens": 4096},
}


def made(llm_id: str = "x", **changed: Any) -> LLM:
    return PoolEntry.model_validate({**ENTRY, **changed}).llm(llm_id)


@pytest.mark.parametrize(("written", "effort"), [("high", "high"), ("none", "none"), (2048, 2048), ("2048", 2048), (None, None)])
def test_an_effort_is_a_level_or_a_budget(written: object, effort: object) -> None:
    """As YAML and a command line write them; what is written out is read back as the same."""
    llm = made(effort=written)
    assert llm.effort == effort
    again = PoolEntry.model_validate(PoolEntry.model_validate({**ENTRY, "effort": written}).spelled_out())
    assert again.llm("x") == llm


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"effort": "hihg"}, "'hihg' is no effort: write one of none, minimal, low, medium, high, xhigh, max, or a number"),
        ({"effort": 0}, "0 is no effort"),
        ({"effort": True}, "True is no effort"),
        ({"effort": 512, "effort_way": "reasoning_effort"}, "takes levels, not a budget of 512"),
        ({"effort": "high", "effort_way": "thinking", "decoding": {"max_tokens": 256}}, "effort high: thinking in 1024 of 256 tokens"),
        ({"effort": "high", "effort_way": "telepathy"}, "effort_way"),
    ],
)
def test_an_effort_that_cannot_be_meant_is_refused(changed: dict[str, Any], says: str) -> None:
    """When the pool is read, not when the LLM is asked."""
    with pytest.raises(ValidationError, match=re.escape(says)):
        made(**changed)


def test_two_efforts_are_two_llms_of_one_family() -> None:
    """The same weights at another effort are no twin; at the same effort they are."""
    low, high = made("low", effort="low"), made("high", effort="high")
    assert low.family == high.family
    _refuse_twins(high, pool.Pool((low,)))
    with pytest.raises(JoiningRefused, match="prompt, decoding and effort"):
        _refuse_twins(made("again", effort="low"), pool.Pool((low,)))
