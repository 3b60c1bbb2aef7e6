"""GET /livez, /readyz and /metrics: for whoever runs the server."""

from fastapi import APIRouter, Request, Response

from serving.errors import NotReady
from serving.responses import json_response
from serving.routing import why_not
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
    active, pooled = state.active, {llm.id: llm for llm in state.llms.llms}
    reasons = {llm: why_not(pooled.get(llm)) for llm in active.scorer.roster}
    callable_ = [llm for llm, why in reasons.items() if why is None]
    if not callable_:
        told = "; ".join(f"{llm}: {why}" for llm, why in reasons.items())
        raise NotReady(
            f"No LLM of scorer version {active.version} can be called ({told}).",
            next_step="Give one of them an endpoint in the pool, or add an LLM that has one.",
        )
    return json_response({"status": "ready", "scorer_version": active.version, "llms": len(callable_)})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(state_of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
