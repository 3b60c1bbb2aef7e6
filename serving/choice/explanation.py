"""A decision in a few sentences: who answers, what its price hides, who is stepped over and who could not answer."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Ranked
from mixture.choose.session import SessionChoice
from mixture.choose.session_words import in_words
from serving.choice.unfamiliar import said
from serving.scorers.familiarity import Familiar


def explanation(
    options: Options,
    ranking: Sequence[Ranked],
    *,
    excluded: Collection[str],
    of: int,
    familiar: Familiar | None = None,
    unfamiliar: str = "nothing",
    session: SessionChoice | None = None,
) -> str:
    """What `ranking` decides under `options`. excluded: the LLMs that may not answer; of: how many there are with them.

    familiar: how near the query is to what was labelled; unfamiliar: what is done where nothing is (`serving.choice.unfamiliar`).
    session: why its LLM was kept or left, None where it has none.
    """
    unlike = familiar is not None and familiar.unlike
    known = [f"{familiar} {said(unfamiliar)}".strip()] if unlike else []
    favoured = unlike and unfamiliar not in {"nothing", "more"}  # the others stand by, which is no silence of theirs
    stepped_over = "" if favoured else _stepped_over(ranking)
    parts = [*known, _chosen(options, ranking), _too_dear(options.weights, ranking), stepped_over, _excluded(excluded, of)]
    if session is not None and session.before is not None:
        parts = [f"The session {in_words(session, ranking[0].id)}.", *parts]
    return " ".join(part for part in parts if part)


def _chosen(options: Options, ranking: Sequence[Ranked]) -> str:
    weights = options.weights
    chosen = "; ".join(
        f"{each.id} (expected quality {each.quality:.2f}, about {each.cost_usd:.6f} USD"
        + (f" and {each.candidate.latency_s:.1f} s" if each.candidate.latency_s is not None else "")
        + ")"
        for each in ranking
        if each.chosen
    )
    does = "answers" if options.single else f"in layer 1 of at most {options.max_layers}"
    return (
        f"{chosen} {does}: the best expected quality at weight {weights.quality:g}, a dollar weighing {weights.usd:g} and a second "
        f"{weights.second:g}" + (f", a kilowatt-hour {weights.kwh:g}." if weights.kwh else ".")
    )


def _too_dear(weights: Weights, ranking: Sequence[Ranked]) -> str:
    """What the best of the others would have to be worth, where only its price keeps it from being chosen."""
    chosen = max((each for each in ranking if each.chosen), key=lambda each: each.value)
    better = [each for each in ranking if not each.chosen and not each.candidate.silent and each.quality > chosen.quality]
    hidden = [each for each in better if _break_even(weights, each, chosen) < weights.usd]
    if not hidden:
        return ""
    best = max(hidden, key=lambda each: (each.quality, each.value))
    dear, spent = (weights.penalty(each.cost_usd, each.latency_s, each.candidate.kwh) for each in (best, chosen))
    needed = (dear - spent) / weights.quality
    return (
        f"{best.id} is expected to be better by {best.quality - chosen.quality:.2f}, but costs {best.cost_usd:.6f} USD: with a dollar "
        f"weighing {weights.usd:g} it would have to be better by {needed:.2f}. It would be chosen were a dollar to weigh less than "
        f"{_break_even(weights, best, chosen):.3g}."
    )


def _break_even(weights: Weights, other: Ranked, chosen: Ranked) -> float:
    """The dollar's weight at which the other is worth as much as the chosen one; infinite where its price is not what keeps it back."""
    free = replace(weights, usd=0.0)
    gain = weights.quality * (other.quality - chosen.quality) - (
        free.penalty(0.0, other.latency_s, other.candidate.kwh) - free.penalty(0.0, chosen.latency_s, chosen.candidate.kwh)
    )
    dearer = other.cost_usd - chosen.cost_usd
    return gain / dearer if gain > 0 and dearer > 0 else float("inf")


def _stepped_over(ranking: Sequence[Ranked]) -> str:
    silent = [each.id for each in ranking if each.candidate.silent and not each.chosen]
    return f"Stepped over, having given no answer lately: {', '.join(silent)}." if silent else ""


def _excluded(excluded: Collection[str], of: int) -> str:
    if not excluded:
        return f"All {of} LLMs could answer this request."
    return f"{of - len(excluded)} of {of} LLMs could answer this request; not {', '.join(excluded)}."
