"""POST /v1/route: what would be decided for a request, and why; no LLM is called, nothing is recorded."""

from typing import Any

from fastapi import APIRouter, Request, Response

from serving.body import read
from serving.chat import model_unknown
from serving.protocol import RouteRequest, parse
from serving.responses import json_response
from serving.routing import VIRTUAL, Plan, plan
from serving.state import state_of

router = APIRouter()


@router.post("/v1/route")
async def route(request: Request) -> Response:
    """Scores, ranking and reasons for a chat completion request."""
    state = state_of(request)
    chat, written = parse(RouteRequest, await read(request, state.settings.max_request_bytes))
    if chat.model not in VIRTUAL:
        raise model_unknown(state, chat.model)
    found = await plan(state, chat, written)
    return json_response(as_dict(found, chat.model))


def as_dict(found: Plan, model: str) -> dict[str, Any]:
    """The plan, JSON-ready."""
    ranked = [
        {
            "llm": each.id,
            "score": found.scores[each.id],
            "value": each.value,
            "cost_usd": each.cost_usd,
            "latency_s": each.candidate.latency_s,
            "chosen": each.chosen,
        }
        for each in found.ranked
    ]
    return {
        "model": model,
        "scorer_version": found.active.version,
        "scored_characters": len(found.text),
        "chosen": [each["llm"] for each in ranked if each["chosen"]],
        "ranked": ranked,
        "excluded": found.excluded,
        "scores": dict(found.scores),
        "options": found.options.as_dict() | {"deadline": None},
        "explanation": explanation(found),
    }


def explanation(found: Plan) -> str:
    """The decision in one sentence."""
    weights, chosen = found.options.weights, [each for each in found.ranked if each.chosen]
    told = "; ".join(
        f"{each.id} (expected quality {each.quality:.2f}, about {each.cost_usd:.6f} USD"
        + (f" and {each.candidate.latency_s:.1f} s" if each.candidate.latency_s is not None else "")
        + ")"
        for each in chosen
    )
    asked = "answers" if found.options.single else f"in layer 1 of at most {found.options.max_layers}"
    return (
        f"{told} {asked}: the best expected quality at weight {weights.quality:g}, a dollar weighing {weights.usd:g} and a second "
        f"{weights.second:g}. {len(found.excluded)} of {len(found.scores)} LLMs may not answer this request."
    )
