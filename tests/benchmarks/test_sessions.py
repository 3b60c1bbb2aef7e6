"""What sessions are worth, on a made-up pool: every cost is an independent biller's, and ours pays less than both others for no less."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from benchmarks import sessions
from benchmarks.session_world import CACHE_LEAST, CACHE_S, KINDS, Call, Conversation, composed
from benchmarks.sessions import MEMORYLESS, OURS, STICKY, SYSTEMS, Outcome, Recorded, World
from mixture.price import Price

RATES = {"cheap": (0.2, 0.8), "dear": (3.0, 15.0), "other": (0.3, 0.9)}
READ, WRITE = Decimal("0.1"), Decimal("1.25")


def recorded(scheme: str, queries: int = 240) -> Recorded:
    """Half of the queries are hard, which only the dear LLM answers; scores know it with some noise."""
    random = np.random.default_rng(3)
    hard_Q = np.arange(queries) % 2 == 1
    chance_QL = np.stack([np.where(hard_Q, 0.2, 0.9), np.where(hard_Q, 0.95, 0.95), np.where(hard_Q, 0.1, 0.7)], axis=1)
    labels_QL = (random.random(chance_QL.shape) < chance_QL).astype(np.float64)
    priors_QL = np.clip(chance_QL + random.normal(0, 0.03, chance_QL.shape), 0.01, 0.99)
    output_QL = random.integers(50, 400, chance_QL.shape).astype(np.float64)
    llms = tuple(sessions.llm_of(name, Price(*rates)) for name, rates in RATES.items())
    places = {each.id: place for place, each in enumerate(llms)}
    world = World(llms, labels_QL, priors_QL, output_QL, output_QL.mean(axis=0), writes=False, places=places)
    splits_Q = np.where(np.arange(queries) % 4 < 2, "validation", "test")
    groups_Q = np.where(hard_Q, "hard", "easy")
    return Recorded(world, groups_Q, splits_Q, np.full(queries, 30.0)).cached(scheme)


def billed(calls: tuple[Call, ...], *, writes: bool, read: Decimal) -> Decimal:
    """USD of one conversation's calls, from what was sent and when."""
    total, sent = Decimal(0), []
    for call in calls:
        names = [name for name, _ in call.segments]
        cached = 0
        for llm_before, at_s, before in sent:
            if llm_before == call.llm and call.at_s - at_s <= CACHE_S and names[: len(before)] == before:
                cached = max(cached, sum(tokens for _, tokens in call.segments[: len(before)]))
        cached = cached if cached >= CACHE_LEAST else 0
        prompt = sum(tokens for _, tokens in call.segments)
        into, out = (Decimal(str(rate)) / 1_000_000 for rate in RATES[call.llm])
        of_rest = into * WRITE if writes and prompt >= CACHE_LEAST else into
        total += cached * into * read + (prompt - cached) * of_rest + call.output_tokens * out
        sent.append((call.llm, call.at_s, names))
    return total


@pytest.mark.parametrize(("scheme", "read"), [("a", READ), ("b", Decimal("0.25")), ("none", Decimal(1))])
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_reckoned_is_what_is_billed(system: str, scheme: str, read: Decimal) -> None:
    """Conversation by conversation, under every scheme of caches."""
    trial = recorded(scheme).trial("agent", "test", most=12, seed=5)
    for outcome in trial.outcomes(system, 0.05):
        assert outcome.usd == pytest.approx(float(billed(outcome.calls, writes=scheme == "a", read=read)), abs=1e-9)


def test_ours_pays_less_than_both_for_no_less() -> None:
    """Where scores tell hard from easy, and caches are worth something."""
    trial = recorded("a").trial("agent", "test", most=60, seed=2)
    quality, usd = zip(*(summed(trial.outcomes(system, 0.02)) for system in (OURS, MEMORYLESS, STICKY)), strict=True)
    assert usd[0] < min(usd[1:])
    assert quality[0] > max(quality[1:]) - 0.015


def summed(outcomes: list[Outcome]) -> tuple[float, float]:
    """Mean quality and USD."""
    return float(np.mean([each.quality for each in outcomes])), float(np.mean([each.usd for each in outcomes]))


def test_sticky_never_changes_and_no_loop_is_handed_over() -> None:
    """Whatever the weight of a dollar is."""
    trial = recorded("a").trial("agent", "test", most=20, seed=5)
    assert sum(each.changes for each in trial.outcomes(STICKY, 0.1)) == 0
    for conversation, outcome in zip(trial.conversations, trial.outcomes(OURS, 0.1), strict=True):
        for step, call, following in zip(conversation.steps, outcome.calls, outcome.calls[1:], strict=False):
            assert step.last or call.llm == following.llm
        assert outcome.scored <= len({step.query for step in conversation.steps})


def test_conversations_ask_each_query_before_any_comes_again() -> None:
    """And time and tools go as their kind says."""
    groups_Q, tokens_Q = np.array(["a", "b"] * 20), np.full(40, 9.0)
    made: list[Conversation] = composed(groups_Q, tokens_Q, KINDS["agent"], 5, 0)
    asked = [step.query for each in made for step in each.steps if step.last]
    assert len(made) == 5
    assert len(asked) == len(set(asked))
    assert all(one.at_s <= two.at_s for each in made for one, two in zip(each.steps, each.steps[1:], strict=False))


def test_without_the_folder_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Skipped, visibly."""
    assert sessions.main([str(tmp_path / "none")]) == 0
    assert "not there, skipped" in capsys.readouterr().out
