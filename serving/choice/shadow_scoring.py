"""Scores served requests by the versions beside the one that answered, after the answer, and keeps what they would have decided.

No LLM is called. Of the champion's requests the shadow's and, where one runs, the canary's decision is kept; of the canary's requests the
champion's. A thread of low priority embeds, where the other version has another encoder.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from mixture.choose.action import OFF
from monitoring.errors import RecordNotKept
from monitoring.records.shadow import Choice, Shadow
from scorer.errors import RouteMoAError
from serving.choice import routing
from serving.scorers import shared_encoders
from serving.scorers.active_scorer import Active
from serving.scorers.scored_request import ScoredRequest
from serving.state import State

LATER_S = 0.05  # until the answer has left
NICER = 10
TOGETHER = 16  # decisions that are kept at once: where requests never stop, one always waits
MOST_REASON = 300  # characters
log = structlog.get_logger("serving")


async def follow(state: State) -> None:
    """Works on what waits until cancelled."""
    with ThreadPoolExecutor(1, thread_name_prefix="shadow", initializer=_be_nice) as thread:
        while True:
            await state.shadowing.some()
            await asyncio.sleep(LATER_S)
            try:
                await _work(state, thread)
            except Exception:  # whatever a version provokes, the next requests are scored
                log.exception("requests were not scored by another version")


async def _work(state: State, thread: ThreadPoolExecutor) -> None:
    batch: list[Shadow] = []
    while (waiting := state.shadowing.take()) is not None:
        record_id, scored = waiting
        batch += [await _scored(state, each, record_id, scored, thread) for each in _others(state, scored.active)]
        if len(batch) >= TOGETHER:
            await _keep(state, batch)
            batch = []
        await asyncio.sleep(0)  # requests come first
    await _keep(state, batch)


async def _keep(state: State, batch: list[Shadow]) -> None:
    for kept in await asyncio.gather(*map(state.records.add_shadow, batch), return_exceptions=True):
        state.metrics.shadowed.labels("failed" if isinstance(kept, BaseException) else "kept").inc()
        if isinstance(kept, BaseException) and not isinstance(kept, RecordNotKept):
            raise kept


def wanted(state: State, scored: ScoredRequest) -> bool:
    """Whether another version is to score this request: not where its session may not leave its LLM, whoever decides."""
    return bool(len(scored.query_D)) and any(True for _ in _others(state, scored.active))


def _others(state: State, served: Active) -> Iterator[Active]:
    champion = state.scorer.value
    if champion is None:
        return
    canary = state.beside.loaded("canary", champion).active
    if served.version == champion.version:
        shadow = state.beside.loaded("shadow", champion).active
        yield from {each.version: each for each in (shadow, canary) if each is not None}.values()  # one that is both counts once
    elif canary is not None and served.version == canary.version:
        yield champion


async def _scored(state: State, other: Active, record_id: str, scored: ScoredRequest, thread: ThreadPoolExecutor) -> Shadow:
    """What `other` would have decided. What it raises is its reason."""
    served, first = _choice(scored)
    why_not, choice, chosen, scores = None, None, frozenset[str](), dict[str, float]()
    try:
        loop = asyncio.get_running_loop()
        scores_L, query_D = await loop.run_in_executor(
            thread, shared_encoders.scores_of, other.scorer, scored.text, scored.active.scorer, scored.query_D
        )
        scores = dict(zip(other.scorer.roster, map(float, scores_L), strict=True))
        choice, chosen = _choice(routing.by_another(state, other, scored, scores, query_D))
    except RouteMoAError as exc:
        why_not = str(exc)[:MOST_REASON]
    same = choice is not None and chosen == first
    return Shadow(
        record_id=record_id,
        scorer_version=other.version,
        served_version=scored.active.version,
        choice=choice,
        served=served,
        same=same,
        alike=same and scored.request.with_requirements().options.single,
        scored_at=time.time(),
        unit=scored.unit,
        scores=scores,
        why_not=why_not,
    )


def _choice(scored: ScoredRequest) -> tuple[Choice, frozenset[str]]:
    """Whom a version asks first without chance. Raises NoAnswer where nobody may answer."""
    ranking, action = replace(scored.request.with_requirements(), explore=OFF).opened()
    usual = next(each for each in ranking if each.id == action.usual)
    together = [each for each in ranking if each.chosen] if action.together > 1 else [usual]
    return Choice(usual.id, usual.quality, sum(each.cost_usd for each in together)), frozenset(each.id for each in together)


def _be_nice() -> None:
    """Has this thread yield to those that answer (Linux: priorities are a thread's)."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICER)
