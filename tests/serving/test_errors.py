"""Every error this platform can raise into a request has its row in the one table."""

import pytest

import mixture.errors
import monitoring.errors
import registry.errors
import scorer.errors
import serving.errors
from mixture.errors import LLMGarbled, LLMOverloaded, LLMRefused, NoAnswer
from mixture.run.account import Account, FailedCall
from scorer.errors import RouteMoAError, ScorerError
from serving.answers.recording import failure_tree
from serving.errors import TABLE, UNEXPECTED, body_of, headers_of, row_of

MODULES = (mixture.errors, monitoring.errors, registry.errors, scorer.errors, serving.errors)
ROOTS = {RouteMoAError, serving.errors.ServingError}


def test_every_error_class_has_a_row() -> None:
    """A class without a row would leave as an internal error: a new one must be named here."""
    classes = {
        value for module in MODULES for value in vars(module).values() if isinstance(value, type) and issubclass(value, RouteMoAError)
    }
    assert len(classes) > 30
    unmapped = {each.__name__ for each in classes - ROOTS if not any(issubclass(each, kind) for kind, _ in TABLE if kind not in ROOTS)}
    assert unmapped == set()


def test_no_row_is_shadowed() -> None:
    """Children stand before their parents."""
    for place, (kind, _) in enumerate(TABLE):
        assert not any(issubclass(kind, earlier) for earlier, _ in TABLE[:place]), kind


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NoAnswer("x", why="nobody"), 400, "no_capable_llm"),
        (NoAnswer("x", why="deadline"), 504, "deadline_exceeded"),
        (NoAnswer("x", why="failed"), 502, "no_answer"),
        (ScorerError("x"), 400, "query_not_scored"),
        (ZeroDivisionError("secret inside"), 500, "internal_error"),
    ],
)
def test_status_and_code(error, status, code) -> None:
    """What happened decides status and code; what is unexpected says nothing of the inside."""
    assert (row_of(error).status, body_of(error)["error"]["code"]) == (status, code)
    assert "secret" not in body_of(error)["error"]["message"]


def test_an_endpoints_4xx_is_the_callers_only_where_it_is_about_the_request() -> None:
    """400 from an endpoint is passed on; 401 (our key) is our fault; several LLMs must agree."""
    about_request, about_key = LLMRefused("a", "context"), LLMRefused("b", "key")
    about_request.status, about_key.status = 400, 401
    assert row_of(about_request).status == 400
    assert row_of(about_key).status == 502
    assert row_of(NoAnswer("x", failures=[about_request, about_request])).status == 400
    assert row_of(NoAnswer("x", failures=[about_request, about_key])).status == 502


def overloaded(status: int, retry_after_s: float | None = None, code: str | None = None) -> LLMOverloaded:
    failure = LLMOverloaded("a", f"HTTP {status}: slow down")
    failure.status, failure.retry_after_s, failure.code = status, retry_after_s, code
    return failure


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (overloaded(429, 59.2), 429, "rate_limit_exceeded", "60"),
        (overloaded(429, code="insufficient_quota"), 429, "insufficient_quota", "2"),
        (overloaded(503, 7.0), 503, "llm_overloaded", "7"),
        (NoAnswer("x", failures=[overloaded(429, 60.0), overloaded(429, 9.0)]), 429, "rate_limit_exceeded", "9"),
        (NoAnswer("x", failures=[overloaded(429, 60.0), overloaded(503)]), 503, "llm_overloaded", "60"),
        (NoAnswer("x", failures=[overloaded(429), LLMGarbled("b", "?")]), 502, "no_answer", None),
    ],
)
def test_a_rate_limit_stays_one_with_its_wait(error: Exception, status: int, code: str, retry_after: str | None) -> None:
    """Clients wait on 429 for as long as they are told; where several LLMs are overloaded, until the first can be asked."""
    told = (row_of(error).status, body_of(error)["error"]["code"], headers_of(error).get("Retry-After"))
    assert told == (status, code, retry_after)


def test_an_endpoints_code_and_field_reach_the_caller() -> None:
    """Clients act on context_length_exceeded; our own codes stay what metrics count."""
    too_long = LLMRefused("a", "HTTP 400: too long")
    too_long.status, too_long.code, too_long.param = 400, "context_length_exceeded", "messages"
    for error in (too_long, NoAnswer("x", failures=[too_long])):
        assert (row_of(error).code, body_of(error)["error"]["code"]) == ("request_refused_by_llm", "context_length_exceeded")
        assert body_of(error)["error"]["param"] == "messages"


def test_an_unexpected_error_is_500_in_the_schema(shared, monkeypatch) -> None:
    """A defect leaves as OpenAI's schema too."""
    from starlette.testclient import TestClient

    from serving.app import create_app

    app = create_app(shared.settings())
    with TestClient(app, headers={"Authorization": f"Bearer {shared.key}"}, raise_server_exceptions=False) as client:
        monkeypatch.setattr(app.state.serving, "pool", None)
        response = client.get("/v1/models")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == UNEXPECTED.code
    assert headers_of(ZeroDivisionError()) == {}


def test_a_kept_failure_repeats_an_endpoint_only_where_texts_are_stored() -> None:
    """A message may hold the beginning of a reply: without stored texts its class and HTTP status are all that is kept."""
    garbled, refused = LLMGarbled("a", "the reply is no JSON: 'secret'"), LLMRefused("b", "HTTP 400: secret")
    nobody = NoAnswer("Every LLM asked failed.", failures=[garbled, refused])
    account = Account(failed=[FailedCall(1, each, 0.1) for each in nobody.failures])
    kept = failure_tree(nobody, account, texts=False)
    assert kept["stopped_because"] == "Every LLM asked failed."
    assert [(each["llm"], each["error"], each["what"]) for each in kept["failures"]] == [
        ("a", "LLMGarbled", ""),
        ("b", "LLMRefused", "HTTP 400"),
    ]
    assert failure_tree(garbled, Account(), texts=False)["stopped_because"] == "LLMGarbled"
    assert "secret" in str(failure_tree(nobody, account, texts=True)["failures"])
    assert "secret" in failure_tree(garbled, account, texts=True)["stopped_because"]
