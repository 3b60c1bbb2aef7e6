"""What a request's call is expected to take: by its tokens, from recorded answers at first, then from calls seen here."""

from dataclasses import replace

import pytest

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import rank
from mixture.client.protocol import Reply
from mixture.errors import LLMTimedOut
from mixture.llm import LLM, Decoding
from mixture.price import Price
from mixture.run.account import Account, FailedCall
from mixture.run.request import Request
from scorer.recorded_calls import RecordedCalls
from serving.observed.latency import Experience, RequestSize

SHORT = RecordedCalls(400, 40.0, 2.0, 0.32)  # work 10 + 4 + 2: .02 s each
LONG = RecordedCalls(400, 40.0, 306.0, 6.4)  # work 10 + 4 + 306: .02 s each
MINUTE = 60.0


class Clock:
    """Seconds, as a test says."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def experience(clock: Clock) -> Experience:
    return Experience(clock)


def llm(name: str, price: float = 1.0, max_tokens: int = 512) -> LLM:
    return LLM(name, name, Price(price, 2 * price), decoding=Decoding(max_tokens=max_tokens))


def asking(*names: str, characters: int = 144, **fields) -> Request:
    """Of 40 tokens, unless told otherwise."""
    experience = Experience()
    messages = [{"role": "user", "content": "x" * characters}]
    size = RequestSize.of(messages, fields)
    return Request(messages, [experience.candidate(llm(name), 0.5, size, None) for name in names], fields=fields)


def size(characters: int = 144, **fields) -> RequestSize:
    return RequestSize.of(asking(characters=characters).messages, fields)


def answered(name: str, latency_s: float, output_tokens: int, finish_reason: str = "stop", input_tokens: int = 40) -> Account:
    return Account(replies=[Reply(name, "text", finish_reason, input_tokens, output_tokens, 0.0, latency_s)])


def given_up(name: str, after_s: float) -> Account:
    late = LLMTimedOut(name, "late")
    late.waited_s = after_s
    return Account(failed=[FailedCall(1, late, after_s)])


def test_a_newcomer_costs_what_its_recorded_answers_say(experience: Experience) -> None:
    """Two tokens of output and the request's own 40 of input, at 1 and 2 dollars a million: 44 micro-dollars, where a guess says 440."""
    known = experience.candidate(llm("newcomer"), 0.86, size(), SHORT)
    assert (known.input_tokens, known.output_tokens, known.cost_usd) == (40, 2, pytest.approx(44e-6))
    assert known.latency_s == pytest.approx(0.32)
    unknown = experience.candidate(llm("newcomer"), 0.86, size(), None)
    assert (unknown.output_tokens, unknown.cost_usd, unknown.latency_s) == (200, pytest.approx(440e-6), None)


def test_a_newcomer_is_chosen_where_it_is_best(experience: Experience) -> None:
    """Before its first call, against an LLM that is known to be cheap: a dollar weighs 1,000 right answers."""
    for _ in range(30):
        experience.note(asking("veteran"), answered("veteran", 0.32, 2), {})
    pool = [experience.candidate(llm("newcomer"), 0.86, size(), SHORT), experience.candidate(llm("veteran", 0.1), 0.69, size(), None)]
    assert rank(pool, Options(k=1, weights=Weights(usd=1000.0)))[0].id == "newcomer"
    pool[0] = experience.candidate(llm("newcomer"), 0.86, size(), None)
    assert rank(pool, Options(k=1, weights=Weights(usd=1000.0)))[0].id == "veteran"  # where nobody says how short its answers are


@pytest.mark.parametrize(
    ("fields", "output_tokens", "seconds"),
    [
        ({}, 306, 6.4),
        ({"max_tokens": 20}, 20, 0.68),
        ({"max_completion_tokens": 20}, 20, 0.68),
        ({"max_tokens": 1000}, 306, 6.4),
        ({"max_tokens": 20, "n": 3}, 60, 0.68),  # written side by side, paid one by one
    ],
)
def test_max_tokens_bounds_what_is_expected(experience: Experience, fields: dict[str, int], output_tokens: int, seconds: float) -> None:
    """Tokens, cost and seconds: no more than the request lets an LLM write."""
    expected = experience.candidate(llm("a"), 0.5, size(**fields), LONG)
    assert expected.output_tokens == output_tokens
    assert expected.cost_usd == pytest.approx((40 + 2 * output_tokens) / 1e6)
    assert expected.latency_s == pytest.approx(seconds)


def test_max_tokens_bounds_a_guess_too(experience: Experience) -> None:
    """Of an LLM that nobody knows, and the LLM's own limit does."""
    assert experience.candidate(llm("a"), 0.5, size(max_tokens=20), None).output_tokens == 20
    assert experience.candidate(llm("a", max_tokens=50), 0.5, size(), None).output_tokens == 50


def test_a_long_prompt_is_expected_to_take_longer_and_waited_for_longer(experience: Experience) -> None:
    """640 tokens of prompt are 60 tokens of output more than 40 are: 1.52 s instead of .32 s, and so is patience."""
    for _ in range(30):
        experience.note(asking("a"), answered("a", 3.2, 2), {"a": SHORT})
    short, long = (experience.candidate(llm("a"), 0.5, size(characters), SHORT) for characters in (144, 4 * 636))
    assert (short.input_tokens, long.input_tokens) == (40, 640)
    assert long.latency_s == pytest.approx(short.latency_s * 76 / 16)
    assert long.late_after_s == pytest.approx(short.late_after_s * 76 / 16)
    assert short.late_after_s == pytest.approx(6.4, rel=0.1)  # twice what it takes here


