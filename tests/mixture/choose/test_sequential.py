"""Asking further LLMs the bare question, one after the other, while that is expected to pay."""

from dataclasses import replace
from typing import Any

import pytest

from mixture.choose.final_answers import short_answer
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import AgreementPosterior, Observation, query_easiness
from mixture.choose.sequential import Sequential
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.makers import broken, candidate, last_words, user

PRIORS = {"a": 0.55, "b": 0.5, "c": 0.5, "d": 0.45, "e": 0.4}
DEAR = Weights(usd=1e6, second=0)


def run(says: dict[str, str], **changed: Any) -> tuple[Decision, ScriptedClient]:
    client = ScriptedClient({name: Script(says.get(name, "0")) for name in PRIORS} | changed.pop("scripts", {}))
    candidates = [candidate(name, prior) for name, prior in changed.pop("priors", PRIORS).items()]
    strategy = Sequential(changed.pop("posterior", AgreementPosterior()), stop_threshold=changed.pop("stop_threshold", 1.0))
    options = Options(**{"weights": Weights(usd=10, second=0), "k": 1, "max_layers": 5, **changed})
    return drive(Mixture(client, clock).answer(Request(user(), candidates, options, strategy))), client


def test_disagreement_asks_on_and_the_majority_is_returned() -> None:
    """The favourite is outvoted by two that agree; each is asked the bare question."""
    decision, client = run({"a": "41", "b": "42", "c": "42", "d": "42", "e": "42"})
    assert decision.text == "42"
    assert decision.aggregation == "vote"
    assert client.asked()[:3] == ["a", "b", "c"]
    assert all(last_words(call) == "What is 6 x 7?" for call in client.calls)
    assert decision.score > PRIORS["b"]


def test_an_able_llm_outvotes_two_that_are_not() -> None:
    """By how much more the scorer thinks of it than of the pool; where it thinks alike of all, the majority wins."""
    said = {"a": "41", "b": "42", "c": "42", "d": "1", "e": "2"}
    alike = dict.fromkeys(PRIORS, 0.5)
    apart = {"a": 0.9, "b": 0.2, "c": 0.2, "d": 0.2, "e": 0.2}
    for priors, returned in ((alike, "42"), (apart, "41")):
        decision, _ = run(said, priors=priors, weights=Weights(usd=0, second=0))
        assert decision.text == returned


def test_an_answer_is_weighed_against_the_whole_pool() -> None:
    """Those that failed, that may not be asked, or that nobody asked count in how easy the query is."""
    decision, client = run({"a": "42", "c": "41"}, scripts={"b": broken("b")}, k=3, max_layers=1, weights=Weights(usd=0, second=0))
    assert "b" in client.asked()
    answered = {run_.llm: run_.text for run_ in decision.layers[0].runs}
    easiness = query_easiness(PRIORS.values())
    known = {llm: Observation(PRIORS[llm], text, llm, easiness=easiness) for llm, text in answered.items()}
    assert decision.layers[0].after == pytest.approx(PRIORS | AgreementPosterior().scores(known))
    assert AgreementPosterior().scores(known) != pytest.approx(
        AgreementPosterior().scores({llm: replace(each, easiness=0.0) for llm, each in known.items()})
    )


def test_agreement_asks_fewer() -> None:
    """Where the first answers agree, fewer LLMs are asked than where they differ."""
    agreed, _ = run(dict.fromkeys(PRIORS, "42"))
    differed, _ = run({"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"})
    assert len(agreed.layers) < len(differed.layers)


def test_a_dear_call_is_not_made() -> None:
    """At a million units a dollar one answer must do, and says why."""
    decision, client = run({"a": "41"}, weights=DEAR)
    assert client.asked() == ["a"]
    assert decision.stopped_because == "gain"


def test_everyone_asked_is_the_end() -> None:
    """Where calls are free and each may still decide, all are asked, once."""
    alike, free = dict.fromkeys(PRIORS, 0.5), Weights(usd=0, second=0)
    decision, client = run({"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}, priors=alike, weights=free, max_layers=6)
    assert sorted(client.asked()) == list("abcde")
    assert decision.stopped_because == "nobody"


def test_several_at_once() -> None:
    """At most k are asked at a time."""
    decision, _ = run({"a": "1", "b": "2", "c": "3"}, k=3, weights=Weights(usd=0, second=0))
    assert len(decision.layers[0].runs) == 3


def test_prose_is_not_counted() -> None:
    """After prose nobody is asked for more of it, unless the pool's LLMs are known to state final answers where another did not."""
    prose = dict.fromkeys(PRIORS, "It depends.\nOn many things.")
    decision, client = run(prose, weights=Weights(usd=0, second=0))
    assert client.asked() == ["a"]
    assert decision.llm == "a"
    _, client = run(prose, weights=Weights(usd=0, second=0), posterior=AgreementPosterior(stated_later=0.9))
    assert client.asked() == ["a", "b"]


def test_a_refusal_in_a_line_is_no_final_answer() -> None:
    """A sentence that says nothing of the kind does not beat a longer answer; a few words do count."""
    assert short_answer("I'm sorry, I can't help with that.") is None
    assert short_answer("Mount Fuji") == "mount fuji"
    assert short_answer("Honestly, the answer is a compromise between cost and speed.\nSee above.") is None


def test_log_probabilities_are_asked_for_where_they_count() -> None:
    """As the pipeline asks, whose answers the posterior was fitted to."""
    _, client = run({}, posterior=AgreementPosterior(logprob=1.0))
    assert all(call.options["logprobs"] for call in client.calls)
    _, client = run({})
    assert not any("logprobs" in call.options for call in client.calls)


def test_a_broken_llm_is_passed_over() -> None:
    """A failure is written down, and the next in line answers."""
    decision, _ = run({"b": "42", "c": "42"}, scripts={"a": broken("a")})
    assert decision.text == "42"
    assert [failure.llm for failure in decision.failures] == ["a"]


def test_weights_already_heard_come_last() -> None:
    """The twin of the first is asked after LLMs on other weights."""
    known = candidate("a", 0.54)
    twin = replace(known, llm=replace(known.llm, id="a2"))
    client = ScriptedClient({name: Script(name) for name in [*PRIORS, "a2"]})
    options = Options(weights=Weights(usd=0, second=0), k=1, max_layers=3)
    candidates = [*(candidate(name, prior) for name, prior in PRIORS.items()), twin]
    drive(Mixture(client, clock).answer(Request(user(), candidates, options, Sequential())))
    assert client.asked() == ["a", "b", "c"]


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_a_good_enough_answer_stops(threshold: float) -> None:
    """The threshold holds here too."""
    decision, client = run({}, stop_threshold=threshold, weights=Weights(usd=0, second=0))
    assert decision.stopped_because == "threshold"
    assert len(client.asked()) < len(PRIORS)
