"""GET /livez, /readyz and /metrics: for whoever runs the server."""

from fastapi import APIRouter, Request, Response

from serving.responses import json_response
from serving.state import state_of

router = APIRouter()


@router.get("/livez")
async def livez() -> Response:
    """The process answers."""
    return json_response({"status": "alive"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """A scorer and a pool are loaded: queries are routed. NotReady (503) until then."""
    state = state_of(request)
    llms = state.llms
    return json_response({"status": "ready", "scorer_version": state.active.version, "llms": len(llms.active)})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(state_of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
