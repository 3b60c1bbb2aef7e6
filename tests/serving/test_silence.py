"""Which LLMs are stepped over, and how long one is waited for that has not answered yet."""

import pytest

from mixture.choose.ranking import Candidate
from mixture.client.protocol import Reply
from mixture.errors import LLMCutOff, LLMTimedOut, LLMUnreachable
from mixture.llm import LLM, Endpoint, Limits
from mixture.price import Price
from serving.observed.silence import COOL_DOWN_S, LATE_IN_A_ROW, LONGEST_COOL_DOWN_S, Silences


def candidate(name: str) -> Candidate:
    return Candidate(LLM(name, name, Price(1, 1), Endpoint("http://x/v1", name), limits=Limits(first_token_s=60)), 0.5)


def late(llm: str, waited_s: float = 5.0, kind: type[LLMTimedOut] = LLMTimedOut) -> LLMTimedOut:
    error = kind(llm, "late")
    error.waited_s = waited_s
    return error


def reply(llm: str, latency_s: float = 1.0) -> Reply:
    return Reply(llm, "yes", "stop", 1, 1, 0.0, latency_s)


def stepped_over(silences: Silences, llm: str, now: float) -> bool:
    return silences.applied(candidate(llm), now).silent


def test_one_silence_is_enough_of_an_llm_that_never_answered() -> None:
    """It is tried again after the cool-down, which doubles each time, up to the longest."""
    silences = Silences()
    now, cool_down_s = 100.0, COOL_DOWN_S
    for _ in range(8):
        silences.note([], [late("a")], now)
        assert stepped_over(silences, "a", now + cool_down_s - 0.1)
        assert not stepped_over(silences, "a", now + cool_down_s + 0.1)
        now, cool_down_s = now + cool_down_s + 6, min(2 * cool_down_s, LONGEST_COOL_DOWN_S)
    assert cool_down_s == LONGEST_COOL_DOWN_S
    silences.note([reply("a")], [], now)
    assert not stepped_over(silences, "a", now)


def test_an_llm_that_answered_before_has_to_be_late_in_a_row() -> None:
    """One long answer says nothing, and an answer in between starts the count anew."""
    silences = Silences()
    silences.note([reply("a")], [], 0.0)
    for at in range(1, LATE_IN_A_ROW):
        silences.note([], [late("a")], 10.0 * at)
    assert not stepped_over(silences, "a", 30.0)
    silences.note([], [late("a")], 40.0)
    assert stepped_over(silences, "a", 41.0)
    silences.note([reply("a")], [], 42.0)
    silences.note([], [late("a")], 50.0)
    assert not stepped_over(silences, "a", 51.0)


def test_calls_at_once_are_silent_once() -> None:
    """A burst that waits together tells no more than one call."""
    silences = Silences()
    silences.note([reply("a")], [], 0.0)
    for _ in range(50):
        silences.note([], [late("a", 5.0)], 10.0)
    assert not stepped_over(silences, "a", 11.0)


@pytest.mark.parametrize("error", [late("a", 9.0, LLMCutOff), late("a", 0.4), LLMUnreachable("a", "gone")])
def test_what_is_no_silence(error) -> None:
    """A deadline before the LLM was late, a wait too short to tell, and failures that cost no time."""
    silences = Silences()
    silences.note([], [error], 10.0)
    assert not stepped_over(silences, "a", 10.0)


def test_patience_with_an_unknown_llm_follows_the_others_and_grows() -> None:
    """At least ten seconds, four times the others' median, twice the last wait; never past its limit, and short again after that."""
    silences = Silences()
    patience = lambda: silences.applied(candidate("new"), 1000.0).late_after_s  # noqa: E731
    assert patience() == 60.0
    silences.note([reply("a", 0.2), reply("b", 0.4), reply("c", 9.0)], [], 0.0)
    assert patience() == 10.0
    silences.note([reply("a", 4.0), reply("b", 4.0)], [], 0.0)
    assert patience() == 16.0
    silences.note([], [late("new", 16.0)], 20.0)
    assert patience() == 32.0
    silences.note([], [late("new", 60.0)], 100.0)
    assert patience() == 16.0
    assert silences.applied(candidate("a"), 1000.0).patience_s is None
