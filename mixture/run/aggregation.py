"""How answers become one: the best, a weighted vote over final answers, or a synthesis written by an LLM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mixture.choose.final_answers import agree, groups
from mixture.choose.options import Options
from mixture.choose.posterior import Posterior
from mixture.choose.strategy import Strategy
from mixture.judge.text_reply import SHOW, quoted, with_note
from mixture.llm import Message

Way = Literal["single", "best", "vote", "synthesise"]

SYNTHESISE = "Use what is right in them and correct what is wrong. Keep to the form the request asks for. Give only the answer."


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer to return, by LLM id, and how it was chosen; for a synthesis, the answer to return should it fail."""

    way: Way
    llm: str


def choose(
    texts: Mapping[str, str], scores: Mapping[str, float], *, strategy: Strategy, options: Options, synthesis_price: float
) -> Choice:
    """How the answers `texts` (by LLM id, at least one) become one answer; `scores` are theirs after the last layer.

    synthesis_price: what an aggregator's call is expected to cost, in the unit of the weights. "auto" votes where all give a short
    final answer, and otherwise pays for a synthesis only where it is expected to bring more; it never pays where answers agree.
    """
    best = _first(texts, scores)
    if options.aggregation == "best" or len(texts) == 1:
        return Choice("best", best)
    if options.aggregation == "synthesise":
        return Choice("synthesise", best)
    gathered = groups(texts)
    if options.aggregation == "vote":
        return _voted(gathered, scores, best, strategy.posterior)
    if agree(texts):
        return Choice("best", best)
    if sum(map(len, gathered.values())) == len(texts):
        return _voted(gathered, scores, best, strategy.posterior)
    worth_it = strategy.synthesis_gain(scores[best], options) > synthesis_price
    return Choice("synthesise" if worth_it else "best", best)


def vote(gathered: Mapping[str, Sequence[str]], scores: Mapping[str, float]) -> str:
    """The LLM whose answer has the highest sum of scores, the one with the highest score among those who say the same."""

    def weight(members: Sequence[str]) -> tuple[float, float, str]:
        return sum(scores[llm] for llm in members), max(scores[llm] for llm in members), min(members)

    return _first(max(gathered.values(), key=weight), scores)


def synthesis_messages(messages: Sequence[Message], shown: Mapping[str, str]) -> list[Message]:
    """What an aggregator is asked: the request, and the answers `shown` by opaque id."""
    return with_note(messages, f"{SHOW.format(answers=quoted(shown))} {SYNTHESISE}")


def _voted(gathered: Mapping[str, Sequence[str]], scores: Mapping[str, float], best: str, posterior: Posterior) -> Choice:
    """The vote's winner; the best answer where no two say the same, or where scores count agreement already (`AgreementPosterior`).

    That one was voted for as well where another LLM says the same.
    """
    pairs = [members for members in gathered.values() if len(members) > 1]
    if posterior.counts_agreement:
        return Choice("vote" if any(best in members for members in pairs) else "best", best)
    return Choice("vote", vote(gathered, scores)) if pairs else Choice("best", best)


def _first(llms: Mapping[str, str] | Sequence[str], scores: Mapping[str, float]) -> str:
    return min(llms, key=lambda llm: (-scores[llm], llm))
