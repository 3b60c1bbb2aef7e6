"""Whom to ask the bare question next: those who, with what may follow, are expected to bring more than they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mixture.choose.lookahead import expected_gain
from mixture.choose.options import Options
from mixture.choose.posterior import AgreementPosterior, Observation
from mixture.choose.ranking import Ranked
from mixture.choose.stopping import expected_price

LOOKAHEAD = 3  # LLMs: one more answer alone often cannot change the outcome where two or three can


def widened(ranking: Sequence[Ranked], heard: Mapping[str, Observation], ease: float, options: Options) -> tuple[Ranked, ...]:
    """`ranking` with the LLMs chosen that are asked next, at most `options.k` at once; where none has answered one, if any.

    The next LLMs up to LOOKAHEAD are weighed together; where asking so many is worth its price, the first `k` of them are asked, and what
    they say decides on the others. LLMs on the weights of one already asked come later: they mostly repeat it. ease: of the query.
    Stopping at a threshold weighs neither gain nor weights: the next `k` in the ranking are asked, which makes a cascade.
    """
    evidence = options.posterior
    if not isinstance(evidence, AgreementPosterior):
        raise TypeError(f"Widening needs a posterior that compares answers, not {evidence}.")  # Options refuses it before
    in_order = ranking if options.ranking == "strict" else sorted(ranking, key=lambda each: -each.value)  # ties stay as ranked
    if options.stopping == "threshold":
        return tuple(replace(each, chosen=at < options.k) for at, each in enumerate(in_order))
    ordered = _fresh_weights_first(in_order, {each.family for each in heard.values()})
    prose = bool(heard) and all(each.said is None for each in heard.values())
    comparable = evidence.stated_later if prose else 1.0
    most = 0 if prose and len(heard) > 1 else min(LOOKAHEAD, len(ordered))  # asked on for a stated answer, which two did not bring
    coming = [Observation(each.quality, family=each.candidate.family, ease=ease) for each in ordered[:most]]

    def worth(size: int) -> float:
        gain = comparable * expected_gain(heard, coming[:size], evidence)
        return options.weights.quality * gain - expected_price(ordered[:size], options)

    least = 0 if heard else min(1, len(ordered))
    planned = max(range(least, max(most, least) + 1), key=lambda size: (worth(size) if size else 0.0, -size))
    return tuple(replace(each, chosen=at < min(planned, options.k)) for at, each in enumerate(ordered))


def _fresh_weights_first(ranking: Sequence[Ranked], known: set[str]) -> list[Ranked]:
    """The first of each family ahead of its others."""
    seen = set(known)
    first: list[Ranked] = []
    later: list[Ranked] = []
    for each in ranking:
        (later if each.candidate.family in seen else first).append(each)
        seen.add(each.candidate.family)
    return first + later
