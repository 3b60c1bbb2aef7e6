"""GET /livez, /readyz and /metrics: for whoever runs the server."""

import asyncio

from fastapi import APIRouter, Request, Response

from monitoring import looks
from serving.choice.routing import cannot_be_called
from serving.errors import NotReady
from serving.json_answers import json_response
from serving.state import state_of
from serving.worker import monitor_gauges

router = APIRouter()


@router.get("/livez")
async def livez() -> Response:
    """The process answers."""
    return json_response({"status": "alive"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """A scorer and a pool are loaded, with LLMs to call, and records can be kept: queries are routed. NotReady (503) else."""
    state = state_of(request)
    if state.leaving.begun:
        raise NotReady("The server was told to stop, and takes no new work.", next_step="Ask another host.")
    if state.refusal is not None:
        raise NotReady("No record can be kept, so nothing is answered.", next_step="The log says why; GET /admin/scorer lists the events.")
    active = state.active
    able = len(active.scorer.roster) - len(cannot_be_called(active.scorer.roster, {llm.id: llm for llm in state.llms.llms}))
    if not able:
        raise NotReady(
            f"No LLM of scorer version {active.version} can be called.",
            next_step="GET /admin/llms lists them: give one an endpoint in the pool, or add an LLM that has one.",
        )
    return json_response({"status": "ready", "scorer_version": active.version, "llms": able})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus' text format: this server's figures, and what the monitor last found."""
    state = state_of(request)
    found = await asyncio.to_thread(monitor_gauges.text, looks.folder(state.settings) / looks.LATEST)
    waiting = await asyncio.to_thread(monitor_gauges.of_queue, state.records) if state.refusal is None else b""
    saved = await asyncio.to_thread(monitor_gauges.of_ledger, state.records) if state.refusal is None else b""
    return Response(state.metrics.text() + found + waiting + saved, media_type="text/plain; version=0.0.4; charset=utf-8")
