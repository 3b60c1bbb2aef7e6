"""When no further layer runs: what holds under every strategy. What a strategy adds stands in its `stop`."""

from collections.abc import Sequence
from typing import Literal

from mixture.choose.options import Options
from mixture.choose.ranking import Ranked
from mixture.energy import together

StopReason = Literal[
    "single",  # exactly one LLM was to answer
    "agreement",  # all answers of the layer say the same
    "unchanged",  # the last layer changed no answer
    "threshold",  # the best score is high enough
    "gain",  # asking on is not expected to be worth its price
    "layers",  # max_layers have run
    "deadline",
    "budget",
    "nobody",  # no LLM is left to ask
    "failed",  # every LLM asked failed
    "passed through",  # the caller named the LLM
]


def exhausted(layers_run: int, upcoming: Sequence[Ranked], options: Options) -> StopReason | None:
    """Why no further layer can run, None where one can."""
    if layers_run >= options.max_layers:
        return "layers"
    return None if upcoming else "nobody"


def expected_penalty(asked: Sequence[Ranked], options: Options) -> float:
    """What money, time and energy of asking these LLMs at once are worth, in the unit of the weights."""
    latency_s = max((each.latency_s for each in asked), default=0.0)
    return options.weights.penalty(sum(each.cost_usd for each in asked), latency_s, together(each.candidate.kwh for each in asked))
