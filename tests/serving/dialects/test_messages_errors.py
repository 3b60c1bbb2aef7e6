"""Every error leaves in Anthropic's schema, with a type that its clients know; refusals before a route, too."""

from collections.abc import Iterator
from typing import get_args

import anthropic
import orjson
import pytest
from anthropic import Anthropic
from anthropic.types.shared.error_type import ErrorType
from routing_client import ready
from starlette.testclient import TestClient
from world import World

from mixture.errors import NoAnswer
from scorer.errors import RouteMoAError
from serving.dialects import messages_errors
from serving.dialects.spoken import MESSAGES
from serving.errors import TABLE, ServingError

KNOWN = {*get_args(ErrorType), "request_too_large"}  # the last by the vendor's documentation alone
ASK = [{"role": "user", "content": "x" * 2000}]


@pytest.mark.parametrize("kind", [kind for kind, _ in TABLE], ids=lambda kind: kind.__name__)
def test_every_row_has_a_type_that_clients_know(kind: type[Exception]) -> None:
    """Each is said with a message, our code, and an id; the status is the table's, or the vendor's own for an overload."""
    error = kind("llm", "went wrong") if "llm" in getattr(kind.__init__, "__annotations__", {}) else kind("went wrong")
    answer = messages_errors.response(error)
    body = orjson.loads(answer.body)
    row = next(row for each, row in TABLE if each is kind)
    assert body["type"] == "error"
    assert body["error"]["type"] in KNOWN
    assert body["error"]["code"] == row.code == answer.headers["x-routemoa-error"]
    assert body["request_id"] == answer.headers["request-id"]
    assert answer.status_code in {row.status, messages_errors.OVERLOADED}
    assert (answer.status_code == 529) == (row.code in {"overloaded", "llm_overloaded"})


@pytest.mark.parametrize("error", [NoAnswer("x", why="nobody"), ZeroDivisionError("secret inside"), ServingError("x"), RouteMoAError("x")])
def test_what_is_unexpected_says_nothing_of_the_inside(error: Exception) -> None:
    """In a stream, too."""
    event = MESSAGES.error_event(error)
    assert event.startswith(b"event: error\ndata: ")
    assert b"secret" not in event


@pytest.fixture
def small(world: World) -> Iterator[TestClient]:
    """A server that takes little."""
    yield from ready(world, max_request_bytes=1024)


def test_refusals_before_a_route(small: TestClient, world: World) -> None:
    """A body that is too large, a key without the scope, a method and an address that are none."""
    official = Anthropic(api_key=world.key, base_url="http://testserver", http_client=small, max_retries=0)
    with pytest.raises(anthropic.ContentTooLargeError) as caught:
        official.messages.create(model="echo", max_tokens=9, messages=ASK)
    assert caught.value.type == "request_too_large"
    for method, path, status in (("GET", "/v1/messages", 405), ("POST", "/v1/messages/batches", 404)):
        answer = small.request(method, path, json={})
        assert answer.status_code == status
        assert answer.json()["type"] == "error"
