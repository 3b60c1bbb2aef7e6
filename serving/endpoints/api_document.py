"""The OpenAPI document of this server: every route with the schema that checks its requests, and that of its answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.access import scopes
from serving.admin.beside import CanaryWanted, ShadowWanted
from serving.admin.groups import HowMany, Name
from serving.admin.jobs import Retraining
from serving.admin.keys import KeyWanted
from serving.admin.pool import Change, Joining
from serving.admin.scorer import Promotion
from serving.dialects.messages_schema import CountRequest, MessagesRequest
from serving.dialects.passed_on import CompletionsRequest, EmbeddingsRequest
from serving.dialects.responses_request import ResponsesRequest
from serving.dialects.spoken import MESSAGES, dialect_of
from serving.endpoints import api_answers
from serving.endpoints.audits import Grade, Grader
from serving.endpoints.feedback import Feedback
from serving.request.protocol import ChatRequest, RouteRequest

REFERENCE = "#/components/schemas/{model}"
METHODS = frozenset({"get", "post", "put", "patch", "delete"})
INTRODUCTION = (
    "A router among many LLMs. `model` is a virtual model (`routemoa`, `routemoa-single`, `routemoa-layers`) or the id of an LLM of the "
    "pool. Answers say in headers who served them: `x-routemoa-decision`, `x-routemoa-llm`, `x-routemoa-cost-usd`, "
    "`x-routemoa-chosen-by`, `x-routemoa-asked`, `x-routemoa-scorer`; a stream says at its head what is known then, and the rest in "
    "its last event."
)


@dataclass(frozen=True, slots=True)
class Described:
    """One route. body: the model that checks what is sent, None where nothing is; optional: where it may be left out.

    answer: the schema of what comes back with `status`; streams: whether that may be server-sent events instead.
    """

    answer: Mapping[str, Any]
    body: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    streams: bool = False
    optional: bool = False
    kind: str = "application/json"


ROUTES: Mapping[tuple[str, str], Described] = {
    ("post", "/v1/chat/completions"): Described(api_answers.CHAT_COMPLETION, ChatRequest, streams=True),
    ("post", "/v1/responses"): Described(api_answers.RESPONSE, ResponsesRequest, streams=True),
    ("delete", "/v1/responses/{response_id}"): Described(api_answers.DELETED),
    ("post", MESSAGES.path): Described(api_answers.MESSAGE, MessagesRequest, streams=True),
    ("post", f"{MESSAGES.path}/count_tokens"): Described(api_answers.TOKENS, CountRequest),
    ("post", "/v1/embeddings"): Described(api_answers.EMBEDDINGS, EmbeddingsRequest),
    ("post", "/v1/completions"): Described(api_answers.COMPLETION, CompletionsRequest, streams=True),
    ("post", "/v1/route"): Described(api_answers.ROUTE, RouteRequest),
    ("get", "/v1/models"): Described(api_answers.MODELS),
    ("get", "/v1/models/{name}"): Described(api_answers.MODEL),
    ("get", "/v1/decisions/{decision_id}"): Described(api_answers.RECORD),
    ("post", "/v1/feedback"): Described(api_answers.OUTCOME, Feedback),
    ("get", "/v1/audits"): Described(api_answers.AUDITS),
    ("get", "/v1/audits/{decision_id}"): Described(api_answers.AUDIT),
    ("post", "/v1/audits/{decision_id}"): Described(api_answers.GRADED, Grade),
    ("post", "/v1/audits/{decision_id}/claim"): Described(api_answers.AUDIT, Grader, optional=True),
    ("post", "/v1/audits/{decision_id}/skip"): Described(api_answers.SKIPPED, Grader, optional=True),
    ("get", "/admin/llms"): Described(api_answers.LLMS),
    ("post", "/admin/llms"): Described(api_answers.ADDED, Joining, HTTPStatus.ACCEPTED),
    ("post", "/admin/llms/check"): Described(api_answers.TREE, Joining),
    ("patch", "/admin/llms/{llm_id}"): Described(api_answers.TREE, Change),
    ("get", "/admin/prices"): Described(api_answers.TREE),
    ("get", "/admin/records"): Described(api_answers.TREE),
    ("get", "/admin/traffic"): Described(api_answers.TREE),
    ("get", "/admin/jobs/plan"): Described(api_answers.TREE),
    ("get", "/admin/gains"): Described(api_answers.TREE),
    ("get", "/admin/keys"): Described(api_answers.TREE),
    ("post", "/admin/keys"): Described(api_answers.TREE, KeyWanted, HTTPStatus.CREATED),
    ("delete", "/admin/keys/{name}"): Described(api_answers.TREE),
    ("get", "/admin/jobs"): Described(api_answers.JOBS),
    ("post", "/admin/jobs"): Described(api_answers.JOB, Retraining, HTTPStatus.ACCEPTED),
    ("get", "/admin/jobs/{job_id}"): Described(api_answers.JOB),
    ("delete", "/admin/jobs/{job_id}"): Described(api_answers.JOB),
    ("get", "/admin/jobs/{job_id}/log"): Described(api_answers.TREE),
    ("get", "/admin/scorer"): Described(api_answers.SCORER),
    ("get", "/admin/verdict"): Described(api_answers.VERDICT),
    ("get", "/admin/verdicts"): Described(api_answers.TREE),
    ("delete", "/admin/scorer/void"): Described(api_answers.TREE),
    ("post", "/admin/scorer/promote"): Described(api_answers.JOB, Promotion, HTTPStatus.ACCEPTED),
    ("post", "/admin/scorer/rollback"): Described(api_answers.JOB, status=HTTPStatus.ACCEPTED),
    ("get", "/admin/scorer/shadow"): Described(api_answers.BESIDE),
    ("post", "/admin/scorer/shadow"): Described(api_answers.JOB, ShadowWanted, HTTPStatus.ACCEPTED),
    ("delete", "/admin/scorer/shadow"): Described(api_answers.JOB, status=HTTPStatus.ACCEPTED),
    ("get", "/admin/scorer/canary"): Described(api_answers.BESIDE),
    ("post", "/admin/scorer/canary"): Described(api_answers.JOB, CanaryWanted, HTTPStatus.ACCEPTED),
    ("delete", "/admin/scorer/canary"): Described(api_answers.JOB, status=HTTPStatus.ACCEPTED),
    ("get", "/admin/groups"): Described(api_answers.TREE),
    ("get", "/admin/groups/{group}/plan"): Described(api_answers.TREE),
    ("post", "/admin/groups/{group}/name"): Described(api_answers.TREE, Name),
    ("post", "/admin/groups/{group}/leave"): Described(api_answers.TREE),
    ("post", "/admin/groups/{group}/audit"): Described(api_answers.TREE, HowMany, optional=True),
    ("post", "/admin/groups/{group}/harvest"): Described(api_answers.TREE, status=HTTPStatus.ACCEPTED),
    ("post", "/admin/groups/{group}/retrain"): Described(api_answers.TREE, status=HTTPStatus.ACCEPTED),
    ("delete", "/admin/groups/{group}"): Described(api_answers.TREE),
    ("get", "/admin/quality"): Described(api_answers.TREE),
    ("get", "/admin/savings"): Described(api_answers.TREE),
    ("get", "/admin/savings.csv"): Described(api_answers.TEXT, kind="text/csv"),
    ("get", "/livez"): Described(api_answers.ALIVE),
    ("get", "/readyz"): Described(api_answers.READY),
    ("get", "/metrics"): Described(api_answers.TEXT, kind="text/plain"),
    ("get", "/"): Described(api_answers.TEXT, kind="text/html", status=HTTPStatus.TEMPORARY_REDIRECT),
    ("get", "/docs"): Described(api_answers.TEXT, kind="text/html"),
    ("get", "/openapi.json"): Described(api_answers.TREE),
}
# What a reader tries first, by field.
EXAMPLES: Mapping[str, Any] = {
    "model": "routemoa-single",
    "messages": [{"role": "user", "content": "What is 2 + 3?"}],
    "max_tokens": 100,
    "input": "What is 2 + 3?",
    "prompt": "2 + 3 =",
    "decision_id": "0123456789abcdef0123456789abcdef",
}
# Of a route that nobody described: JSON of some kind.
UNDESCRIBED = Described(api_answers.ANY)


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document (3.1)."""
    made = get_openapi(title="RouteMoA", version=version("routemoa"), description=INTRODUCTION, routes=app.routes)
    for path, operations in made["paths"].items():
        for method in METHODS & operations.keys():
            _describe(operations[method], path, ROUTES.get((method, path), UNDESCRIBED))
    bodies = {each.body for each in ROUTES.values() if each.body is not None}
    ordered = sorted(bodies, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=REFERENCE)
    for schema in schemas["$defs"].values():
        for name in EXAMPLES.keys() & set(schema.get("required", ())):
            schema["properties"][name] = {**schema["properties"][name], "examples": [EXAMPLES[name]]}
    made["components"] = {
        "schemas": {**schemas["$defs"], "Error": api_answers.ERROR, "MessagesError": api_answers.MESSAGES_ERROR},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "`routemoa keys create` makes one."}},
    }
    return made


def _describe(operation: dict[str, Any], path: str, described: Described) -> None:
    if described.body is not None:
        schema = {"$ref": REFERENCE.format(model=described.body.__name__)}
        operation["requestBody"] = {"required": not described.optional, "content": {"application/json": {"schema": schema}}}
    content: dict[str, Any] = {described.kind: {"schema": dict(described.answer)}}
    if described.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    error = {"description": "What is wrong and what to do next", "content": {"application/json": {"schema": error_schema(path)}}}
    operation["responses"] = {str(int(described.status)): {"description": described.status.phrase, "content": content}}
    operation["responses"] |= {"4XX": error, "5XX": error}
    scope = scopes.scope_of(path)
    if path not in scopes.PUBLIC and scope is not None:
        operation["security"] = [{"key": []}]
        operation["x-routemoa-scope"] = scope


def error_schema(path: str) -> dict[str, Any]:
    """Of errors at an address, in its dialect."""
    return {"$ref": REFERENCE.format(model="MessagesError" if dialect_of(path) is MESSAGES else "Error")}
