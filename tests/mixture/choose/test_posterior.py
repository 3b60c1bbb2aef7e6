"""What answers tell about each other: agreement, priors, assessments; and what further answers may change."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.choose.lookahead import expected_gain, repeats
from mixture.choose.posterior import AgreementPosterior, Observation, Voice, as_rule, query_easiness, rule_from

EVIDENCE = AgreementPosterior()
chances = st.floats(0.05, 0.95)
answers = st.sampled_from(["a", "b", "c", None])
several = st.lists(st.tuples(chances, answers), min_size=1, max_size=5)


def heard(*said: tuple[float, str | None]) -> dict[str, Observation]:
    return {f"llm-{at}": Observation(prior, answer) for at, (prior, answer) in enumerate(said)}


def asked(*priors: float) -> list[Observation]:
    return [Observation(prior) for prior in priors]


@given(several)
def test_scores_are_chances_and_one_stated_answer_at_most_is_right(said: list[tuple[float, str | None]]) -> None:
    """Each is in (0, 1); those of distinct stated answers sum to less than 1, for all may be wrong."""
    known = heard(*said)
    scores = EVIDENCE.scores(known)
    distinct = {each.final_answer: scores[llm] for llm, each in known.items() if each.final_answer is not None}
    assert scores.keys() == known.keys()
    assert all(0 < score < 1 for score in scores.values())
    assert sum(distinct.values()) < 1


@given(st.lists(chances, min_size=2, max_size=4))
def test_answers_in_prose_may_all_be_right(priors: list[float]) -> None:
    """Two essays or programs that differ say nothing about each other: each has the score it would have alone."""
    together = EVIDENCE.scores(heard(*((prior, None) for prior in priors)))
    alone = [EVIDENCE.scores({"one": Observation(prior)})["one"] for prior in priors]
    assert list(together.values()) == pytest.approx(alone)


@given(st.lists(st.tuples(chances, st.sampled_from("abc")), min_size=1, max_size=4), st.lists(chances, min_size=1, max_size=2))
def test_prose_takes_nothing_from_stated_answers(stated: list[tuple[float, str]], prose: list[float]) -> None:
    """Nor do further stated answers take more from it than the first one did."""
    alone, beside = EVIDENCE.scores(heard(*stated)), EVIDENCE.scores(heard(*stated, *((prior, None) for prior in prose)))
    assert [beside[llm] for llm in alone] == pytest.approx(list(alone.values()))
    odds = EVIDENCE.base + EVIDENCE.skill * Observation(prose[0]).lead - EVIDENCE.unstated - EVIDENCE.nothing
    assert beside[f"llm-{len(stated)}"] == pytest.approx(1 / (1 + math.exp(-odds)))


def test_agreement_raises_a_score_and_dissent_lowers_it() -> None:
    """The same LLM's answer, seconded, alone and contradicted."""
    alone = EVIDENCE.scores(heard((0.5, "a")))["llm-0"]
    seconded = EVIDENCE.scores(heard((0.5, "a"), (0.5, "a")))["llm-0"]
    contradicted = EVIDENCE.scores(heard((0.5, "a"), (0.5, "b")))["llm-0"]
    assert contradicted < alone < seconded


def test_what_llms_share_says_whether_any_is_right_and_their_lead_which() -> None:
    """The same query made easier for all: each answer gains, and none on another."""

    def scores(shift: float) -> list[float]:
        priors = [1 / (1 + math.exp(-log_odds - shift)) for log_odds in (0.5, -0.2, -0.4)]
        easiness, answers = query_easiness(priors), zip("xyz", priors, "abb", strict=True)
        said = {name: Observation(prior, answer, easiness=easiness) for name, prior, answer in answers}
        return list(EVIDENCE.scores(said).values())

    (hard_a, hard_b, _), (easy_a, easy_b, _) = scores(-1.0), scores(1.0)
    assert easy_a > hard_a
    assert easy_b > hard_b
    assert easy_a / easy_b == pytest.approx(hard_a / hard_b)


def test_a_lead_outvotes() -> None:
    """One able LLM wins against two that are not, and loses where the scorer thinks alike of all."""

    def winner(*priors: float) -> str:
        said = {name: Observation(prior, name, easiness=query_easiness(priors)) for name, prior in zip("abc", priors, strict=True)}
        said["c"] = replace(said["c"], final_answer="b")
        scores = EVIDENCE.scores(said)
        return max("ab", key=scores.__getitem__)

    assert winner(0.5, 0.5, 0.5) == "b"
    assert winner(0.9, 0.4, 0.4) == "a"


