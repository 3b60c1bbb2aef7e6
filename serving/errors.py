"""What can go wrong between HTTP and an answer, and the one table that gives every error its HTTP status and OpenAI code."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixture import errors as mixture
from mixture.choose.options import OptionsRefused
from monitoring import errors as monitoring
from registry import errors as registry
from scorer.errors import RouteMoAError, ScorerError
from serving.public_message import public_message


class ServingError(RouteMoAError):
    """Anything wrong with a request or with the server itself. `param` is the request's field it is about."""

    def __init__(self, what: str, *, next_step: str = "", param: str | None = None) -> None:
        super().__init__(what, next_step=next_step)
        self.param = param


class RequestRefused(ServingError):
    """A request that is not what its schema says."""


class RequestTooLarge(ServingError):
    """A body of more bytes than the operator allows."""


class HeadersTooLarge(ServingError):
    """Headers of more bytes than the operator allows."""


class RequestTooSlow(ServingError):
    """Headers or a body that did not arrive in time."""


class KeyRefused(ServingError):
    """No API key, or one this server does not know."""


class ScopeMissing(ServingError):
    """A key that may not do this."""


class ModelUnknown(ServingError):
    """A `model` that is neither virtual nor an LLM of the pool that can be called; names the near ones."""


class DecisionUnknown(ServingError):
    """A decision id that no record has."""


class PreviousResponseUnknown(ServingError):
    """A response id that is not kept for this key: unknown, another key's, or too long ago."""


class ResponsesUnavailable(ServingError):
    """What was kept of responses cannot be reached."""


class OutcomeAudited(ServingError):
    """A report of an answer that an audit has graded already."""


class NotFound(ServingError):
    """No such address."""


class MethodRefused(ServingError):
    """An address that exists, asked with another method."""


class NotReady(ServingError):
    """No scorer is loaded yet; nothing is ever routed at random."""


class Overloaded(ServingError):
    """More requests in flight than the operator allows."""


class LLMNotAllowed(ServingError):
    """An LLM of the pool that this key may not use."""


class RateExceeded(ServingError):
    """More requests or tokens than this key may send a minute. headers: how it stands, as OpenAI's clients know it."""

    def __init__(
        self, what: str, *, next_step: str = "", kind: str = "requests", retry_after_s: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what, next_step=next_step)
        self.kind, self.retry_after_s, self.headers = kind, retry_after_s, dict(headers or {})


class BudgetSpent(ServingError):
    """A key's budget, or the platform's, has no room for the worst case of this request. retry_after_s: None where it never will have."""

    def __init__(self, what: str, *, next_step: str = "", retry_after_s: int | None = 2) -> None:
        super().__init__(what, next_step=next_step)
        self.retry_after_s = retry_after_s


class BudgetsUnavailable(ServingError):
    """Budgets cannot be counted, so nothing under one is spent."""


class SessionsUnavailable(ServingError):
    """Sessions cannot be read or kept: requests are answered as if they had none."""


class RatesUnavailable(ServingError):
    """Requests and tokens cannot be counted where the operator wants them to be."""


class Stopping(ServingError):
    """The server stops, and the time that requests in flight had to end is over."""


class KeyNameTaken(ServingError):
    """A name for a new API key that another one has."""


class KeyNameUnknown(ServingError):
    """A name that no API key has."""


class KeysRefused(ServingError):
    """API keys that cannot be read or changed where they are kept, or a key that is none."""


class FileUnreadable(ServingError):
    """A followed file whose reader failed in a way it does not know."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How one class of errors leaves the server: HTTP status, OpenAI `type` and `code`, seconds for Retry-After."""

    status: int
    type: str
    code: str
    retry_after_s: int | None = None


CALLER, SERVER = "invalid_request_error", "server_error"
UNEXPECTED = ErrorRow(500, SERVER, "internal_error")
TOO_LONG = ErrorRow(400, CALLER, "context_length_exceeded")  # as OpenAI has it: by it clients shorten their history
OVERLOADED = ErrorRow(503, "rate_limit_error", "llm_overloaded", retry_after_s=2)

