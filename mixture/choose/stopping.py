"""When to stop: the answers agree, one is good enough, or another layer would cost more than it is expected to bring."""

from collections.abc import Mapping, Sequence
from typing import Literal

from mixture.choose.final_answers import agree
from mixture.choose.options import Options
from mixture.choose.ranking import Ranked

Reason = Literal["single", "agreement", "unchanged", "threshold", "gain", "layers", "deadline", "budget", "nobody", "failed"]


def stop_reason(
    texts: Mapping[str, str],
    previous: Mapping[str, str],
    *,
    scores: Mapping[str, float],
    ranking: Sequence[Ranked],
    layers_run: int,
    options: Options,
) -> Reason | None:
    """Why no further layer runs, None where one should.

    texts, previous: the last layer's answers and those of the one before, by LLM id.
    scores: after the last layer, of the LLMs that answered so far. ranking: who may answer next; the chosen ones would.
    """
    best = max(scores.values(), default=0.0)
    if options.deepen == "refine" and options.stopping == "gain":
        if agree(texts):
            return "agreement"
        if previous and set(texts.values()) == set(previous.values()):
            return "unchanged"  # the next layer would be shown what this one was
    if best >= options.stop_threshold:
        return "threshold"
    if layers_run >= options.max_layers:
        return "layers"
    if not ranking:
        return "nobody"
    upcoming = [each for each in ranking if each.chosen]
    if options.deepen == "widen":
        return None if upcoming else "gain"  # `mixture.choose.widening` chose whom to ask, nobody where none is worth it
    if options.stopping == "threshold":
        return None
    return "gain" if expected_gain(best, options) <= expected_price(upcoming, options) else None


def expected_gain(best: float, options: Options) -> float:
    """What combining the answers once more is expected to be worth: `refine_gain` of what is missing to a certainly right answer."""
    return options.weights.quality * options.refine_gain * (1.0 - best)


def expected_price(asked: Sequence[Ranked], options: Options) -> float:
    """What asking these LLMs at once is worth in money and time."""
    return options.weights.price(sum(each.cost_usd for each in asked), max((each.latency_s for each in asked), default=0.0))
