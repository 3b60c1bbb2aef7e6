"""The client of MLflow's REST API: how it logs in, and what it makes of answers that a real server gives only when something is wrong."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException, RestException

from registry import mlflow_rest, mlflow_runs
from registry.errors import RegistryFailed, RegistryUnreachable
from registry.mlflow_rest import Rest


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str | None]]]:
    """A server that always answers so; its address, and the Authorization header of each request it got."""
    logins: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logins.append(self.headers["Authorization"])
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", logins
        server.shutdown()


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login of whoever runs this."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", *mlflow_rest.FOREIGN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mlflow_rest, "CREDENTIALS", tmp_path / "credentials")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_before_a_server_that_is_down(status: int) -> None:
    """Its error page is not MLflow's answer: the server is down."""
    with answering(status, b"<html>Bad gateway</html>") as (url, _), pytest.raises(RegistryUnreachable, match=f"{url} does not answer"):
        Rest(url).call("GET", "registered-models/get", name="x")


@pytest.mark.parametrize("status", sorted(mlflow_rest.REDIRECTS))
def test_a_login_goes_nowhere_that_a_redirect_leads_to(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other host is not even asked; the error names it."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with answering(200, b"{}") as (other, stolen), answering(status, b"", Location=f"{other}/api") as (url, logins):
        with pytest.raises(RegistryFailed, match=f"{url} redirects to {other}/api. Set ROUTEMOA_MLFLOW_URL"):
            Rest(url).call("GET", "registered-models/get", name="x")
        with pytest.raises(RegistryFailed, match="redirects to"):
            Rest(url).file("run", "gate.json")
    assert (logins, stolen) == (["Bearer secret"] * 2, [])


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, b"<html>Welcome</html>", "answers, but not as MLflow does. Check ROUTEMOA_MLFLOW_URL"),
        (200, b"[]", "answers, but not as MLflow does"),
        (404, b"<html>Not here</html>", "HTTP 404: <html>Not here</html>"),
        (404, b"", "HTTP 404: no reason"),
        (401, b"Who are you?", "HTTP 401: Who are you.*Set MLFLOW_TRACKING_USERNAME"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "of its own"}', "HTTP 403: of its own Set MLFLOW_TRACKING_USERNAME"),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "of its own"}', "HTTP 500: of its own Read the server's log"),
        (400, b'{"error_code": "INVALID_STATE"}', "HTTP 400: .*INVALID_STATE"),
    ],
)
def test_every_answer_that_is_none_is_an_error_of_ours(status: int, body: bytes, says: str) -> None:
    """What MLflow, or whatever listens there, said, and what to do."""
    with answering(status, body) as (url, _), pytest.raises(RegistryFailed, match=says):
        Rest(url).call("GET", "registered-models/get", name="x")


def test_a_refusal_has_mlflows_code() -> None:
    """So that a missing model is told from a refused one."""
    body = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"}).encode()
    with answering(404, body) as (url, _), pytest.raises(RegistryFailed) as refused:
        Rest(url).call("GET", "registered-models/get", name="x")
    assert refused.value.code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("url", ["databricks", "sqlite:///mlflow.db", "file:///etc", ""])
def test_an_address_that_is_none(url: str) -> None:
    """Only an MLflow server is spoken to; nothing else is opened."""
    with pytest.raises(RegistryFailed, match=r"is not the address of an MLflow server. Set ROUTEMOA_MLFLOW_URL"):
        Rest(url).call("GET", "registered-models/get", name="x")


def test_it_logs_in_as_mlflows_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody, from the credentials file, by token, by name and password; the variables count before the file."""
    with answering(200, b"{}") as (url, logins):
        Rest(url).call("GET", "registered-models/get", name="x")
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
        Rest(url).call("GET", "registered-models/get", name="x")
        mlflow_rest.CREDENTIALS.write_text("[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = secret\n")
        Rest(url).call("GET", "registered-models/get", name="x")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
        Rest(url).call("GET", "registered-models/get", name="x")
    assert logins == [None, "Bearer t0ken", "Basic YW5uOnNlY3JldA==", "Basic Ym9iOnNlY3JldA=="]


def test_a_login_that_needs_mlflows_plug_ins_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than asking without one."""
    monkeypatch.setenv("MLFLOW_TRACKING_AWS_SIGV4", "true")
    with answering(200, b"{}") as (url, logins), pytest.raises(RegistryFailed, match="MLFLOW_TRACKING_AWS_SIGV4 is set"):
        Rest(url).call("GET", "registered-models/get", name="x")
    assert not logins


@pytest.mark.parametrize("code", ["INTERNAL_ERROR", "PERMISSION_DENIED", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"])
def test_every_exception_of_mlflow_is_translated(code: str) -> None:
    """No exception of the package's passes its door."""
    with pytest.raises(RegistryFailed, match="of its own"), mlflow_runs.translated("http://127.0.0.1:9"):
        raise RestException({"error_code": code, "message": "of its own"})
    with pytest.raises(RegistryFailed), mlflow_runs.translated("http://127.0.0.1:9"):
        raise MlflowException("anything else")
