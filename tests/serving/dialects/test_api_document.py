"""/openapi.json says what the routes take and give, and the running server keeps to it."""

import html
import json
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from vendor_world import VendorWorld

from serving.endpoints.api_document import METHODS, ROUTES

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]


@pytest.fixture(scope="module")
def made(served: TestClient) -> dict:
    """The document, asked for without a key."""
    return served.get("/openapi.json", headers={"Authorization": ""}).json()


def test_every_route_is_described(made: dict) -> None:
    """With its own schemas."""
    there = {(method, path) for path, methods in made["paths"].items() for method in METHODS & methods.keys()}
    undescribed = there - ROUTES.keys()
    assert not undescribed, f"describe them in serving/endpoints/api_document.py: {undescribed}"


def test_every_request_has_the_schema_that_checks_it(made: dict) -> None:
    """Under its name, with the fields that it has."""
    chat = made["components"]["schemas"]["ChatRequest"]
    assert {"model", "messages"} <= set(chat["required"])
    assert {"model", "input"} <= set(made["components"]["schemas"]["ResponsesRequest"]["required"])
    used = set(json.dumps(made).split('"#/components/schemas/')[1:])
    assert {each.partition('"')[0] for each in used} <= made["components"]["schemas"].keys()


def test_what_is_closed_says_so(made: dict) -> None:
    """Every address but the public ones asks for a key, and names the scope."""
    assert made["paths"]["/admin/llms"]["get"]["x-routemoa-scope"] == "admin"
    assert made["paths"]["/v1/responses"]["post"]["security"] == [{"key": []}]
    assert "security" not in made["paths"]["/livez"]["get"]


def test_the_page_lists_every_route_and_fetches_nothing(served: TestClient, made: dict) -> None:
    """No script, no address elsewhere."""
    page = served.get("/docs", headers={"Authorization": ""})
    assert all(html.escape(path) in page.text for path in made["paths"])
    assert "<script" not in page.text
    assert "src=" not in page.text
    assert "http" not in page.text.replace("https://json-schema.org", "")
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.slow
def test_a_running_server_keeps_to_it(project: VendorWorld, tmp_path: Path) -> None:
    """Schemathesis asks every route by its schema, rightly and wrongly: no 5xx, no status, kind or shape that is not in the document."""
    with project.served() as server:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json",
            "--header", f"Authorization: Bearer {server.key}", "--checks", ",".join(CHECKS), "--phases", "examples,fuzzing",
            "--max-examples", "12", "--seed", "1", "--generation-deterministic", "--no-color", "--workers", "1",
            "--request-timeout", "60", "--suppress-health-check", "all",
        ]  # fmt: skip
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
