"""A sample of a large log: whole sessions, the same ones again, and intervals that allow for the draw."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.what_if import sample
from pipelines.what_if.history import Billed
from pipelines.what_if.sample import Sample, margin, slim, widened
from scorer.metrics import Interval


def log(count: int) -> list[Billed]:
    return [Billed(LoggedCall("log", at, session=f"s{at // 4}", text="Mail a@b.org")) for at in range(count)]


def test_whole_sessions_are_drawn_and_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """About as many calls as are wanted; their texts without addresses; a small log is judged whole; all calls pass."""
    monkeypatch.setattr(sample, "MOST_JUDGED", 1_000)
    drawn, again, small = Sample(10_000), Sample(10_000), Sample(400)
    assert len(list(drawn.watch(log(10_000)))) == 10_000
    assert {each.call.text for each in again.watch(log(10_000))} == {"Mail a@b.org"}
    assert drawn.drawn == again.drawn
    assert 800 <= len(drawn.drawn) <= 1_200
    assert drawn.drawn[0].call.text == "Mail [email]"
    sessions = [each.call.session for each in drawn.drawn]
    assert all(sessions.count(name) == 4 for name in set(sessions))
    list(small.watch(log(400)))
    assert (len(small.drawn), small.share) == (400, 1.0)


def test_the_margin_of_a_draw_holds_as_often_as_it_says() -> None:
    """Of 400 draws of a tenth of a log whose sessions differ in size and in what they bring, about 95 % are within it."""
    dice = np.random.default_rng(1)
    sizes = dice.integers(1, 6, 2_000)
    session_N = np.repeat(np.arange(2_000), sizes)
    weights_N = dice.lognormal(0, 1, len(session_N))
    values_N = weights_N * np.repeat(dice.random(2_000), sizes)
    truth, covered = values_N.sum() / weights_N.sum(), 0
    for _ in range(400):
        inside_N = (dice.random(2_000) < 0.1)[session_N]
        judged = SimpleNamespace(share=0.1, first_N=session_N[inside_N])
        off = values_N[inside_N].sum() / weights_N[inside_N].sum() - truth
        covered += abs(off) <= margin(values_N[inside_N], weights_N[inside_N], judged)
    assert 0.92 <= covered / 400 <= 0.98
    assert margin(values_N, weights_N, SimpleNamespace(share=1.0, first_N=session_N)) == 0.0


def test_an_interval_takes_a_second_error_in() -> None:
    """In quadrature; what is not known stays so."""
    assert widened(Interval(0.0, -3.0, 4.0), 4.0) == Interval(0.0, -5.0, pytest.approx(np.sqrt(32)))
    assert np.isnan(widened(Interval(0.0, float("nan"), float("nan")), 1.0).low)


def test_messages_are_kept_only_to_estimate_tokens() -> None:
    """A call whose tokens are counted is priced by them."""
    call = LoggedCall("log", 1, messages=[{"role": "user", "content": "x"}], usage=LoggedUsage(3, None, None, 4))
    assert slim(call).messages is None
    assert slim(LoggedCall("log", 1, messages=[{"role": "user", "content": "x"}])).messages is not None
