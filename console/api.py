"""The console's only way to the server: its public HTTP API, with the key of the person who signed in."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from console.errors import NotOffered, ServerRefused, ServerSilent

TIMEOUT = httpx2.Timeout(150.0, connect=5.0)  # an LLM's answer, or a probe, may take two minutes
ABSENT = "not_found"  # the server's code for an address that it does not have


@dataclass(frozen=True, slots=True)
class Api:
    """The server as one key sees it. Every method raises ServerSilent, ServerRefused and NotOffered."""

    client: httpx2.AsyncClient
    key: str

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON at `path`; query fields that are None or empty are left out, a list is a field for each of its values."""
        return await self._call("GET", path, params=_said(query))

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the server answers to `body`."""
        return await self._call("POST", path, json=dict(body or {}))

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """What the server answers to a change."""
        return await self._call("PATCH", path, json=dict(body))

    async def delete(self, path: str, **query: Any) -> Any:
        """What the server answers to a removal; query fields as of `get`."""
        return await self._call("DELETE", path, params=_said(query))

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The events of a stream, in order; one that is an error is raised."""
        async with _translated(), self.client.stream("POST", path, json=dict(body), headers=self._headers) as response:
            if response.status_code >= 400:
                await response.aread()
                raise _refusal(response)
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                event = orjson.loads(line.removeprefix("data: "))
                if "error" in event:
                    raise ServerRefused(str(event["error"].get("message")), code=str(event["error"].get("code")))
                yield event

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        async with _translated():
            response = await self.client.request(method, path, headers=self._headers, **request)
            if response.status_code >= 400:
                raise _refusal(response)
            return orjson.loads(response.content)


def _said(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None and value != ""}


def connect(url: str) -> httpx2.AsyncClient:
    """Connections to the server at `url`, shared by everybody who is signed in; proxies of the environment are not for them."""
    return httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False, follow_redirects=False)


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    try:
        yield
    except httpx2.TimeoutException as exc:
        raise ServerSilent("The server did not answer in time.", next_step="It may be busy: try again.") from exc
    except httpx2.HTTPError as exc:
        raise ServerSilent("The server cannot be reached.", next_step="Start it with `routemoa up`, or set ROUTEMOA_SERVER_URL.") from exc
    except orjson.JSONDecodeError as exc:
        raise ServerSilent("What answers is not a RouteMoA server.", next_step="Check ROUTEMOA_SERVER_URL.") from exc


def _refusal(response: httpx2.Response) -> ServerRefused:
    try:
        error = orjson.loads(response.content)["error"]
        what, code = str(error["message"]), str(error["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        what, code = f"The server answered HTTP {response.status_code}.", ""
    absent = response.status_code in {404, 405} and code in {ABSENT, "method_not_allowed", ""}
    return (NotOffered if absent else ServerRefused)(what, status=response.status_code, code=code)
