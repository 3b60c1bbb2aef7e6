"""JSON answers and error answers, made in one place."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from serving.errors import body_of, headers_of, row_of


def json_response(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as JSON; numbers that are not finite become null."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))


def error_response(error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """`error` in OpenAI's schema with the status of `serving.errors.TABLE`."""
    row = row_of(error)
    return json_response(body_of(error), status=row.status, headers={**headers_of(error), "x-routemoa-error": row.code, **(headers or {})})