def test_little_is_thought_of_what_only_a_weak_llm_says() -> None:
    """Less than a voice of nothing would bring it."""
    evidence = replace(EVIDENCE, base=0.5, skill=1.0)
    assert evidence.scores({"weak": Observation(0.1, "a")})["weak"] < evidence.chances([0.0], 0.0)[0]


@given(several, chances, st.floats(-3, -0.01), st.sampled_from(["", "weights"]))
def test_no_answer_loses_by_a_second(said: list[tuple[float, str | None]], prior: float, logprob: float, family: str) -> None:
    """However little is thought of who seconds it, and whether or not that one is on the same weights."""
    evidence = replace(EVIDENCE, logprob=1.1, logprob_at=-0.4)
    known = {"first": Observation(0.5, "a", family), **heard(*said)}
    before = evidence.scores(known)["first"]
    after = evidence.scores({**known, "second": Observation(prior, "a", family, mean_logprob=logprob)})["first"]
    assert after >= before - 1e-12


@given(st.lists(st.tuples(st.floats(-3, 3), st.sampled_from(["", "one", "two"])), min_size=1, max_size=4), st.floats(-3, 3))
def test_twins_are_no_better_than_two(voices: list[tuple[float, str]], another: float) -> None:
    """A second prompt of the same weights adds no more than another LLM would, and takes nothing away."""
    known = [Voice(*voice) for voice in voices]
    before, twin, other = (EVIDENCE.together([*known, *more]) for more in ([], [Voice(another, "one")], [Voice(another)]))
    assert before - 1e-12 <= twin <= other + 1e-12


@given(chances, chances, st.floats(-3, 3))
def test_a_second_is_no_worse_than_a_dissenter(first: float, second: float, ease: float) -> None:
    """However little is thought of it, an LLM does not speak against what it says."""
    agreed, differed = (
        EVIDENCE.scores({"a": Observation(first, "x", easiness=ease), "b": Observation(second, answer, easiness=ease)})["a"]
        for answer in ("x", "y")
    )
    assert agreed >= differed


def test_ease_is_of_the_llms_that_have_a_prior() -> None:
    """The mean of their log-odds, and 0 where there is nobody."""
    assert query_easiness([0.5, float("nan")]) == pytest.approx(0)
    assert query_easiness([]) == 0
    assert query_easiness([0.2, 0.8]) == pytest.approx(0)
    assert query_easiness([0.8, 0.9]) > 1


def test_the_same_weights_second_an_answer_less() -> None:
    """Two prompts to one set of weights are not two witnesses."""
    independent = EVIDENCE.scores({"a": Observation(0.5, "x", "one"), "b": Observation(0.5, "x", "other")})["a"]
    twins = EVIDENCE.scores({"a": Observation(0.5, "x", "one"), "b": Observation(0.5, "x", "one")})["a"]
    assert twins < independent


def test_assessments_count_only_where_given() -> None:
    """A missing self-assessment is no evidence; a high one is evidence for, a low one against."""
    evidence = replace(EVIDENCE, self_score=0.5, cross_score=0.5, logprob=0.5, logprob_at=-1.0)

    def score(**terms: float) -> float:
        return evidence.scores({"a": Observation(0.5, "x", **terms)})["a"]

    assert score(self_score=0.1) < score() < score(self_score=0.9)
    assert score(cross_score=0.1) < score() < score(cross_score=0.9)
    assert score(mean_logprob=-3.0) < score() < score(mean_logprob=-0.1)


def test_an_answer_without_a_final_answer_loses_to_one_that_states_it() -> None:
    """Where a peer states a final answer, prose does not win by its LLM's prior."""
    scores = EVIDENCE.scores(heard((0.7, None), (0.5, "a")))
    assert scores["llm-0"] < scores["llm-1"]


def test_what_further_answers_cannot_change_is_no_gain() -> None:
    """An answer in prose that stays the best whatever a next LLM states."""
    evidence = replace(EVIDENCE, unstated=0.5)
    standing = heard((0.9, None), (0.5, "a"), (0.45, "b"))
    best = max(evidence.scores(standing).values())
    for said in ("a", "b", "c"):
        scores = evidence.scores({**standing, "next": Observation(0.5, said)})
        assert max(scores.values()) == scores["llm-0"] == best
    assert expected_gain(standing, asked(0.5), evidence) == pytest.approx(0)


