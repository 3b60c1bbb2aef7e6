"""The composition root: one server worker made of its parts, started and stopped in order."""

import asyncio
import functools
import os
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route
from uvicorn.config import STARTUP_FAILURE

from mixture.client.openai import OpenAIClient
from mixture.run.engine import Mixture
from monitoring import certificate_void
from monitoring.learning import table
from monitoring.records.store import Noticed, RecordStore
from registry import pool as pools
from registry.jobs import Jobs
from scorer.errors import NothingPublished, RouteMoAError
from serving.access import budgets, keys, scopes
from serving.access.exploration import Exploration
from serving.access.gate import Gate
from serving.choice import shadow_scoring, unfamiliar
from serving.dialects.spoken import dialect_of
from serving.errors import MethodRefused, NotFound, RequestRefused
from serving.events import (
    CertificateVoid,
    Events,
    FollowerLost,
    KeysFileRefused,
    KeysReloaded,
    LearnedFileRefused,
    LearnedReloaded,
    PoolFileRefused,
    PoolReloaded,
    RecordFileReplaced,
    RecordsInterrupted,
    RecordsResumed,
    ScorerRefused,
    ScorerServedInFp32,
    ScorerSwapped,
    ServerLeaves,
    SupervisorLost,
)
from serving.front import connection, logs, supervisor
from serving.front.middleware import RequestGuard
from serving.routes import ROUTERS
from serving.scorers import active_scorer
from serving.scorers.beside import Beside
from serving.scorers.shared_encoders import Encoders
from serving.sessions import responses_place, shared_store
from serving.sessions.keeper import Keeper
from serving.sessions.kept_responses import KeptResponses
from serving.settings import ServingSettings
from serving.state import State
from serving.tracing import tracing
from serving.worker import retention
from serving.worker.leaving import Leaving
from serving.worker.metrics import Metrics
from serving.worker.shared_copies import SharedCopies
from serving.worker.watched_file import Watched

ENDING_S = 5.0
POOL_SETTLES_S = 2.0  # DVC puts the committed pool in its place for .3 s while it saves an experiment, and a busy machine takes longer
NOTICED = {Noticed.INTERRUPTED: RecordsInterrupted, Noticed.RESUMED: RecordsResumed, Noticed.REPLACED: RecordFileReplaced}


