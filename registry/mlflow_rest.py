"""MLflow's REST API, for what takes a moment: importing the `mlflow` package, as registry.mlflow_runs does, costs four seconds of CPU."""

import base64
import configparser
import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from registry.errors import RegistryFailed, RegistryUnreachable

API = "/api/2.0/mlflow/"
TIMEOUT_S = 30.0  # a server on a busy machine takes its time; one that is not there refuses at once
REDIRECTS = {301, 302, 303, 307, 308}
BEHIND_A_PROXY = {502, 503, 504}  # a proxy answers in place of a server that is down
CREDENTIALS = Path.home() / ".mlflow" / "credentials"
LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
FOREIGN = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")  # need MLflow's own plug-ins


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The standard library's would send the login along, to whatever host the answer names."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is an HTTPError."""


@dataclass(frozen=True, slots=True)
class Rest:
    """MLflow at `url`; logs in with MLFLOW_TRACKING_USERNAME and _PASSWORD (or `~/.mlflow/credentials`) or _TOKEN, as MLflow's client."""

    url: str

    def call(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """What MLflow answers to `path` (below `/api/2.0/mlflow/`). `fields`: the query of a GET, the JSON body of anything else.

        Raises RegistryUnreachable where it does not answer, RegistryFailed, with MLflow's `code`, where it refuses.
        """
        return self._parsed(self._fetch(self._request(method, path, fields)))

    def file(self, run_id: str, path: str) -> bytes:
        """A file that a run logged, by its path among the run's artifacts. Raises as `call` does."""
        return self._fetch(self._at(f"/get-artifact?{urlencode({'run_id': run_id, 'path': path})}"))

    def _fetch(self, request: urllib.request.Request) -> bytes:
        try:
            with _opener(self.url).open(request, timeout=TIMEOUT_S) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as exc:
            with exc:
                body = exc.read()
            if exc.code in BEHIND_A_PROXY:
                raise unreachable(self.url) from exc
            if exc.code in REDIRECTS:
                raise _redirected(self.url, exc.headers["Location"]) from exc
            raise self._refusal(exc.code, body) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise unreachable(self.url) from exc

    def _request(self, method: str, path: str, fields: Mapping[str, Any]) -> urllib.request.Request:
        if method == "GET":
            return self._at(f"{API}{path}?{urlencode(fields)}")
        return self._at(f"{API}{path}", method=method, data=json.dumps(fields).encode())

    def _at(self, path: str, *, method: str = "GET", data: bytes | None = None) -> urllib.request.Request:
        if not self.url.startswith(("http://", "https://")):
            raise RegistryFailed(
                f"{self.url!r} is not the address of an MLflow server.", next_step="Set ROUTEMOA_MLFLOW_URL to http(s)://..."
            )
        headers = {"Content-Type": "application/json", **_authorization()}
        return urllib.request.Request(f"{self.url.rstrip('/')}{path}", method=method, data=data, headers=headers)  # noqa: S310  http(s), checked

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RegistryFailed(f"{self.url} answers, but not as MLflow does.", next_step="Check ROUTEMOA_MLFLOW_URL.")
        return answer

    def _refusal(self, status: int, body: bytes) -> RegistryFailed:
        try:
            answer = json.loads(body)
            code, message = str(answer["error_code"]), str(answer["message"])
        except (ValueError, KeyError, TypeError):
            code, message = "", body[:200].decode(errors="replace") or "no reason"
        next_step = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN." if status in {401, 403} else ""
        return RegistryFailed(f"MLflow at {self.url}: HTTP {status}: {message}", next_step=next_step or "Read the server's log.", code=code)


def unreachable(url: str) -> RegistryUnreachable:
    """The error for a server that does not answer."""
    next_step = "Start it with `routemoa up` or `python -m registry.server`, or set ROUTEMOA_MLFLOW_URL."
    return RegistryUnreachable(f"MLflow at {url} does not answer.", next_step=next_step)


def _redirected(url: str, location: str | None) -> RegistryFailed:
    next_step = "Set ROUTEMOA_MLFLOW_URL to the server's own address; a login is not sent to where a redirect leads."
    return RegistryFailed(f"MLflow at {url} redirects to {location}.", next_step=next_step)


def _opener(url: str) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=_tls(url)), _NoRedirects)


def _authorization() -> dict[str, str]:
    foreign = [name for name in FOREIGN if os.environ.get(name, "").lower() not in {"", "false"}]
    if foreign:
        raise RegistryFailed(f"{foreign[0]} is set, and that way to log in is not supported.", next_step="Use MLFLOW_TRACKING_TOKEN.")
    kept = configparser.ConfigParser()
    kept.read(CREDENTIALS, encoding="utf-8")
    user, password = (os.environ.get(name) or kept.get("mlflow", name.lower(), fallback=None) for name in LOGIN)
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user and password:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls(url: str) -> ssl.SSLContext | None:
    if not url.startswith("https://"):
        return None
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE"))
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"true", "1"}:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if own := os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(own)
    return context