@given(several, chances)
def test_the_gain_is_the_mean_of_what_then_is_scored(said: list[tuple[float, str | None]], prior: float) -> None:
    """Looking ahead and scoring afterwards are one rule: every way one more answer may fall, weighed by its chance."""
    known = heard(*said)
    now = EVIDENCE.scores(known)
    today = max(known, key=lambda llm: (now[llm], known[llm].final_answer is not None, -int(llm[-1])))
    stated = {each.final_answer: now[llm] for llm, each in known.items() if each.final_answer is not None}
    fall = {**dict(zip(stated, repeats(list(stated.values()), Observation(prior), [()] * len(stated), EVIDENCE), strict=True)), "new": None}
    fall["new"] = 1 - sum(chance for chance in fall.values() if chance is not None)
    expected = 0.0
    for answer, chance in fall.items():
        then = EVIDENCE.scores({**known, "next": Observation(prior, answer)})
        expected += chance * (max(then.values()) - then[today])
    assert expected_gain(known, asked(prior), EVIDENCE) == pytest.approx(expected, abs=1e-9)


@given(several, st.lists(chances, max_size=3))
def test_looking_ahead_never_expects_a_loss(said: list[tuple[float, str | None]], further: list[float]) -> None:
    """One may keep one's mind; nobody to ask brings nothing."""
    gain = expected_gain(heard(*said), asked(*further), EVIDENCE)
    assert -1e-12 <= gain <= 1
    assert further or gain == 0


def test_one_vote_cannot_outvote_two_but_three_can() -> None:
    """After two equal answers one more changes nothing, three may."""
    agreed = heard((0.5, "a"), (0.5, "a"))
    assert expected_gain(agreed, asked(0.5), EVIDENCE) == pytest.approx(0)
    assert expected_gain(agreed, asked(0.5, 0.5, 0.5), EVIDENCE) > 0
    assert expected_gain(heard((0.5, "a"), (0.5, "b")), asked(0.5), EVIDENCE) > expected_gain(agreed, asked(0.5, 0.5), EVIDENCE)


@given(st.lists(st.floats(0.01, 0.3), min_size=1, max_size=3), chances)
def test_an_llm_repeats_something_or_says_something_new(standing: list[float], prior: float) -> None:
    """The chances of repeating each standing answer leave room for a new one."""
    assert all(0 <= chance <= 1 for chance in repeats(standing, Observation(prior), [()] * len(standing), EVIDENCE))
    assert sum(repeats(standing, Observation(prior), [()] * len(standing), EVIDENCE)) <= 1 + 1e-9


def test_asking_the_same_weights_again_is_worth_less() -> None:
    """Once a pool's answers have shown that a second effort repeats the first one's; other weights are worth what they were."""
    known = {"low": Observation(0.4, "a", "weights"), "peer": Observation(0.3, "b", "peer")}
    kin, other = (Observation(0.6, family=family) for family in ("weights", "others"))
    related = replace(EVIDENCE, kinship=0.5)
    assert expected_gain(known, [kin], EVIDENCE) == expected_gain(known, [other], EVIDENCE)
    assert expected_gain(known, [other], related) == expected_gain(known, [other], EVIDENCE)
    assert expected_gain(known, [kin], related) == pytest.approx(0.5 * expected_gain(known, [other], related))
    assert expected_gain(known, [kin], replace(EVIDENCE, kinship=1.0)) == pytest.approx(0)


def test_kinship_is_shared_by_the_answers_of_the_same_weights() -> None:
    """Two efforts that differ are each as likely to be repeated by a third, and all chances leave room for something new."""
    standing = [(Voice(1.0, "weights"),), (Voice(0.5, "weights"), Voice(1.0, "peer")), (Voice(0.5, "peer"),)]
    third, related = Observation(0.5, family="weights"), replace(EVIDENCE, kinship=0.6)
    alone, among = (repeats([0.3, 0.2, 0.1], third, standing, each) for each in (EVIDENCE, related))
    assert among == pytest.approx([0.4 * alone[0] + 0.3, 0.4 * alone[1] + 0.3, 0.4 * alone[2]])
    assert sum(among) < 1


def test_a_posterior_from_before_kinship_is_read_as_it_was() -> None:
    """Scorer versions outlive the constants that were not known when they were made."""
    before = {name: value for name, value in as_rule(replace(EVIDENCE, base=0.1)).items() if name != "kinship"}
    assert rule_from(before) == replace(EVIDENCE, base=0.1, kinship=0.0)
