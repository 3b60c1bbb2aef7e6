"""Which of our errors a bad answer is."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mixture.client.complaints import Complaint, quoted
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused
from mixture.llm import LLM

LONGEST_RETRY_AFTER_S = 86_400.0
NEVER_BETTER = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})  # 429 until somebody pays


def of_status(llm: LLM, status: int, content: bytes, retry_after: str | None) -> LLMFailed:
    """The error that an answer with this HTTP status is."""
    if 300 <= status < 400:
        return LLMRefused(llm.id, f"HTTP {status}: redirects are not followed.", next_step="Write the final base_url in pool.yaml.")
    return _failure(llm, status, Complaint.inside(content), retry_after)


def inside(llm: LLM, complaint: Complaint) -> LLMFailed:
    """The error that some endpoints send where a reply belongs."""
    return _failure(llm, complaint.status or 500, complaint, None)


def garbled(llm: LLM, what: str) -> LLMGarbled:
    """A reply that cannot be read. `what` must not quote it: whatever an endpoint sends with a 200 may be anybody's words, or our key."""
    return LLMGarbled(llm.id, what, next_step="Check that base_url in pool.yaml is an OpenAI-compatible endpoint.")


def _failure(llm: LLM, status: int, complaint: Complaint, retry_after: str | None) -> LLMFailed:
    what = f"HTTP {status}: {quoted(llm, complaint.words)}"
    failed: LLMOverloaded | LLMRefused
    if status == 429 or status >= 500:
        failed = LLMOverloaded(llm.id, what, next_step="Try again later, or lower limits.concurrency in pool.yaml.")
        failed.retry_after_s = _seconds(retry_after)
        failed.retryable = complaint.code not in NEVER_BETTER
    else:
        failed = LLMRefused(llm.id, what, next_step="Check base_url, served_name and the key in pool.yaml, and the request's fields.")
    failed.status = status
    failed.code = None if complaint.code is None or quoted(llm, complaint.code) != complaint.code else complaint.code
    failed.param = None if complaint.param is None or quoted(llm, complaint.param) != complaint.param else complaint.param
    return failed


def _seconds(retry_after: str | None) -> float | None:
    """The wait that a Retry-After header asks for, in seconds or as a date."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            at = parsedate_to_datetime(retry_after)
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S) if seconds == seconds else None  # noqa: PLR0124 - NaN is no wait
