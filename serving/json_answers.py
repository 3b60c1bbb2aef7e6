"""JSON answers and error answers, made in one place."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
import structlog
from starlette.responses import Response

from serving.errors import body_of, headers_of, row_of
from serving.public_message import private_facts

log = structlog.get_logger("serving")


def json_response(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as JSON; numbers that are not finite become null."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))


def error_body(error: Exception) -> dict[str, Any]:
    """`error` in OpenAI's schema; what callers are not told of it goes to the log."""
    if facts := private_facts(error):
        with suppress(OSError):  # a full disk
            log.warning("not told the caller", code=row_of(error).code, because=facts)
    return body_of(error)


def error_response(error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """`error` in OpenAI's schema with the status of `serving.errors.TABLE`."""
    row = row_of(error)
    return json_response(
        error_body(error), status=row.status, headers={**headers_of(error), "x-routemoa-error": row.code, **(headers or {})}
    )