def create_app(settings: ServingSettings) -> FastAPI:
    """A server worker. Nothing is opened before its lifespan begins, but a route without a scope is refused here."""
    state = _state(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with _running(state):
            yield {connection.SETTINGS: settings.connections}

    app = FastAPI(title="RouteMoA", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.serving = state
    for router in ROUTERS:
        app.include_router(router)
    scopes.check_routes(each.path for router in ROUTERS for each in router.routes if isinstance(each, Route))
    app.add_middleware(RequestGuard, state=state)
    app.add_exception_handler(Exception, _failed)
    for kind in (RouteMoAError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _failed)
    return app


def from_environment() -> FastAPI:
    """For uvicorn's worker processes. One that cannot work says why in a sentence and ends, as where its lifespan fails."""
    logs.configure()
    try:
        app = create_app(ServingSettings())
    except RouteMoAError as exc:
        print(exc, file=sys.stderr)
        sys.exit(STARTUP_FAILURE)
    supervisor.end_with_supervisor(lambda pid: app.state.serving.events.emit(SupervisorLost(pid)))
    return app


def _state(settings: ServingSettings) -> State:
    metrics = Metrics()
    events = Events(metrics.note)
    client, encoders = OpenAIClient(), Encoders()

    def swapped(new: active_scorer.Active, old: active_scorer.Active | None) -> None:
        events.emit(ScorerSwapped(new.version, old.version if old else None, new.scorer.roster))
        if new.scorer.precision_note:
            events.emit(ScorerServedInFp32(new.version, new.scorer.precision_note))

    def refused(error: RouteMoAError) -> None:
        if scorer.value is not None or not isinstance(error, NothingPublished):
            events.emit(ScorerRefused(str(error), scorer.value.version if scorer.value else None))

    scorer: Watched[active_scorer.Active] = Watched(
        settings.scorers / "current.json",
        functools.partial(active_scorer.read, precision=settings.precision, encoders=encoders),
        swapped=swapped,
        refused=refused,
        last_good=functools.partial(active_scorer.newest_sound, precision=settings.precision, encoders=encoders),
    )
    gate = Gate(settings, budgets.make(settings))
    return State(
        settings=settings,
        events=events,
        metrics=metrics,
        scorer=scorer,
        pool=Watched(
            settings.pool_file,
            pools.load,
            swapped=lambda new, _: events.emit(PoolReloaded(tuple(llm.id for llm in new.llms))),
            refused=lambda error: events.emit(PoolFileRefused(str(error))),
            settle_s=POOL_SETTLES_S,
        ),
        keys=Watched(
            settings.keys_file,
            keys.read,
            swapped=lambda new, _: events.emit(KeysReloaded(tuple(entry.name for entry in new.entries))),
            refused=lambda error: events.emit(KeysFileRefused(str(error))),
        ),
        client=client,
        mixture=Mixture(client),
        records=RecordStore.of(settings, noticed=lambda what, words: events.emit(NOTICED[what](words))),
        jobs=Jobs.of(settings),
        kept_responses=KeptResponses(responses_place.make(settings), settings.keep_responses_s, settings.keep_responses_bytes),
        copies=SharedCopies(settings, events),
        leaving=Leaving(settings.leave_s, lambda leave_s: events.emit(ServerLeaves(leave_s))),
        gate=gate,
        exploration=Exploration(settings, gate.budgets),
        tracing=tracing.from_environment(os.environ, metrics),
        void=Watched(
            settings.certificate_void_file,
            certificate_void.read,
            swapped=lambda new, _: events.emit(CertificateVoid(new.version, new.reasons)) if new.version is not None else None,
            refused=lambda error: events.emit(CertificateVoid(certificate_void.ANY, (str(error),))),
        ),
        learned=Watched(
            settings.var / table.NAME,
            table.read,
            swapped=lambda new, _: events.emit(LearnedReloaded(new.version, sum(new.outcomes_L))) if new is not None else None,
            refused=lambda error: events.emit(LearnedFileRefused(str(error))),
        ),
        beside=Beside.of(settings.scorers, settings.precision, encoders, events),
        sessions=Keeper(
            shared_store.make(settings),
            settings.sessions,
            settings.harness,
            events,
            metrics,
        ),
        scoring=ThreadPoolExecutor(settings.scoring_threads, thread_name_prefix="scoring"),
    )


@asynccontextmanager
async def _running(state: State) -> AsyncGenerator[None]:
    """Everything a worker follows is read before the first request, then followed.

    Raises PoolRefused or KeysRefused where those files are broken at the start: there is no good copy to keep.
    """
    await state.copies.first()
    for needed in (state.keys, state.pool):
        await needed.refresh()
        if needed.refusal is not None:
            raise needed.refusal
    unfamiliar.check(state.settings.unfamiliar, [llm.id for llm in state.llms.llms])
    await state.scorer.refresh()
    await state.void.refresh()
    for beside in (state.beside.shadow, state.beside.canary):  # after the champion, whose encoder they may share
        await beside.refresh()
    followed: list[Watched[Any]] = [state.keys, state.pool, state.scorer, state.void, state.beside.shadow, state.beside.canary]
    if state.settings.learning != "off":
        await state.learned.refresh()
        followed.append(state.learned)
    following = [asyncio.create_task(watched.follow(state.settings.poll_s)) for watched in followed]
    following += [asyncio.create_task(each.follow()) for each in (state.gate, state.sessions, state.copies, state.exploration)]
    following.append(asyncio.create_task(shadow_scoring.follow(state)))
    if state.settings.keep_records_days is not None:
        keep_days, llms = state.settings.keep_records_days, lambda: state.llms.llms
        following.append(asyncio.create_task(retention.forget_old(state.records, llms, keep_days, state.events)))
    for task in following:
        task.add_done_callback(functools.partial(_lost, state))
    try:
        with state.leaving.heeded():
            yield
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await _ended(state)
        await state.client.aclose()
        await state.exploration.tend()
        await state.gate.close()
        state.kept_responses.close()
        state.copies.close()
        await state.sessions.store.close()
        await state.records.close()
        await state.tracing.close()
        state.scoring.shutdown(wait=False, cancel_futures=True)


def _lost(state: State, task: asyncio.Task[None]) -> None:
    """Says that one of those that go on until they are cancelled broke."""
    if not task.cancelled() and (error := task.exception()) is not None:
        state.events.emit(FollowerLost(getattr(task.get_coro(), "__qualname__", ""), f"{type(error).__name__}: {error}"))


async def _ended(state: State) -> None:
    """Waits a little for requests that were cut off when the drain was over: they say so, and are recorded."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING_S):
            while state.in_flight.taken or state.background:  # noqa: ASYNC110  both change in many places
                await asyncio.sleep(0.02)


async def _failed(request: Request, error: Exception) -> Response:
    """Every error that a route raises, in the dialect of its address."""
    dialect = dialect_of(request.url.path)
    if isinstance(error, HTTPException):
        kind = {404: NotFound, 405: MethodRefused}.get(error.status_code, RequestRefused)
        what = {404: "does not exist", 405: f"does not take {request.method}"}.get(error.status_code, f"was refused ({error.detail})")
        return dialect.error(kind(f"{request.url.path} {what}.", next_step='README, "Ask it", lists the addresses.'))
    if isinstance(error, RequestValidationError):
        return dialect.error(RequestRefused(f"{request.url.path}: a parameter is malformed."))
    return dialect.error(error)
