"""What an admin key may register: no address and no variable that nobody on this machine has named, and never without a trace."""

import http.server
import threading

import pytest
from routing_client import ready
from world import World, entry

from registry.errors import JoiningRefused
from registry.pool import Pool
from serving.access.allowed_endpoints import check
from serving.settings import ServingSettings

INTERNAL = "the internal page: password is hunter2"


@pytest.fixture
def internal():
    """An HTTP server that no LLM is behind; says what it was asked with."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(dict(self.headers))
            self.send_response(404)
            self.end_headers()
            self.wfile.write(INTERNAL.encode())

        def log_message(self, *_: object) -> None:
            pass

    seen: list[dict[str, str]] = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    thread.join()


def register(client, base_url: str, variable: str | None = None):
    endpoint = {"base_url": base_url, "served_name": "x", "api_key_env": variable}
    return client.post("/admin/llms", json={"id": "thief", **entry(base_url, "x"), "endpoint": endpoint})


@pytest.mark.parametrize("variable", [None, "SOME_ADMIN_SECRET", "PATH", "HOME"])
def test_an_unnamed_address_is_not_asked(client, internal, monkeypatch, variable) -> None:
    """No internal page and no variable reaches anybody, and it is all the same whether the variable is set."""
    monkeypatch.setenv("SOME_ADMIN_SECRET", "s3cret")
    base_url, seen = internal
    refused = register(client, base_url, variable)
    assert (refused.status_code, seen) == (400, [])
    assert "ROUTEMOA_ADMIN_HOSTS" in refused.json()["error"]["message"]


@pytest.mark.parametrize("variable", ["SOME_ADMIN_SECRET", "NOT_SET", "PATH"])
def test_an_unnamed_variable_is_sent_nowhere(client, shared: World, monkeypatch, variable) -> None:
    """Not even to an address of the pool; the answer is the same for one that is not set."""
    monkeypatch.setenv("SOME_ADMIN_SECRET", "s3cret")
    refused = register(client, shared.base_url, variable)
    assert refused.json()["error"]["message"].startswith(f"{variable} may not be sent there")


def test_what_stands_at_a_named_address_is_not_repeated(world: World, internal, monkeypatch) -> None:
    """A named host and variable are used; of what the endpoint said the caller gets its HTTP status."""
    monkeypatch.setenv("VENDOR_KEY", "s3cret")
    base_url, seen = internal
    named = {"admin_hosts": "api.example.com, 127.0.0.1", "admin_key_variables": frozenset({"VENDOR_KEY"})}
    for client in ready(world, **named):
        refused = register(client, base_url, "VENDOR_KEY")
    assert (refused.status_code, len(seen)) == (400, 1)
    assert refused.json()["error"]["message"].startswith("thief does not answer its probe (LLMRefused, HTTP 404).")
    assert "hunter2" not in refused.text
    assert seen[0]["Authorization"] == "Bearer s3cret"


def test_every_admin_call_is_an_event(world: World) -> None:
    """With the key's name, what was asked and what came of it; reading is logged and does not push out what happened."""
    for client in ready(world):
        register(client, "http://10.0.0.1:9/v1", "SOME_ADMIN_SECRET")
        client.post("/admin/scorer/promote", json={"version": "latest"})
        client.get("/admin/jobs")
        events = client.get("/admin/scorer").json()["events"]
        counted = client.get("/metrics").text
    called = [each for each in events if each["event"] == "AdminCalled"]
    promoted, registered = called
    assert (registered["key"], registered["method"], registered["path"], registered["status"]) == ("everything", "POST", "/admin/llms", 400)
    assert registered["about"] == {"llm": "thief", "base_url": "http://10.0.0.1:9/v1", "api_key_env": "SOME_ADMIN_SECRET"}
    assert (promoted["path"], promoted["status"]) == ("/admin/scorer/promote", 400)
    assert 'routemoa_events_total{event="AdminCalled"} 4.0' in counted


def test_the_operator_names_them_with_commas(monkeypatch) -> None:
    """As environment variables are written."""
    monkeypatch.setenv("ROUTEMOA_ADMIN_HOSTS", "api.openai.com, *.example.com,")
    monkeypatch.setenv("ROUTEMOA_ADMIN_KEY_VARIABLES", "OPENAI_API_KEY")
    settings = ServingSettings(_env_file=None)
    assert (settings.admin_hosts, settings.admin_key_variables) == ({"api.openai.com", "*.example.com"}, {"OPENAI_API_KEY"})


def pool(tmp_path) -> Pool:
    from registry import pool as pools

    endpoint = {"base_url": "https://api.vendor.com/v1", "served_name": "x", "api_key_env": "VENDOR_KEY"}
    World(tmp_path / "project", "http://127.0.0.1:1/v1").write_pool({"a": {**entry("http://x/v1", "x"), "endpoint": endpoint}})
    return pools.load(tmp_path / "project" / "registry" / "pool.yaml")


@pytest.mark.parametrize(
    ("base_url", "variable", "hosts", "allowed"),
    [
        ("https://api.vendor.com/v2", "VENDOR_KEY", (), True),
        ("https://API.vendor.com:443/v1", None, (), True),
        ("http://api.vendor.com/v1", None, (), False),
        ("https://api.vendor.com:8443/v1", None, (), False),
        ("https://evil.com/v1", None, (), False),
        ("https://named.com/v1", None, ("named.com",), True),
        ("http://named.com:8000/v1", None, ("named.com",), True),
        ("http://named.com:8000/v1", None, ("named.com:8001",), False),
        ("https://eu.named.com/v1", None, ("*.named.com",), True),
        ("https://named.com.evil.com/v1", None, ("named.com", "*.named.com"), False),
        ("https://evilnamed.com/v1", None, ("*.named.com",), False),
        ("https://named.com/v1", "VENDOR_KEY", ("named.com",), False),
        ("https://named.com/v1", "OTHER_KEY", ("named.com",), True),
        ("https://api.vendor.com/v1", "THIRD_KEY", (), False),
        ("http://2130706433/v1", None, ("127.0.0.1",), False),
    ],
)
def test_which_pairs_are_allowed(tmp_path, base_url, variable, hosts, allowed) -> None:
    """A variable of the pool goes where the pool sends it and nowhere else; a named one to every named host."""
    known = pool(tmp_path)
    if allowed:
        check(base_url, variable, pool=known, hosts=hosts, variables={"OTHER_KEY"})
    else:
        with pytest.raises(JoiningRefused, match="ROUTEMOA_ADMIN_"):
            check(base_url, variable, pool=known, hosts=hosts, variables={"OTHER_KEY"})
