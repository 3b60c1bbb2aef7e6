"""What a query unlike anything labelled gets, as ROUTEMOA_UNFAMILIAR says: nothing, best, more, or an LLM of the pool.

Whatever it is, the limits of the operator and of the request hold, and other LLMs stand in for one that gives no answer.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from mixture.run.request import Request
from registry.errors import PoolRefused
from scorer.near_matches import did_you_mean
from serving.scorers.familiarity import Familiarity
from serving.scorers.scored_request import ScoredRequest

Action = Callable[[Request, Familiarity], Request]
WORTH = 10.0  # times what a right answer is worth otherwise, for `more`


def _nothing(request: Request, _: Familiarity) -> Request:
    return request


def _best(request: Request, familiarity: Familiarity) -> Request:
    """The LLM that is promised most over all training queries, whatever it costs."""
    able = [each.llm.id for each in request.with_requirements().candidates if each.llm.id not in request.with_requirements().excluded()]
    return _favour(request, max(able, key=lambda llm: familiarity.overall.get(llm, 0.0), default=""))


def _more(request: Request, _: Familiarity) -> Request:
    """Asking on pays sooner: a right answer is worth WORTH times as much."""
    weights = request.options.weights
    return replace(request, options=replace(request.options, weights=replace(weights, quality=WORTH * weights.quality)))


def _favour(request: Request, llm: str) -> Request:
    """That LLM is asked, and the others only where it cannot be."""
    if llm not in {each.llm.id for each in request.candidates}:
        return request
    return replace(request, candidates=tuple(replace(each, silent=each.silent or each.llm.id != llm) for each in request.candidates))


WORDS: Mapping[str, Action] = {"nothing": _nothing, "best": _best, "more": _more}


def check(wanted: str, pool: Collection[str]) -> None:
    """Raises PoolRefused where `wanted` is neither a word nor an LLM of the pool."""
    if wanted not in WORDS and wanted not in pool:
        what = f"ROUTEMOA_UNFAMILIAR={wanted}: neither {', '.join(WORDS)} nor an LLM of the pool."
        raise PoolRefused(what, next_step=did_you_mean(wanted, [*WORDS, *pool]))


def applied(wanted: str, scored: ScoredRequest) -> ScoredRequest:
    """`scored` with how near its query is to what was labelled; where nothing is, its request is as the operator wants it then."""
    familiarity = scored.active.familiarity
    if not len(scored.query_D):
        return scored
    familiar = familiarity.look(scored.query_D)
    if not familiar.unlike:
        return replace(scored, familiar=familiar)
    action = WORDS.get(wanted)
    request = _favour(scored.request, wanted) if action is None else action(scored.request, familiarity)
    return replace(scored, familiar=familiar, request=request)


def said(wanted: str) -> str:
    """What is done, in words; empty where nothing is."""
    if wanted == "nothing":
        return ""
    words = {"best": "the LLM that is best overall is asked", "more": f"a right answer is worth {WORTH:g} times as much, so asking on pays"}
    return f"So {words.get(wanted, f'{wanted} is asked')} (ROUTEMOA_UNFAMILIAR={wanted})."
