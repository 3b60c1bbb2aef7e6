"""Who is asked first, and with which probability each LLM might have been: chance takes a share of requests, among LLMs of almost the best
value.

The action is the one LLM that is asked first. What follows it (another one in place of a failed one, asking one more) is the strategy's,
and part of what the action brings. With probability `share` it is drawn evenly from the LLMs within `delta` of the best, that one
included; else it is the best. So with K of them

    propensity(best) = 1 - share + share / K,   propensity(another) = share / K

Where something is learnt between retrainings (`monitoring.learning`), the share is divided by how often each is the best under what is
known, and not evenly (Thompson sampling). One number in [0, 1), drawn by who asks, settles all of it, and a replay decides the same again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mixture.choose.options import Options
from mixture.choose.ranking import Ranked
from mixture.choose.session import Session, first, worth
from mixture.llm import LLM

Unexplored = Literal[
    "",  # chance had its share
    "off",  # the operator explores nothing, or nothing for this key
    "asked not to",  # by the request
    "cap",  # the day's money for it is spent
    "certificate",  # a certificate says what is served
    "session",  # the session has an LLM
    "layers",  # layers are asked anew, several at once
    "several",  # several are asked at once
    "alone",  # nobody else is within delta, has a known price and fits into the budget
]


@dataclass(frozen=True, slots=True)
class Explore:
    """Chance's part of a request. delta: in the unit of the weights' quality, a share of a right answer. at: what was drawn, in [0, 1).

    None where nobody drew: then the best is asked. why: why nothing is left to chance; share is 0 then. weights: by which chance divides
    its share, by LLM; evenly without them.
    """

    share: float = 0.0
    delta: float = 0.0
    at: float | None = None
    why: Unexplored = "off"
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)


OFF = Explore()


@dataclass(frozen=True, slots=True)
class Considered:
    """One LLM that might have answered: expected quality in [0, 1], expected USD of one call, its value, and its propensity."""

    llm: str
    quality: float
    cost_usd: float
    value: float
    propensity: float


@dataclass(frozen=True, slots=True)
class Action:
    """Who was asked first. usual: who would have been without chance. at: what was drawn, None where nothing was.

    candidates: all that might have answered, best first; their propensities sum to 1. delta: within which chance drew. together: how many
    were asked at once. extra_usd: expected cost of `first` beyond that of `usual`. why: why nothing was left to chance.
    """

    first: str
    usual: str
    candidates: tuple[Considered, ...]
    at: float | None = None
    delta: float = 0.0
    together: int = 1
    extra_usd: float = 0.0
    why: Unexplored = "off"

    @property
    def explored(self) -> bool:
        """Whether chance chose another LLM than the usual one."""
        return self.first != self.usual

    @property
    def propensity(self) -> float:
        """Of the LLM that was asked first."""
        return next(each.propensity for each in self.candidates if each.llm == self.first)

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "Action":
        """What `dataclasses.asdict` made of one."""
        return cls(**{**tree, "candidates": tuple(Considered(**each) for each in tree["candidates"])})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides whether chance may choose: session, whether layers are asked, and who fits into the budget."""

    session: Session | None = None
    in_layers: bool = False
    affordable: Callable[[LLM], bool] = field(default=lambda _: True)


def act(ranking: Sequence[Ranked], options: Options, explore: Explore, around: Circumstances) -> tuple[tuple[Ranked, ...], Action]:
    """The ranking with whom chance drew in front, and the action. `ranking` is not empty; its first that fits into the budget is usual."""
    usual = next((each for each in ranking if around.affordable(each.candidate.llm)), ranking[0])
    together = sum(each.chosen for each in ranking)
    why = _why_not(explore, around, together)
    near = [usual] if why else _near(usual, ranking, options, explore.delta, around)
    if not why and len(near) == 1:
        why = "alone"
    share = 0.0 if why else explore.share
    parts = _divided(near, explore, share)
    chosen = usual if explore.at is None or explore.at >= share else _at(explore.at, near, parts)
    considered = tuple(
        Considered(
            each.id, each.quality, each.cost_usd, each.value, parts.get(each.id, 0.0) + (1.0 - share if each.id == usual.id else 0.0)
        )
        for each in ranking
    )
    action = Action(
        first=chosen.id,
        usual=usual.id,
        candidates=considered,
        at=None if why else explore.at,
        delta=0.0 if why else explore.delta,
        together=together,
        extra_usd=chosen.cost_usd - usual.cost_usd if chosen.id != usual.id else 0.0,
        why=why,
    )
    return (tuple(ranking) if chosen.id == usual.id else first(chosen, ranking)), action


def _divided(near: Sequence[Ranked], explore: Explore, share: float) -> dict[str, float]:
    """What each gets of chance's share."""
    weights = {each.id: explore.weights.get(each.id, 0.0) for each in near}
    total = sum(weights.values())
    return {llm: share * (weight / total if total > 0 else 1.0 / len(near)) for llm, weight in weights.items()}


def _at(drawn: float, near: Sequence[Ranked], parts: Mapping[str, float]) -> Ranked:
    """Who is drawn by a number below the parts' sum."""
    below, some = 0.0, [each for each in near if parts[each.id] > 0]
    for each in some:
        below += parts[each.id]
        if drawn < below:
            return each
    return some[-1]


def _why_not(explore: Explore, around: Circumstances, together: int) -> Unexplored:
    if around.in_layers:
        return "layers"
    if not explore.share:
        return explore.why or "off"
    if around.session is not None and around.session.llm is not None:
        return "session"
    return "several" if together > 1 else ""


def _near(usual: Ranked, ranking: Sequence[Ranked], options: Options, delta: float, around: Circumstances) -> list[Ranked]:
    """The usual one, and the others of almost its worth that nothing keeps from answering."""
    further = around.session.further if around.session is not None else 0.0
    least = worth(usual.candidate, options, further) - delta * options.weights.quality
    return [
        usual,
        *(
            each
            for each in ranking
            if each.id != usual.id
            and not each.candidate.silent
            and each.candidate.llm.price.known
            and worth(each.candidate, options, further) >= least
            and around.affordable(each.candidate.llm)
        ),
    ]
