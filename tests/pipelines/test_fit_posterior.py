"""The fitted posterior: constants come back from data made with them, and agreement is learnt to count."""

from dataclasses import replace

import numpy as np
import pytest

from mixture.choose.posterior import AgreementPosterior, Observation, query_easiness
from pipelines.fit_posterior import Episode, _log_likelihood, _steps, _table, fit


def world(count: int, *, judged: bool = False, prose: float = 0.0, kin: float = 0.0) -> list[Episode]:
    """Five LLMs answer choice questions with ten options; a wrong answer falls on one distractor half the time.

    prose: share of the answers of which nobody can read what they say. kin: chance that the fifth says what the first says, its weights
    being the same.
    """
    dice = np.random.default_rng(0)
    episodes = []
    for _ in range(count):
        priors = dice.uniform(0.2, 0.9, size=5)
        ease = query_easiness(priors)
        truth, lure = dice.permutation(10)[:2]
        observations, labels = {}, {}
        for at, prior in enumerate(priors[: dice.integers(1, 6)]):
            right = dice.random() < prior
            said = truth if right else lure if dice.random() < 0.5 else dice.integers(10)
            if at == 4 and dice.random() < kin:
                said = int(str(observations["llm-0"].final_answer))
                right = said == truth
            assessed = float(np.clip(0.5 + (0.3 if right else -0.3) + 0.1 * dice.normal(), 0.01, 0.99)) if judged else None
            read = None if dice.random() < prose else str(said)
            observations[f"llm-{at}"] = Observation(float(prior), read, f"weights-{at % 4}", self_score=assessed, easiness=ease)
            labels[f"llm-{at}"] = float(said == truth)
        episodes.append(Episode(observations, labels))
    return episodes


def surprise(posterior: AgreementPosterior, episodes: list[Episode]) -> float:
    """Mean cross-entropy of each answer's score with its label."""
    pairs = [(posterior.scores(each.observations)[llm], label) for each in episodes for llm, label in each.labels.items()]
    return float(-np.mean([np.log(score if label else 1 - score) for score, label in pairs]))


def test_fitting_makes_the_labels_more_likely() -> None:
    """On queries the fit has not seen, scores are better than the start's and than the priors themselves."""
    episodes = world(1500)
    seen, unseen = episodes[:1000], episodes[1000:]
    fitted = fit(seen)
    pairs = [(each.observations[llm].prior, label) for each in unseen for llm, label in each.labels.items()]
    by_prior = float(-np.mean([np.log(prior if label else 1 - prior) for prior, label in pairs]))
    assert surprise(fitted, unseen) < min(surprise(AgreementPosterior(), unseen), by_prior)
    assert 0.2 < fitted.coincidence < 0.8


def test_what_is_fitted_is_what_scores() -> None:
    """The likelihood of the fit, written over arrays, is the chance that the served posterior gives to what was right."""
    posterior, episodes = replace(AgreementPosterior(), self_score=0.4, same_weights=0.5), world(100, judged=True, prose=0.3)
    found_E = np.exp(_log_likelihood(_table(episodes, 0.0), posterior))
    for episode, found in zip(episodes, found_E, strict=True):
        scores = posterior.scores(episode.observations)
        stated = {each.final_answer: scores[llm] for llm, each in episode.observations.items() if each.final_answer is not None}
        right = {each.final_answer for llm, each in episode.observations.items() if episode.labels[llm]} - {None}
        chance = sum(stated[said] for said in right) if right else 1 - sum(stated.values())
        for llm, each in episode.observations.items():
            if each.final_answer is None:
                chance *= scores[llm] if episode.labels[llm] else 1 - scores[llm]
        assert found == pytest.approx(chance)


def test_only_stated_answers_are_there_to_be_repeated() -> None:
    """Of prose, a, a, b in this order the second a repeats and b does not; nothing stood before the first a."""
    ordered = [(name, Observation(0.5, said)) for name, said in zip("pqrs", (None, "a", "a", "b"), strict=True)]
    steps = list(_steps(ordered, AgreementPosterior()))
    assert [step.repeated for step in steps] == [0, None]
    assert [step.chances for step in steps] == [pytest.approx([AgreementPosterior().scores(dict(ordered[1:end]))["q"]]) for end in (2, 3)]


def test_scores_are_calibrated() -> None:
    """Of the answers scored about p, about a share p is right."""
    episodes = world(1500)
    fitted = fit(episodes[:1000])
    scores = np.array([(fitted.scores(each.observations)[llm], label) for each in episodes[1000:] for llm, label in each.labels.items()])
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = scores[(scores[:, 0] >= low) & (scores[:, 0] < low + 0.25)]
        assert abs(inside.mean(axis=0) @ [1, -1]) < 0.08


def test_a_term_is_fitted_only_where_it_was_given() -> None:
    """Self-assessments that tell right from wrong get weight; nobody's leave the start as it is."""
    assert fit(world(400)).self_score == AgreementPosterior().self_score
    assert fit(world(400, judged=True)).self_score > 0.3


def test_few_episodes_stay_near_the_start() -> None:
    """Three queries do not overturn what many have taught."""
    start = replace(AgreementPosterior(), base=1.5)
    assert fit(world(3), start).base == pytest.approx(1.5, abs=0.5)


def test_nothing_to_fit_to_is_an_error() -> None:
    """An empty list says so."""
    with pytest.raises(ValueError, match="No answered and labelled query"):
        fit([])


@pytest.mark.parametrize(("kin", "least", "most"), [(0.0, 0.0, 0.25), (0.8, 0.5, 1.0)])
def test_kinship_is_learnt_from_answers_of_the_same_weights(kin: float, least: float, most: float) -> None:
    """Where a second effort repeats the first one's answer it is large, where it answers for itself it is small."""
    assert least <= fit(world(1500, kin=kin)).kinship <= most


def test_without_kin_there_is_no_kinship() -> None:
    """A pool without two efforts of the same weights is fitted as before there were any."""
    apart = [each.among(llm for llm in each.observations if llm != "llm-4") for each in world(400, kin=0.8)]
    assert fit([each for each in apart if each.observations]).kinship == 0.0
