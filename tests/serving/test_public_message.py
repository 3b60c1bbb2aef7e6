"""Callers are told what concerns them; addresses, paths and names of variables are for the log."""

import pytest

from mixture.errors import LLMOverloaded, LLMRefused, LLMSetAside, LLMTimedOut, LLMUnreachable, NoAnswer
from monitoring.errors import RecordNotKept, RecordRefused, RecordsRefused
from serving.public_message import private_facts, public_message

SECRETS = ("http://10.0.0.7:8000", "VENDOR_KEY", "/srv/routemoa")


def refused(what: str, status: int | None) -> LLMRefused:
    error = LLMRefused("small", what, next_step="Check base_url in pool.yaml.")
    error.status = status
    return error


INSIDE = [
    LLMUnreachable("small", "http://10.0.0.7:8000 cannot be reached (ConnectError).", next_step="Check base_url in pool.yaml."),
    refused("the environment variable VENDOR_KEY is not set.", None),
    refused("HTTP 401: VENDOR_KEY of http://10.0.0.7:8000 is no key", 401),
    RecordNotKept("/srv/routemoa/var/records.db: record not kept (disk full)."),
    RecordsRefused("/srv/routemoa/var/records.db: cannot be read."),
    ValueError("/srv/routemoa"),
]


@pytest.mark.parametrize("error", [*INSIDE, NoAnswer(" ".join(["No LLM answered.", *map(str, INSIDE[:3])]), failures=INSIDE[:3])])
def test_the_inside_is_not_told(error: Exception) -> None:
    """Also where one message repeats several."""
    message = public_message(error)
    assert message
    assert not [secret for secret in SECRETS if secret in message]
    assert "base_url" not in message


@pytest.mark.parametrize(
    "error",
    [
        LLMTimedOut("small", "no answer within 2.0 s (total_s)."),
        LLMOverloaded("small", "HTTP 429: slow down"),
        LLMSetAside("small", "failed too often"),
        RecordRefused("Outcome 2 is outside [0, 1]."),
    ],
)
def test_what_concerns_the_caller_is_told(error: Exception) -> None:
    """As it was written, and nothing is left for the log."""
    assert public_message(error) == str(error)
    assert private_facts(error) == {}


def test_a_refused_request_is_told_in_the_endpoints_words() -> None:
    """The advice beside them is the operator's."""
    assert public_message(refused("HTTP 400: the context is too long", 400)) == "small: HTTP 400: the context is too long"


def test_the_log_says_the_rest_without_an_endpoints_words() -> None:
    """By LLM; what an endpoint said may repeat a prompt."""
    facts = private_facts(NoAnswer("No LLM answered.", failures=[INSIDE[0], refused("HTTP 404: I do not know: SECRET PROMPT", 404)]))
    assert facts == {"small": "HTTP 404. Check base_url in pool.yaml."}
    assert "VENDOR_KEY is not set" in private_facts(INSIDE[1])["small"]