# The first row whose class matches decides, so children stand before their parents.
TABLE: tuple[tuple[type[Exception], ErrorRow], ...] = (
    (RequestTooLarge, ErrorRow(413, CALLER, "request_too_large")),
    (HeadersTooLarge, ErrorRow(431, CALLER, "headers_too_large")),
    (RequestTooSlow, ErrorRow(408, CALLER, "request_too_slow")),
    (RequestRefused, ErrorRow(400, CALLER, "invalid_request")),
    (OptionsRefused, ErrorRow(400, CALLER, "invalid_options")),
    (KeyRefused, ErrorRow(401, "authentication_error", "invalid_api_key")),
    (ScopeMissing, ErrorRow(403, "permission_error", "insufficient_scope")),
    (LLMNotAllowed, ErrorRow(403, "permission_error", "llm_not_allowed")),
    (RateExceeded, ErrorRow(429, "rate_limit_error", "rate_limit_exceeded", retry_after_s=1)),
    (BudgetSpent, ErrorRow(429, "insufficient_quota", "insufficient_quota", retry_after_s=2)),
    (BudgetsUnavailable, ErrorRow(503, SERVER, "budgets_unavailable", retry_after_s=5)),
    (SessionsUnavailable, ErrorRow(503, SERVER, "sessions_unavailable", retry_after_s=5)),
    (RatesUnavailable, ErrorRow(503, SERVER, "rates_unavailable", retry_after_s=5)),
    (ModelUnknown, ErrorRow(404, CALLER, "model_not_found")),
    (DecisionUnknown, ErrorRow(404, CALLER, "decision_not_found")),
    (PreviousResponseUnknown, ErrorRow(400, CALLER, "previous_response_not_found")),
    (ResponsesUnavailable, ErrorRow(503, SERVER, "responses_unavailable", retry_after_s=5)),
    (OutcomeAudited, ErrorRow(409, CALLER, "already_audited")),
    (NotFound, ErrorRow(404, CALLER, "not_found")),
    (MethodRefused, ErrorRow(405, CALLER, "method_not_allowed")),
    (NotReady, ErrorRow(503, SERVER, "not_ready", retry_after_s=2)),
    (Overloaded, ErrorRow(503, "rate_limit_error", "overloaded", retry_after_s=1)),
    (Stopping, ErrorRow(503, SERVER, "server_stopping", retry_after_s=1)),
    (KeyNameTaken, ErrorRow(409, CALLER, "key_name_taken")),
    (KeyNameUnknown, ErrorRow(404, CALLER, "key_not_found")),
    (KeysRefused, ErrorRow(500, SERVER, "keys_refused")),
    (FileUnreadable, ErrorRow(500, SERVER, "file_unreadable")),
    (mixture.LLMTimedOut, ErrorRow(504, SERVER, "llm_timed_out")),
    (mixture.LLMOverloaded, OVERLOADED),
    (mixture.LLMSetAside, ErrorRow(503, SERVER, "llm_set_aside", retry_after_s=5)),
    (mixture.LLMUnreachable, ErrorRow(502, SERVER, "llm_unreachable")),
    (mixture.LLMRefused, ErrorRow(502, SERVER, "llm_refused")),
    (mixture.LLMGarbled, ErrorRow(502, SERVER, "llm_garbled")),
    (mixture.LLMFailed, ErrorRow(502, SERVER, "llm_failed")),
    (mixture.PromptTooLong, TOO_LONG),
    (mixture.NoAnswer, ErrorRow(502, SERVER, "no_answer")),
    (mixture.MixtureError, ErrorRow(502, SERVER, "no_answer")),
    (registry.LLMUnknown, ErrorRow(404, CALLER, "model_not_found")),
    (registry.PoolRefused, ErrorRow(400, CALLER, "llm_refused")),
    (registry.JoiningRefused, ErrorRow(400, CALLER, "llm_refused")),
    (registry.JobUnknown, ErrorRow(404, CALLER, "job_not_found")),
    (registry.JobEnded, ErrorRow(409, CALLER, "job_ended")),
    (registry.JobRefused, ErrorRow(503, SERVER, "jobs_unavailable", retry_after_s=5)),
    (registry.PromotionRefused, ErrorRow(409, CALLER, "promotion_refused")),
    (registry.VersionUnknown, ErrorRow(404, CALLER, "version_not_found")),
    (registry.PriceUnknown, ErrorRow(404, CALLER, "price_unknown")),
    (registry.RegistryUnreachable, ErrorRow(503, SERVER, "registry_unreachable", retry_after_s=5)),
    (registry.RegistryError, ErrorRow(400, CALLER, "registry_refused")),
    (monitoring.AuditUnknown, ErrorRow(404, CALLER, "audit_not_found")),
    (monitoring.AuditClaimed, ErrorRow(409, CALLER, "audit_claimed")),
    (monitoring.GroupUnknown, ErrorRow(404, CALLER, "group_not_found")),
    (monitoring.RecordNotKept, ErrorRow(503, SERVER, "record_not_kept", retry_after_s=5)),
    (monitoring.RecordRefused, ErrorRow(400, CALLER, "record_refused")),
    (monitoring.MonitoringError, ErrorRow(503, SERVER, "records_unavailable", retry_after_s=5)),
    (ScorerError, ErrorRow(400, CALLER, "query_not_scored")),
    (RouteMoAError, UNEXPECTED),
)
NO_ANSWER = {
    "nobody": ErrorRow(400, CALLER, "no_capable_llm"),
    "too_long": TOO_LONG,
    "budget": ErrorRow(400, CALLER, "budget_exceeded"),
    "deadline": ErrorRow(504, SERVER, "deadline_exceeded"),
}
SOON_S = 60  # a longer wait is nothing that a client should do by itself
CALLERS_FAULT = frozenset({400, 413, 422})  # statuses by which an endpoint says that the request itself is wrong
REQUEST_REFUSED = ErrorRow(400, CALLER, "request_refused_by_llm")
RATE_LIMITED = ErrorRow(429, "rate_limit_error", "rate_limit_exceeded", retry_after_s=2)