def test_one_long_prompt_does_not_make_an_llm_slow(experience: Experience) -> None:
    """A call that took ten times as long for ten times the work says what was known: the next short one takes what it took before."""
    experience.note(asking("a"), answered("a", 3.2, 2, input_tokens=1480), {"a": SHORT})
    assert experience.candidate(llm("a"), 0.5, size(), SHORT).latency_s == pytest.approx(0.32)


def test_calls_seen_here_outweigh_what_was_recorded(experience: Experience) -> None:
    """A machine three times slower, answers ten times longer: after 40 calls the record counts two hundredths."""
    for _ in range(40):
        experience.note(asking("a"), answered("a", 0.06 * 34, 20), {"a": SHORT})
    expected = experience.candidate(llm("a"), 0.5, size(), SHORT)
    assert expected.output_tokens == 20
    assert expected.latency_s == pytest.approx(0.06 * 34, rel=0.02)


def test_a_call_that_is_given_up_took_at_least_so_long(experience: Experience) -> None:
    """It is expected to take longer, but is not waited for longer; a call that was cut off early says nothing."""
    for _ in range(30):
        experience.note(asking("a"), answered("a", 6.4, 306), {"a": LONG})
    before = experience.candidate(llm("a"), 0.5, size(), LONG)
    experience.note(asking("a"), given_up("a", 1.0), {"a": LONG})
    assert experience.candidate(llm("a"), 0.5, size(), LONG).latency_s == pytest.approx(6.4)
    experience.note(asking("a"), given_up("a", 64.0), {"a": LONG})
    after = experience.candidate(llm("a"), 0.5, size(), LONG)
    assert after.latency_s == pytest.approx(0.9 * 6.4 + 0.1 * 64.0, rel=0.01)
    assert (before.late_after_s, after.late_after_s) == pytest.approx((12.8, 12.8))
    assert after.output_tokens == before.output_tokens == 306


def test_calls_given_up_count_for_an_llm_of_which_nothing_is_known(experience: Experience) -> None:
    """It never answered: it is expected to take as long as it was waited for."""
    experience.note(asking("a"), given_up("a", 30.0), {})
    assert experience.candidate(llm("a"), 0.5, size(), None).latency_s == pytest.approx(30.0)


def test_what_was_seen_fades_once_an_llm_is_no_longer_asked(experience: Experience, clock: Clock) -> None:
    """Half of it in ten minutes; after two hours the one slow call is a hundredth, and an LLM without a record is unknown in a month."""
    for name in "ab":
        experience.note(asking(name), answered(name, 64.0, 306), {"a": LONG})

    def extra_s() -> float:
        return experience.candidate(llm("a"), 0.5, size(), LONG).latency_s - 6.4

    assert extra_s() == pytest.approx(0.1 * 57.6, rel=0.2)
    at_once = extra_s()
    clock.now_s += 10 * MINUTE
    assert extra_s() == pytest.approx(at_once / 2, rel=0.2)
    clock.now_s += 110 * MINUTE
    assert extra_s() < 0.02 * 57.6
    assert experience.candidate(llm("b"), 0.5, size(), None).latency_s == pytest.approx(64.0)
    clock.now_s += 30 * 24 * 60 * MINUTE
    assert extra_s() == pytest.approx(0.0, abs=1e-6)
    assert experience.candidate(llm("b"), 0.5, size(), None).latency_s is None


def test_a_machine_slower_than_the_recording_one_is_waited_for(experience: Experience, clock: Clock) -> None:
    """Eight times slower: at the first call, after a few, after many, and again after an idle hour, it is never late by being itself."""
    for calls in range(100):
        expected = experience.candidate(llm("a"), 0.5, size(), LONG)
        assert expected.late_after_s >= 8 * 6.4 * (1 - 1e-9), calls
        if calls == 60:
            clock.now_s += 60 * MINUTE
        experience.note(asking("a"), answered("a", 8 * 6.4, 306), {"a": LONG})
        clock.now_s += 8 * 6.4
    assert experience.candidate(llm("a"), 0.5, size(), LONG).late_after_s < 2.1 * 8 * 6.4


def test_nothing_is_late_within_a_second(experience: Experience) -> None:
    """A network or a scheduler may hesitate: a call of a few milliseconds has no reason to be given up after twice that."""
    for _ in range(30):
        experience.note(asking("a"), answered("a", 0.004, 2), {})
    assert experience.candidate(llm("a"), 0.5, size(), None).late_after_s == 1.0


def test_an_answer_that_was_cut_does_not_make_an_llm_brief(experience: Experience) -> None:
    """Requests for one token say nothing about the length of answers without a limit."""
    for _ in range(30):
        experience.note(asking("a", max_tokens=1), answered("a", 0.3, 1, "length"), {"a": LONG})
    assert experience.candidate(llm("a"), 0.5, size(), LONG).output_tokens == 306


def test_recorded_answers_that_nobody_timed(experience: Experience) -> None:
    """Their length counts; seconds are unknown until a call shows them."""
    untimed = replace(SHORT, latency_s=None)
    expected = experience.candidate(llm("a"), 0.5, size(), untimed)
    assert (expected.output_tokens, expected.latency_s) == (2, None)
    experience.note(asking("a"), answered("a", 0.64, 2), {"a": untimed})
    assert experience.candidate(llm("a"), 0.5, size(), untimed).latency_s == pytest.approx(0.64)
