"""POST /v1/route: what would be decided for a request, and why; no LLM is called, nothing is recorded."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from starlette import requests

from mixture.choose.strategies import as_json
from serving.access.keys import KeyEntry
from serving.choice.explanation import explanation
from serving.choice.named import model_unknown
from serving.choice.routing import scored_request
from serving.choice.virtual_models import VIRTUAL
from serving.errors import RequestRefused, ScopeMissing
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import RouteRequest, parse
from serving.scorers.active_scorer import Active
from serving.scorers.scored_request import ScoredRequest
from serving.state import State, holder_of, state_of

router = APIRouter()


@router.post("/v1/route")
async def route(request: requests.Request) -> Response:
    """Scores, ranking and reasons for a chat completion request."""
    state = state_of(request)
    chat, written = parse(RouteRequest, await read(request, state.settings.max_request_bytes))
    if chat.model not in VIRTUAL:
        raise model_unknown(state, chat.model)
    holder, version = holder_of(request), written.pop("scorer_version", None)
    by = None if version is None else _named(state, holder, version)
    scored = await scored_request(state, chat, written, holder, headers=request.headers, by=by)
    return json_response(as_dict(scored, chat.model, state.settings.unfamiliar))


def _named(state: State, holder: KeyEntry, version: str) -> Active:
    """The loaded version of that number or alias. Raises ScopeMissing, RequestRefused, NotReady."""
    if "admin" not in holder.scopes:
        raise ScopeMissing(f"The key {holder.name!r} may not choose the scorer version.", next_step="Leave scorer_version out.")
    loaded = state.beside.versions(state.active)
    if version not in loaded:
        what = f"scorer_version: {version!r} is not loaded here; {', '.join(sorted(loaded))} are."
        raise RequestRefused(what, next_step="`routemoa shadow VERSION` has a version loaded.", param="scorer_version")
    return loaded[version]


def as_dict(scored: ScoredRequest, model: str, wanted: str) -> dict[str, Any]:
    """What would be decided, JSON-ready. wanted: what a query unlike anything labelled gets. Raises NoAnswer where no LLM may answer."""
    request = scored.request.with_requirements()
    (ranking, session), excluded = request.settled(), request.excluded()
    action = request.opened()[1]
    propensities = {each.llm: each.propensity for each in action.candidates}
    ranked = [
        {
            "llm": each.id,
            "score": scored.scores[each.id],
            "value": each.value,
            "cost_usd": each.cost_usd,
            "latency_s": each.candidate.latency_s,
            "energy_kwh": each.candidate.kwh,
            "chosen": each.chosen,
            "stepped_over": each.candidate.silent,
            "propensity": propensities[each.id],
        }
        for each in ranking
    ]
    return {
        "model": model,
        "scorer_version": scored.active.version,
        "scored_characters": len(scored.text),
        "chosen": [each["llm"] for each in ranked if each["chosen"]],
        "ranked": ranked,
        "exploration": {"share": 0.0 if action.why else request.explore.share, "delta": action.delta, "why_not": action.why or None},
        "excluded": excluded,
        "scores": dict(scored.scores),
        "options": request.options.as_dict() | {"deadline": None},
        "strategy": as_json(request.strategy),
        "familiar": None if scored.familiar is None else scored.familiar.as_dict(),
        "session": None if session is None else asdict(session),
        "explanation": explanation(
            request.options,
            ranking,
            excluded=excluded,
            of=len(scored.scores),
            familiar=scored.familiar,
            unfamiliar=wanted,
            session=session,
        ),
    }
