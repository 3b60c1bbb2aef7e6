"""httpx2's exceptions as ours: the whole table, so that none gets past the client."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2

from mixture.client.complaints import quoted
from mixture.errors import LLMFailed, LLMGarbled, LLMRefused, LLMTimedOut, LLMUnreachable
from mixture.llm import LLM

# The first row whose class matches decides, so children stand before their parents.
TRANSLATED: tuple[tuple[type[Exception], type[LLMFailed], str], ...] = (
    (httpx2.TimeoutException, LLMTimedOut, "did not answer in time"),
    (httpx2.SSEError, LLMGarbled, "sent something else than an event stream"),
    (httpx2.DecodingError, LLMGarbled, "sent a body that cannot be decoded"),
    (httpx2.RemoteProtocolError, LLMUnreachable, "broke off before the reply was complete"),
    (httpx2.ConnectError, LLMUnreachable, "does not take connections"),
    (httpx2.NetworkError, LLMUnreachable, "lost the connection"),
    (httpx2.ProxyError, LLMUnreachable, "is behind a proxy that refuses"),
    (httpx2.LocalProtocolError, LLMRefused, "cannot be sent this request"),
    (httpx2.UnsupportedProtocol, LLMRefused, "has a base_url that is not http(s)"),
    (httpx2.InvalidURL, LLMRefused, "has a base_url that is no URL"),
    (httpx2.TooManyRedirects, LLMRefused, "redirects"),
    (httpx2.HTTPStatusError, LLMRefused, "refuses"),
    (httpx2.CookieConflict, LLMGarbled, "sent cookies that contradict each other"),
    (httpx2.StreamError, LLMUnreachable, "closed the stream"),
)

# Their messages hold bytes of the answer.
QUOTING = (httpx2.SSEError, httpx2.DecodingError, httpx2.RemoteProtocolError, httpx2.CookieConflict)

UNFORESEEN = "its answer made the client fail"

# What fails before the request has left costs nothing.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


def translate(exc: Exception, llm: LLM) -> LLMFailed:
    """Our error for one of httpx2's; the URL is named. Neither the request nor what the endpoint sent is, which may repeat it."""
    for vendor, ours, what in TRANSLATED:
        if isinstance(exc, vendor):
            url = llm.endpoint.base_url if llm.endpoint else "nowhere"
            ours_alone = str(exc) and not isinstance(exc, QUOTING)
            detail = f"{type(exc).__name__}: {quoted(llm, str(exc))}" if ours_alone else type(exc).__name__
            failed = ours(llm.id, f"{url} {what} ({detail}).", next_step="Check that the endpoint runs, and base_url in pool.yaml.")
            failed.billable = failed.billable and not isinstance(exc, NEVER_SENT)
            return failed
    raise exc


@asynccontextmanager
async def translated(llm: LLM) -> AsyncGenerator[None]:
    """Turns every exception of httpx2 that leaves the block into ours; one that nobody foresaw is the failure of that LLM too."""
    try:
        yield
    except LLMFailed:
        raise
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.CookieConflict, httpx2.StreamError) as exc:
        raise translate(exc, llm) from exc
    except Exception as exc:
        raise LLMGarbled(llm.id, f"{UNFORESEEN} ({type(exc).__name__}).", next_step="Report it with the endpoint's name.") from exc
