"""Whether a session stays with its LLM: staying pays cache reads for what that LLM has read already, another one reads the whole prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mixture.choose.options import Options
from mixture.choose.ranking import Candidate, Ranked, value

Held = Literal[
    "tool loop",  # the LLM called tools, and their results come back to it
    "same turn",  # the user said nothing new, and its cache is warm
    "no gain",  # no score of another LLM could be worth the switch
]
Why = Literal[
    Held,
    "new",  # nobody served it before
    "worth staying",  # a switch would gain less than it costs, and the margin
    "worth switching",
    "cannot",  # its LLM may not answer this request
    "silent",  # its LLM gave no answer lately
    "layers",  # layers are asked anew for each request
    "failed",  # the LLM that was asked first brought no answer; another one stood in
    "another answer",  # its LLM answered; another one's answer scored higher
]


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a request's session before it is decided.

    llm: who gave its last answer, None for nobody. held: why it may not leave that LLM now, None where it may. further: requests that
    are expected to follow for the same user turn, since tools are called. margin: gain that a switch has to bring beyond its cost, in the
    unit of the weights. own_from: the place of the first message that this LLM may have written; what endpoints put for themselves into
    those before is another one's.
    """

    id: str
    llm: str | None = None
    held: Held | None = None
    further: float = 0.0
    margin: float = 0.0
    own_from: int = 0

    def foreign_until(self, llm: str, messages: int) -> int:
        """The place before which provider state in a conversation of so many messages means nothing to `llm`."""
        return self.own_from if llm == self.llm else messages


@dataclass(frozen=True, slots=True)
class SessionChoice:
    """What a session had to do with whom was asked.

    before: its LLM until now. stayed: whether that LLM gave this answer too. gain: worth of the best other LLM beyond that of the
    session's, in the unit of the weights, None where nobody compared. cached_tokens: of the prompt, that the session's LLM was expected to
    have cached.
    rebilled_tokens, rebilled_usd: of these, what the LLM that answered instead read anew, and charged for.
    state_dropped: messages in which another endpoint's signed or encrypted thinking was left out for the LLM that answered.
    """

    id: str
    before: str | None
    stayed: bool
    why: Why
    gain: float | None = None
    cached_tokens: int = 0
    rebilled_tokens: int = 0
    rebilled_usd: float = 0.0
    state_dropped: int = 0


def settled(ranking: Sequence[Ranked], options: Options, session: Session) -> tuple[tuple[Ranked, ...], SessionChoice]:
    """The ranking with the LLM that the session stays with, or goes to, in front; and why."""
    if session.llm is None:
        best = _best(ranking, options, session) if session.further else None
        return first(best, ranking) if best else tuple(ranking), SessionChoice(session.id, None, stayed=False, why="new")
    own = next((each for each in ranking if each.id == session.llm), None)
    if own is None or own.candidate.silent:
        return tuple(ranking), SessionChoice(session.id, session.llm, stayed=False, why="cannot" if own is None else "silent")
    cached = own.candidate.cached_tokens
    if session.held is not None:
        return first(own, ranking), SessionChoice(session.id, own.id, stayed=True, why=session.held, cached_tokens=cached)
    best = _best([each for each in ranking if each.id != own.id], options, session)
    if best is None:
        return first(own, ranking), SessionChoice(session.id, own.id, stayed=True, why="no gain", cached_tokens=cached)
    gain = worth(best.candidate, options, session.further) - worth(own.candidate, options, session.further)
    stays = gain <= session.margin
    choice = SessionChoice(session.id, own.id, stays, "worth staying" if stays else "worth switching", gain, cached)
    return first(own if stays else best, ranking), choice


def _best(ranking: Sequence[Ranked], options: Options, session: Session) -> Ranked | None:
    """The one that is worth most, of equal ones the one that ranks first; None where all were silent."""
    heard = [each for each in ranking if not each.candidate.silent]
    return max(heard, key=lambda each: worth(each.candidate, options, session.further), default=None)


def worth(candidate: Candidate, options: Options, further: float) -> float:
    """`ranking.value` of this request and `further` ones, which read this one's prompt from the cache: it counts the quality once."""
    follows = replace(candidate, prior=0.0, cached_tokens=candidate.input_tokens or 0)
    return value(candidate, options) + further * value(follows, options)


def could_gain(candidates: Sequence[Candidate], options: Options, session: Session) -> bool:
    """Whether another LLM could be worth a switch, whatever its score and that of the session's LLM turn out to be."""
    own = next((each for each in candidates if each.llm.id == session.llm), None)
    if own is None or own.silent:
        return True
    least = worth(replace(own, prior=0.0), options, session.further) + session.margin
    others = (each for each in candidates if each.llm.id != session.llm and not each.silent)
    return any(worth(replace(each, prior=1.0), options, session.further) > least for each in others)


def first(ranked: Ranked, ranking: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """`ranked` in front and chosen, in place of the last one chosen where it was not."""
    chosen = [each for each in ranking if each.chosen and each.id != ranked.id]
    places = sum(each.chosen for each in ranking) or 1
    left = {each.id for each in chosen[: places - 1]}
    others = sorted((each for each in ranking if each.id != ranked.id), key=lambda each: each.id not in left)
    return replace(ranked, chosen=True), *(replace(each, chosen=each.id in left) for each in others)


def answered(choice: SessionChoice, answered_by: str | None, asked: Sequence[str], candidates: Sequence[Candidate]) -> SessionChoice:
    """The choice once it is known whose answer was returned (None for a synthesis), and which LLMs answered."""
    if choice.before is None or choice.why == "layers":
        return choice
    if answered_by == choice.before:
        return choice if choice.stayed else replace(choice, stayed=True, why="failed")
    why: Why = choice.why if not choice.stayed else "another answer" if choice.before in asked else "failed"
    by_id = {each.llm.id: each for each in candidates}
    own, new = by_id.get(choice.before), by_id.get(answered_by or "")
    tokens = max(0, own.cached_tokens - new.cached_tokens) if own and new else 0
    usd = _reading_usd(new, tokens) if new and tokens and new.llm.price.known else 0.0
    return replace(choice, stayed=False, why=why, rebilled_tokens=tokens, rebilled_usd=usd)


def _reading_usd(candidate: Candidate, tokens: int) -> float:
    """What the LLM charges for so many tokens of this prompt that its cache did not have."""
    with_them = replace(candidate, output_tokens=0)
    without = replace(with_them, input_tokens=max(0, (candidate.input_tokens or 0) - tokens))
    return max(0.0, with_them.cost_usd - without.cost_usd)
