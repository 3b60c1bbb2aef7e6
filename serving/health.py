"""GET /livez, /readyz and /metrics: for whoever runs the server."""

from fastapi import APIRouter, Request, Response

from serving.errors import NotReady
from serving.responses import json_response
from serving.routing import cannot_be_called
from serving.state import state_of

router = APIRouter()


@router.get("/livez")
async def livez() -> Response:
    """The process answers."""
    return json_response({"status": "alive"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """A scorer and a pool are loaded, with LLMs to call: queries are routed. NotReady (503) until then."""
    state = state_of(request)
    active = state.active
    uncallable = cannot_be_called(active.scorer.roster, {llm.id: llm for llm in state.llms.llms})
    able = len(active.scorer.roster) - len(uncallable)
    if not able:
        reasons = "; ".join(f"{llm}: {why}" for llm, why in uncallable.items())
        raise NotReady(
            f"No LLM of scorer version {active.version} can be called ({reasons}).",
            next_step="Give one of them an endpoint in the pool, or add an LLM that has one.",
        )
    return json_response({"status": "ready", "scorer_version": active.version, "llms": able})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(state_of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
