"""GET /v1/models: what a request can name as its `model`."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from serving.access.keys import KeyEntry
from serving.choice.named import model_unknown
from serving.choice.routing import why_not
from serving.choice.virtual_models import VIRTUAL
from serving.json_answers import json_response
from serving.state import State, holder_of, state_of

VENDORS_HEADER = "anthropic-version"
router = APIRouter()


@router.get("/v1/models")
async def models(request: Request) -> Response:
    """All that this key may name, in OpenAI's form; for Anthropic's clients, which say so, in theirs."""
    named = _models(state_of(request), holder_of(request))
    if VENDORS_HEADER in request.headers:
        models = [_of_vendor(name, each) for name, each in named.items()]
        return json_response({"data": models, "has_more": False, "first_id": models[0]["id"], "last_id": models[-1]["id"]})
    return json_response({"object": "list", "data": list(named.values())})


@router.get("/v1/models/{name}")
async def model(request: Request, name: str) -> Response:
    """One of them."""
    state = state_of(request)
    models_by_name = _models(state, holder_of(request))
    if name not in models_by_name:
        raise model_unknown(state, name)
    one = models_by_name[name]
    return json_response(_of_vendor(name, one) if VENDORS_HEADER in request.headers else one)


def _of_vendor(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """A model as Anthropic's clients list it. Nobody knows since when it is here."""
    return {"type": "model", "id": name, "display_name": model["description"], "created_at": "1970-01-01T00:00:00Z"}


def _models(state: State, holder: KeyEntry) -> dict[str, dict[str, Any]]:
    virtual = {name: each.description for name, each in VIRTUAL.items()}
    callable_llms = {llm.id: llm.name for llm in state.llms.llms if why_not(llm) is None and holder.may_use(llm.id)}
    owners = ((virtual, "routemoa"), (callable_llms, "pool"))
    return {
        name: {"id": name, "object": "model", "created": 0, "owned_by": owner, "description": description}
        for described, owner in owners
        for name, description in described.items()
    }
