"""GET /openapi.json and /docs: what can be asked here, for programs and for people. The page is plain HTML and fetches nothing."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from serving.endpoints.api_document import METHODS, document
from serving.json_answers import json_response

router = APIRouter()
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
code, pre { font-family: ui-monospace, monospace; font-size: .9em } pre { background: #f4f4f2; padding: .75rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #ddd; padding: .25rem .5rem; text-align: left }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem } .method { text-transform: uppercase; font-weight: 600 }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e6; background: #161616 } pre { background: #242424 } td, th { border-color: #444 }
}
"""


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return json_response(_document(request))


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The same to read."""
    page = "".join(_page(_document(request)))
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _document(request: Request) -> dict[str, Any]:
    """Made once: the routes of a running server do not change."""
    app = request.app
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    made: dict[str, Any] = app.openapi_schema
    return made


def _page(made: Mapping[str, Any]) -> Iterator[str]:
    title = html.escape(f"{made['info']['title']} {made['info']['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    yield f"<style>{STYLE}</style><h1>{title}</h1><p>{html.escape(made['info']['description'])}</p>"
    yield '<p>For programs: <a href="/openapi.json">/openapi.json</a>. Keys are sent as <code>Authorization: Bearer KEY</code>.</p><ul>'
    operations = [(path, method, told) for path, methods in made["paths"].items() for method, told in methods.items() if method in METHODS]
    for path, method, _ in operations:
        yield f'<li><a href="#{_anchor(path, method)}"><span class="method">{method}</span> {html.escape(path)}</a></li>'
    yield "</ul>"
    for path, method, told in operations:
        yield from _operation(path, method, told, made["components"]["schemas"])


def _operation(path: str, method: str, told: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{_anchor(path, method)}"><span class="method">{method}</span> <code>{html.escape(path)}</code></h2>'
    yield f"<p>{html.escape(told.get('description', ''))}</p>"
    scope = told.get("x-routemoa-scope")
    yield f"<p>Needs a key with the scope <code>{html.escape(scope)}</code>.</p>" if scope else "<p>Open to everybody.</p>"
    for parameter in told.get("parameters", ()):
        yield f"<p>In the {parameter['in']}: <code>{html.escape(parameter['name'])}</code></p>"
    body = told.get("requestBody")
    if body is not None:
        yield from _fields(schemas[body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]])
    for status, answer in told["responses"].items():
        kinds = ", ".join(answer.get("content", ()))
        yield f"<p><code>{status}</code> {html.escape(answer['description'])} ({html.escape(kinds)})</p>"


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", ()))
    yield "<table><tr><th>field</th><th>kind</th><th></th></tr>"
    for name, told in schema.get("properties", {}).items():
        must = "required" if name in required else ""
        yield f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(_kind(told))}</td><td>{must}</td></tr>"
    yield "</table>"


def _kind(told: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in told:
        return str(told["$ref"]).rpartition("/")[2]
    if "anyOf" in told:
        return " or ".join(dict.fromkeys(_kind(each) for each in told["anyOf"]))
    if "enum" in told:
        return ", ".join(map(str, told["enum"]))
    if told.get("type") == "array":
        return f"list of {_kind(told.get('items', {}))}"
    return str(told.get("type", "anything"))


def _anchor(path: str, method: str) -> str:
    return html.escape(f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""))
