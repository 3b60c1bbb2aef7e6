"""Which LLMs gave no answer lately, in this process: they are stepped over for a while, so that not every request waits for them anew."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mixture.choose.ranking import PATIENCE, Candidate
from mixture.client.protocol import Reply
from mixture.errors import LLMCutOff, LLMFailed, LLMTimedOut

LATE_IN_A_ROW = 3  # of an LLM that answered before: one long answer says nothing
LEAST_SILENCE_S = 1.0  # of one that never answered: a shorter wait says more about its caller's deadline
COOL_DOWN_S = 10.0  # that a silent LLM is stepped over; twice as long after each further time
LONGEST_COOL_DOWN_S = 300.0
LEAST_PATIENCE_S = 10.0  # with an LLM that never answered: the best are often slower than the others
OTHERS = 2 * PATIENCE  # times what an answer of another LLM takes, for the same reason


@dataclass(frozen=True, slots=True)
class Silence:
    """calls: without an answer, in a row. since: of the last, monotonic seconds. waited_s: the longest that one was waited for."""

    calls: int
    since: float
    waited_s: float


@dataclass(slots=True)
class Silences:
    """By LLM id; an answer ends a silence."""

    _answered_in_s: dict[str, float] = field(default_factory=dict)
    _silent: dict[str, Silence] = field(default_factory=dict)

    def note(self, replies: Iterable[Reply], failed: Iterable[LLMFailed], now: float) -> None:
        """Takes in the calls of one request. now: monotonic seconds."""
        for error in failed:
            if isinstance(error, LLMTimedOut) and not isinstance(error, LLMCutOff):
                self._note_late(error, now)
        for reply in replies:
            self._answered_in_s[reply.llm] = reply.latency_s
            self._silent.pop(reply.llm, None)

    def applied(self, candidate: Candidate, now: float) -> Candidate:
        """The candidate, silent while it is stepped over; one that has not answered yet with what it is waited for."""
        silence = self._silent.get(candidate.llm.id)
        answered = candidate.llm.id in self._answered_in_s
        further = -1 if silence is None else silence.calls - (LATE_IN_A_ROW if answered else 1)
        stepped_over = silence is not None and further >= 0 and now < silence.since + _cool_down_s(further)
        patience_s = candidate.patience_s if answered else self._patience_s(candidate, silence)
        return replace(candidate, silent=stepped_over, patience_s=patience_s)

    def _note_late(self, error: LLMTimedOut, now: float) -> None:
        if error.llm not in self._answered_in_s and 0 < error.waited_s < LEAST_SILENCE_S:
            return
        before = self._silent.get(error.llm)
        if before is None:
            self._silent[error.llm] = Silence(1, now, error.waited_s)
        elif now - error.waited_s >= before.since:  # calls at once are silent once
            self._silent[error.llm] = Silence(before.calls + 1, now, max(before.waited_s, error.waited_s))

    def _patience_s(self, candidate: Candidate, silence: Silence | None) -> float | None:
        """How long an LLM is waited for that has not answered yet: by its record or what the others take, and longer each time.

        None where nothing is known of any: then its own limit says it. Once it was silent for the whole of that, it is a short wait again.
        """
        limit_s = min(candidate.llm.limits.first_token_s, candidate.llm.limits.total_s)
        if candidate.patience_s is None and not self._answered_in_s:
            return None
        usual_s = candidate.patience_s or OTHERS * statistics.median(self._answered_in_s.values())
        waited_s = 0.0 if silence is None or silence.waited_s >= limit_s else silence.waited_s
        return min(limit_s, max(LEAST_PATIENCE_S, usual_s, 2 * waited_s))


def _cool_down_s(further: int) -> float:
    """further: silent calls beyond those that it takes."""
    return min(COOL_DOWN_S * 2.0 ** min(further, 16), LONGEST_COOL_DOWN_S)
