"""Deny by default: a key opens what its scopes name, and nothing is open without one but health and the console page."""

import json
import subprocess
import sys
import time

import pytest
from fastapi import APIRouter
from starlette.routing import Route
from world import World

from serving import app
from serving.access import keys, scopes
from serving.endpoints import health
from serving.errors import ServingError

ADDRESSES = [
    ("GET", "/v1/audits", "audit"),
    ("POST", "/v1/audits/x/claim", "audit"),
    ("GET", "/admin/quality", "admin"),
    ("GET", "/admin/groups", "admin"),
    ("POST", "/admin/groups/x/name", "admin"),
    ("POST", "/v1/chat/completions", "chat"),
    ("POST", "/v1/route", "chat"),
    ("GET", "/v1/models", "chat"),
    ("GET", "/v1/models/routemoa", "chat"),
    ("GET", "/v1/decisions/x", "chat"),
    ("POST", "/v1/feedback", "feedback"),
    ("GET", "/admin/llms", "admin"),
    ("POST", "/admin/llms", "admin"),
    ("GET", "/admin/jobs", "admin"),
    ("DELETE", "/admin/jobs/x", "admin"),
    ("GET", "/admin/scorer", "admin"),
    ("GET", "/admin/verdict", "admin"),
    ("GET", "/admin/verdicts", "admin"),
    ("DELETE", "/admin/scorer/void", "admin"),
    ("POST", "/admin/scorer/promote", "admin"),
    ("POST", "/admin/scorer/rollback", "admin"),
    ("GET", "/metrics", "metrics"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
def test_an_address_opens_to_its_scope_only(client, shared: World, method: str, path: str, scope: str) -> None:
    """401 without a key or with an unknown one, 403 with every other scope."""
    for header in ({"Authorization": ""}, {"Authorization": "Bearer rm-wrong"}, {"Authorization": f"Basic {shared.key}"}):
        response = client.request(method, path, headers=header)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
    others = keys.KeyEntry(name="others", sha256="0" * 64, scopes=tuple(other for other in keys.SCOPES if other != scope), created_at=0)
    with pytest.raises(ServingError, match=f"needs '{scope}'"):
        scopes.check(others, path)


def test_every_route_is_closed_or_named_public(client) -> None:
    """No registered route answers without a key, except those that are named public; a route without a scope cannot be added."""
    paths = {route.path for router in app.ROUTERS for route in router.routes}
    assert len(paths) > 12
    public = {"/": 307, "/livez": 200, "/readyz": 200, "/docs": 200, "/openapi.json": 200}
    assert {path for path in paths if scopes.scope_of(path) is None} == set(public)
    for path, status in public.items():
        assert client.get(path, headers={"Authorization": ""}, follow_redirects=False).status_code == status
    with pytest.raises(ServingError, match="/debug has no scope"):
        scopes.check_routes(["/debug"])


def test_an_app_with_an_unscoped_route_does_not_start(shared: World, monkeypatch) -> None:
    """Composition itself refuses it."""
    stray = APIRouter()
    stray.routes.append(Route("/debug", health.livez))
    monkeypatch.setattr(app, "ROUTERS", (*app.ROUTERS, stray))
    with pytest.raises(ServingError, match="/debug has no scope"):
        app.create_app(shared.settings())


@pytest.mark.parametrize("path", ["/nowhere", "/v1/", "/v1//models", "/admin", "/docs/", "/redoc", "/V1/models", "/livez/"])
def test_other_addresses_are_not_found_and_ask_for_a_key_first(client, path: str) -> None:
    """Nothing is told about addresses to those without a key."""
    assert client.get(path, headers={"Authorization": ""}).status_code == 401
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_keys_are_kept_as_hashes_and_shown_once(world: World) -> None:
    """The file holds no key and is readable by its owner only."""
    path = world.settings().keys_file
    key = keys.create(path, "ci", ("chat",))
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.read(path).holder(f"Bearer {key}", 0.0).scopes == ("chat",)


def test_the_key_command_prints_a_key_that_works(world: World) -> None:
    """`routemoa keys create` prints the key; a running server takes it, and drops it when revoked."""
    command = [sys.executable, "-m", "cli.main", "keys"]
    with world.served() as server, server.client() as client:
        environment = {"ROUTEMOA_HOME": str(world.home), "PYTHONPATH": ":".join(sys.path)}
        made = subprocess.run([*command, "create", "me", "--scope", "chat"], env=environment, capture_output=True, text=True, check=True)
        header = {"Authorization": f"Bearer {made.stdout.strip()}"}
        _wait(lambda: client.get("/v1/models", headers=header).status_code == 200)
        assert client.get("/admin/jobs", headers=header).status_code == 403
        subprocess.run([*command, "revoke", "me"], env=environment, check=True)
        _wait(lambda: client.get("/v1/models", headers=header).status_code == 401)


def test_a_broken_key_file_stops_a_start_and_not_a_server(world: World) -> None:
    """A server that runs keeps the keys it has; one that starts on a broken file says so and ends."""
    path = world.settings().keys_file
    good = path.read_text()
    with world.served() as server, server.client() as client:
        path.write_text('{"keys": [{}]}')
        _wait(lambda: any(event["event"] == "KeysFileRefused" for event in client.get("/admin/scorer").json()["events"]))
        assert client.get("/v1/models").status_code == 200
    with pytest.raises(AssertionError, match="not a file of API keys"), world.served():
        pass
    path.write_text(json.dumps({"keys": []}))
    with world.served(wait="/livez") as server, server.client() as client:
        assert client.get("/v1/models").status_code == 401
    path.write_text(good)


def _wait(true) -> None:
    give_up = time.monotonic() + 5
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)
