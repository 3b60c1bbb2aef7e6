"""Energy as one more price: from tokens to kilowatt-hours, and who is chosen where a kilowatt-hour is worth something."""

from dataclasses import replace

import pytest

from mixture.choose.options import Options, OptionsRefused, Weights
from mixture.choose.ranking import Candidate, rank, refusal
from mixture.choose.restrict import Requested, restrict
from mixture.choose.stop_rules import expected_penalty
from mixture.client.protocol import Reply
from mixture.energy import Energy, together
from mixture.run.account import Account
from mixture.snapshot import Snapshot
from mixture.usage import Usage
from tests.mixture.makers import candidate

FRUGAL, HUNGRY = Energy(0.5, 2.0, source="measured"), Energy(5.0, 20.0, 360.0, source="declared")


def with_energy(name: str, prior: float, energy: Energy | None) -> Candidate:
    made = candidate(name, prior)
    return replace(made, llm=replace(made.llm, energy=energy), input_tokens=1_000, output_tokens=100)


def reply(name: str) -> Reply:
    return Reply(name, "42", "stop", 10, 5, 0.0, 1.0)


def names(options: Options, *candidates: Candidate) -> list[str]:
    return [each.id for each in rank(candidates, options) if each.chosen]


def test_a_call_s_energy_is_that_of_its_tokens_and_of_itself() -> None:
    """What a cache had is not read again; 3.6 million joules are a kilowatt-hour."""
    assert HUNGRY.kwh(Usage(1_000, 100)) == pytest.approx((5_000 + 2_000 + 360) / 3.6e6)
    assert HUNGRY.kwh(Usage(1_000, 100, cache_read=600)) == pytest.approx((2_000 + 2_000 + 360) / 3.6e6)


def test_a_sum_with_something_unknown_is_unknown() -> None:
    """Nobody's energy is taken for nothing."""
    assert together([1.0, 2.0]) == 3.0
    assert together([1.0, None]) is None
    assert together([]) == 0.0


def test_a_kilowatt_hour_of_worth_moves_the_choice_to_the_frugal() -> None:
    """Beside dollar and second; where it is worth nothing, the better LLM answers."""
    pool = [with_energy("frugal", 0.7, FRUGAL), with_energy("hungry", 0.8, HUNGRY)]
    weights = Weights(usd=0, second=0)
    assert names(Options(k=1, weights=weights), *pool) == ["hungry"]
    assert names(Options(k=1, weights=replace(weights, kwh=100.0)), *pool) == ["frugal"]
    gap = pool[1].kwh - pool[0].kwh  # type: ignore[operator]
    assert names(Options(k=1, weights=replace(weights, kwh=0.09 / gap)), *pool) == ["hungry"]  # a tenth of a right answer is more


def test_an_llm_of_unknown_energy_is_left_out_where_energy_counts() -> None:
    """And says so; where energy is worth nothing it answers as ever."""
    unknown, counts = with_energy("unknown", 0.9, None), Options(k=1, weights=Weights(usd=0, second=0, kwh=1.0))
    assert unknown.kwh is None
    assert refusal(unknown, counts) == "its energy is unknown, and energy counts here"
    assert names(counts, unknown, with_energy("frugal", 0.1, FRUGAL)) == ["frugal"]
    assert refusal(unknown, Options(weights=Weights(usd=0, second=0))) is None


def test_asking_on_is_weighed_with_its_energy() -> None:
    """The stopping rules pay for the kilowatt-hours of everybody they ask."""
    pool = [with_energy("a", 0.7, FRUGAL), with_energy("b", 0.6, HUNGRY)]
    options = Options(k=2, weights=Weights(usd=0, second=0, kwh=50.0))
    ranking = rank(pool, options)
    assert expected_penalty(ranking, options) == pytest.approx(50.0 * sum(each.kwh or 0.0 for each in pool))
    assert expected_penalty(ranking, replace(options, weights=Weights(usd=0, second=0))) == 0.0


def test_a_request_may_make_energy_dearer_and_not_cheaper() -> None:
    """As with a dollar and a second."""
    operator = Options(weights=Weights(kwh=2.0))
    assert restrict(operator, Requested(weights=Weights(kwh=3.0))).weights.kwh == 3.0
    assert restrict(operator, Requested(weights=Weights(kwh=1.0))).weights.kwh == 2.0
    with pytest.raises(OptionsRefused, match="must not be negative"):
        Weights(kwh=-1.0)


def test_an_account_keeps_what_is_known_and_who_is_not() -> None:
    """No energy at all is None, not 0."""
    account = Account()
    account.note(reply("a"), 0.1, None)
    assert (account.energy_kwh, account.unmetered) == (None, ("a",))
    account.note(reply("b"), 0.2, FRUGAL)
    assert account.energy_kwh == FRUGAL.kwh(Usage(reply("b").input_tokens, reply("b").output_tokens))
    assert account.unmetered == ("a",)


def test_a_decision_is_decided_again_with_the_energy_of_then() -> None:
    """A snapshot holds it, and reads those that were written before there was any."""
    made = Snapshot.of([], {}, [with_energy("a", 0.7, HUNGRY), with_energy("b", 0.6, None)], deadline_s=None, streamed=False)
    again = Snapshot.from_dict(made.as_dict())
    assert [each.energy for each in again.candidates] == [(5.0, 20.0, 360.0), None]
    before = made.as_dict()
    for each in before["candidates"]:
        del each["energy"]
    assert Snapshot.from_dict(before).candidates[0].energy is None
