"""Errors as Anthropic's clients know them: the statuses of `serving.errors`, and by status the vendor's types."""

import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from mixture.errors import PromptTooLong
from serving.errors import ErrorRow, headers_of, row_of
from serving.json_answers import error_body, json_response

OVERLOADED = 529  # the vendor's own status: clients raise an error of its own for it
_OVERLOADED = frozenset({"overloaded", "llm_overloaded"})
TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    431: "invalid_request_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}


def status_of(row: ErrorRow) -> int:
    """The HTTP status: that of all dialects, but where somebody has too much to do."""
    return OVERLOADED if row.code in _OVERLOADED else row.status


def body(error: Exception, request_id: str) -> dict[str, Any]:
    """`error` in the vendor's schema; the field that it is about, and the code that all dialects have, stand beside the message."""
    row, told = row_of(error), error_body(error)["error"]
    shown = {"type": TYPES.get(status_of(row), "api_error"), "message": _message(error, told["message"]), "code": told["code"]}
    param = {} if told["param"] is None else {"param": told["param"]}
    return {"type": "error", "error": {**shown, **param}, "request_id": request_id}


def response(error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """`error` as a whole answer."""
    headers = dict(headers or {})
    request_id = headers.get("x-routemoa-decision") or uuid.uuid4().hex
    row = row_of(error)
    of_error = {**headers_of(error), "x-routemoa-error": row.code, "request-id": request_id}
    return json_response(body(error, request_id), status=status_of(row), headers={**of_error, **headers})


def _message(error: Exception, told: str) -> str:
    """What was told, or the vendor's words for a prompt that is too long: it has no code, so agents go by them."""
    return f"prompt is too long: {error.tokens} tokens > {error.most} maximum" if isinstance(error, PromptTooLong) else told
