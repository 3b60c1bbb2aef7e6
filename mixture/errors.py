"""What can go wrong while LLMs are asked and their answers combined."""

from collections.abc import Sequence
from typing import Literal

from scorer.errors import RouteMoAError

Why = Literal["failed", "deadline", "budget", "nobody", "too_long"]


class MixtureError(RouteMoAError):
    """Anything wrong between a decision and its answer."""


class LLMFailed(MixtureError):
    """One call to one LLM brought no usable answer; `llm` is its id.

    billable: whether the endpoint may charge for it all the same. paid: USD, input and output tokens of a reply that came and was of no
    use. status, code, param: of the endpoint's error (HTTP, OpenAI's), where it sent them. took_s: seconds until it was known.
    """

    retryable = False
    billable = True
    paid: tuple[float, int, int] = (0.0, 0, 0)
    status: int | None = None
    code: str | None = None
    param: str | None = None
    took_s: float = 0.0

    def __init__(self, llm: str, what: str, *, next_step: str = "") -> None:
        super().__init__(f"{llm}: {what}", next_step=next_step)
        self.llm = llm


class LLMUnreachable(LLMFailed):
    """No connection, or it broke before an answer was complete."""

    retryable = True


class LLMSetAside(LLMUnreachable):
    """Not asked: the endpoint failed too often in a row and is left alone for a while."""

    retryable = False
    billable = False


class LLMTimedOut(LLMFailed):
    """A limit passed (connect, first token, between chunks, total), or it took so long that it was given up.

    waited_s: seconds that its answer was waited for.
    """

    waited_s: float = 0.0


class LLMCutOff(LLMTimedOut):
    """The request ended before the LLM was late: its deadline passed, or the others had answered. No fault of the endpoint."""


class LLMOverloaded(LLMFailed):
    """HTTP 429, or 5xx that says try later; `retry_after_s` is the wait the endpoint asked for, if it did."""

    retryable = True
    billable = False
    retry_after_s: float | None = None


class LLMRefused(LLMFailed):
    """HTTP 4xx: the endpoint will not take this request (key, served name, context too long)."""

    billable = False


class LLMGarbled(LLMFailed):
    """The reply is not what the OpenAI protocol promises."""


class NoAnswer(MixtureError):
    """Every LLM that could have answered failed, or no LLM satisfies what the request asks for.

    why: "nobody" fits the request, or nobody because it is "too_long"; all "failed", or the "deadline" or "budget" ran out before the first
    answer.
    failures: what each LLM that was asked ran into.
    """

    def __init__(self, what: str, *, why: Why = "failed", failures: Sequence[LLMFailed] = (), next_step: str = "") -> None:
        super().__init__(what, next_step=next_step)
        self.why = why
        self.failures = tuple(failures)


class PromptTooLong(NoAnswer):
    """The prompt fits no LLM that could answer it otherwise. tokens: of the prompt, about; most: of the longest context window."""

    def __init__(self, what: str, *, tokens: int = 0, most: int = 0, next_step: str = "") -> None:
        super().__init__(what, why="too_long", next_step=next_step)
        self.tokens = tokens
        self.most = most
