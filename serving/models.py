"""GET /v1/models: what a request can name as its `model`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from serving.keys import KeyEntry
from serving.named import model_unknown
from serving.responses import json_response
from serving.routing import why_not
from serving.state import State, holder_of, state_of
from serving.virtual_models import VIRTUAL

router = APIRouter()


@router.get("/v1/models")
async def models(request: Request) -> Response:
    """All that this key may name, in OpenAI's form."""
    return json_response({"object": "list", "data": list(_models(state_of(request), holder_of(request)).values())})


@router.get("/v1/models/{name}")
async def model(request: Request, name: str) -> Response:
    """One of them."""
    state = state_of(request)
    models_by_name = _models(state, holder_of(request))
    if name not in models_by_name:
        raise model_unknown(state, name)
    return json_response(models_by_name[name])


def _models(state: State, holder: KeyEntry) -> dict[str, dict[str, Any]]:
    virtual = {name: each.description for name, each in VIRTUAL.items()}
    callable_llms = {llm.id: llm.name for llm in state.llms.llms if why_not(llm) is None and holder.may_use(llm.id)}
    owners = ((virtual, "routemoa"), (callable_llms, "pool"))
    return {
        name: {"id": name, "object": "model", "created": 0, "owned_by": owner, "description": description}
        for described, owner in owners
        for name, description in described.items()
    }
