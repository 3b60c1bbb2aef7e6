"""What a caller is told of an error. Addresses of endpoints, paths of this host and names of its variables are for the log alone."""

from mixture.errors import LLMFailed, LLMGarbled, LLMRefused, LLMSetAside, LLMUnreachable, NoAnswer
from monitoring.errors import RecordNotKept, RecordsRefused
from scorer.errors import RouteMoAError

UNEXPECTED = "The server failed in a way nobody foresaw; its log says how."
OPERATORS_FAULT = frozenset({None, 401})  # not sent at all, or with a key that the endpoint does not take


def public_message(error: Exception) -> str:
    """`error` in words that say nothing of the server's inside."""
    if isinstance(error, NoAnswer):
        words = str(error)
        for failure in error.failures:
            words = words.replace(str(failure), public_message(failure))
        return words
    if isinstance(error, LLMRefused) and error.status in OPERATORS_FAULT:
        return f"{error.llm}: it cannot be asked as this server is set up; the server's log says why."
    if isinstance(error, LLMRefused | LLMGarbled):
        return error.what  # what to do next is for the operator
    if isinstance(error, LLMUnreachable) and not isinstance(error, LLMSetAside):
        return f"{error.llm}: no connection, or it broke before the answer was complete."
    if isinstance(error, RecordNotKept):
        return "The record of this request cannot be kept, so no answer may leave. Try again later; the server's log says why."
    if isinstance(error, RecordsRefused):
        return "Records cannot be read at present. Try again later; the server's log says why."
    return str(error) if isinstance(error, RouteMoAError) else UNEXPECTED


def private_facts(error: Exception) -> dict[str, str]:
    """By class what an operator needs that a caller is not told; never an endpoint's own words, which may repeat a prompt."""
    failures = error.failures if isinstance(error, NoAnswer) else (error,)
    facts = {}
    for failure in failures:
        if public_message(failure) == str(failure) or not isinstance(failure, RouteMoAError):
            continue
        words = str(failure)
        if isinstance(failure, LLMRefused) and failure.status is not None:  # those are the endpoint's
            words = f"HTTP {failure.status}. {failure.next_step}"
        elif isinstance(failure, LLMGarbled):
            words = f"{type(failure).__name__}. {failure.next_step}"
        facts[failure.llm if isinstance(failure, LLMFailed) else type(failure).__name__] = words
    return facts