def row_of(error: Exception) -> ErrorRow:
    """How `error` leaves the server; one that LLMs ran into, as they all say."""
    if isinstance(error, mixture.NoAnswer) and error.why in NO_ANSWER:
        return NO_ANSWER[error.why]
    if failures := _failures(error):
        if all(_callers_fault(failure) for failure in failures):
            return REQUEST_REFUSED
        if all(isinstance(failure, mixture.LLMOverloaded) for failure in failures):
            return RATE_LIMITED if all(failure.status == RATE_LIMITED.status for failure in failures) else OVERLOADED
    return next((row for kind, row in TABLE if isinstance(error, kind)), UNEXPECTED)


def body_of(error: Exception) -> dict[str, Any]:
    """`error` in OpenAI's schema; what is unexpected says nothing of the server's inside.

    Where the fault is the caller's, `code` and `param` are the endpoint's, which clients know (context_length_exceeded).
    """
    row = row_of(error)
    told_by = _failures(error)[0] if row in {REQUEST_REFUSED, RATE_LIMITED} else None
    code = row.code if told_by is None else told_by.code or row.code
    param = getattr(error, "param", None) if told_by is None else told_by.param
    return {"error": {"message": public_message(error), "type": row.type, "param": param, "code": code}}


def headers_of(error: Exception) -> dict[str, str]:
    """Further headers of the answer."""
    row = row_of(error)
    never = isinstance(error, BudgetSpent) and error.retry_after_s is None
    headers = {} if row.retry_after_s is None or never else {"Retry-After": str(_retry_after_s(error) or row.retry_after_s)}
    if isinstance(error, RateExceeded):
        headers |= error.headers
    if isinstance(error, BudgetSpent) and (error.retry_after_s or math.inf) > SOON_S:
        headers["x-should-retry"] = "false"  # OpenAI's clients would ask again at once, and be refused again
    if row.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def _failures(error: Exception) -> Sequence[mixture.LLMFailed]:
    """The failures of LLMs that `error` comes from."""
    if isinstance(error, mixture.LLMFailed):
        return (error,)
    return error.failures if isinstance(error, mixture.NoAnswer) and error.why == "failed" else ()


def _retry_after_s(error: Exception) -> int | None:
    """Whole seconds until a limit has room again, or the first of the overloaded LLMs wants to be asked; None where nobody says so."""
    if isinstance(error, RateExceeded | BudgetSpent):
        return error.retry_after_s
    waits_s = [each.retry_after_s for each in _failures(error) if isinstance(each, mixture.LLMOverloaded) and each.retry_after_s]
    return math.ceil(min(waits_s)) if waits_s else None


def _callers_fault(error: Exception) -> bool:
    return isinstance(error, mixture.LLMRefused) and error.status in CALLERS_FAULT
