"""Fits the mixture's `AgreementPosterior` to answered and labelled queries: which final answer is right, or none."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from mixture.choose.final_answers import normalise_choices
from mixture.choose.lookahead import repeats
from mixture.choose.posterior import AgreementPosterior, Observation, Voice, query_easiness
from pipelines.dataset import Dataset
from scorer.weights import log_odds

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RIGHT = 0.5  # labels above it count as right
MOST_STEPS = 4000  # episodes that fit `coincidence` and `kinship`, two numbers
LEAST_KIN = 30  # answers after one by the same weights, that fit `kinship`
_LEAST = 1e-9
PULL = 20.0  # the start counts as that many queries' worth of curvature 1/4 for each constant
FITTED = ("base", "skill", "same_weights", "unstated", "nothing", "difficulty", "crowd")
JUDGES = ("self_score", "cross_score", "logprob")  # fitted where at least one answer has the term


@dataclass(frozen=True, slots=True)
class Episode:
    """One query: an observation of each LLM's answer and its label in [0, 1], by LLM id."""

    observations: Mapping[str, Observation]
    labels: Mapping[str, float]

    def among(self, llms: Iterable[str]) -> "Episode":
        """As if only these LLMs had answered: which answers agree follows from theirs alone.

        Their final answers must be as `short_answer` gives them.
        """
        chosen = list(llms)
        answers = normalise_choices({llm: self.observations[llm].final_answer for llm in chosen})
        observations = {llm: replace(self.observations[llm], final_answer=answers[llm]) for llm in chosen}
        return Episode(observations, {llm: self.labels[llm] for llm in chosen})


def episodes(
    data: Dataset, scores_QL: NDArray[np.floating], final_answers: Mapping[tuple[str, str], tuple[str | None, float | None]]
) -> list[Episode]:
    """The queries of `data` with a labelled answer, the scorer's scores as priors; made for `Episode.among`.

    final_answers: (query_id, llm) -> final answer and mean log-probability (`pipelines.dataset.final_answers`).
    """
    made = []
    for row, query_id in enumerate(data.queries["query_id"]):
        labels_L = data.labels_QL[row]
        answered = [(llm, at) for at, llm in enumerate(data.llms) if (query_id, llm.id) in final_answers and not np.isnan(labels_L[at])]
        if not answered:
            continue
        easiness = query_easiness(map(float, scores_QL[row]))
        observations = {}
        for llm, at in answered:
            answer, mean_logprob = final_answers[query_id, llm.id]
            observations[llm.id] = Observation(
                float(scores_QL[row, at]), answer, llm.family or llm.id, mean_logprob=mean_logprob, easiness=easiness
            )
        made.append(Episode(observations, {llm.id: float(labels_L[at]) for llm, at in answered}))
    return made


def partly(whole: Sequence[Episode], *, repeats: int = 2, most: int = 6, seed: int = 0) -> list[Episode]:
    """`repeats` of each episode with only one to `most` of its LLMs, those with high priors more often: what a mixture sees on its way."""
    dice = np.random.default_rng(seed)
    parts = []
    for episode in whole:
        llms = list(episode.observations)
        chances = np.array([log_odds(episode.observations[llm].prior) for llm in llms])
        for _ in range(repeats):
            order = np.argsort(-(chances + 0.5 * dice.gumbel(size=len(llms))))[: dice.integers(1, most + 1)]
            parts.append(episode.among(llms[at] for at in order))
    return parts


@dataclass(frozen=True, slots=True)
class _Table:
    """Episodes [E] of at most K answers as arrays; absent places hold zeros.

    terms: by the name of a constant, what it is multiplied by. lead: how much more is expected of the LLM than of the pool.
    same: pairs of equal answers. kin: those of them whose LLMs run on the same weights. before: j stands before i.
    stated: the first of each different final answer. prose: no final answer. right: some LLM with this answer has a label above RIGHT.
    easiness: how easy the scorer expects the query to be.
    """

    terms: Mapping[str, Floats]
    lead_EK: Floats
    same_EKK: Bools
    kin_EKK: Bools
    before_KK: Bools
    stated_EK: Bools
    prose_EK: Bools
    right_EK: Bools
    easiness_E: Floats


def fit(episodes: Sequence[Episode], start: AgreementPosterior | None = None) -> AgreementPosterior:
    """The constants under which the labels are most likely, pulled to `start`; constants whose term no answer has keep their start.

    Raises ValueError where there are no episodes.
    """
    start = start or AgreementPosterior()
    if not episodes:
        raise ValueError("No answered and labelled query to fit the posterior to.")
    logprobs = [each.mean_logprob for episode in episodes for each in episode.observations.values() if each.mean_logprob is not None]
    start = replace(start, logprob_at=float(np.mean(logprobs)) if logprobs else start.logprob_at)
    table = _table(episodes, start.logprob_at)
    names = [*FITTED, *(name for name in JUDGES if table.terms[name].any())]
    at = np.array([getattr(start, name) for name in names])

    def loss(values: Floats) -> float:
        posterior = replace(start, **dict(zip(names, map(float, values), strict=True)))
        return float(-_log_likelihood(table, posterior).sum() + PULL / 8 * ((values - at) ** 2).sum())

    bounds = [(0.0, 1.0) if name == "same_weights" else (None, None) for name in names]
    values = minimize(loss, at, method="L-BFGS-B", bounds=bounds).x
    fitted = replace(start, **dict(zip(names, map(float, values), strict=True)))
    fitted = _with_coincidence(episodes[:MOST_STEPS], replace(fitted, kinship=0.0))
    return replace(fitted, stated_later=_stated_later(episodes))


def _table(episodes: Sequence[Episode], logprob_at: float) -> _Table:
    shape = (len(episodes), max(len(episode.observations) for episode in episodes))
    terms = {name: np.zeros(shape) for name in JUDGES}
    lead_EK = np.zeros(shape)
    groups_EK = np.full(shape, -1)
    families_EK = np.full(shape, -1)
    stated_EK, prose_EK, right_EK = (np.zeros(shape, dtype=bool) for _ in range(3))
    easiness_E = np.zeros(shape[0])
    for row, episode in enumerate(episodes):
        answers: dict[tuple[str | None, str], int] = {}
        families: dict[str, int] = {}
        for column, (llm, each) in enumerate(episode.observations.items()):
            answer = (each.final_answer, llm if each.final_answer is None else "")
            stated_EK[row, column] = each.final_answer is not None and answer not in answers
            groups_EK[row, column] = answers.setdefault(answer, len(answers))
            families_EK[row, column] = families.setdefault(each.family or f"@{llm}", len(families))
            prose_EK[row, column] = each.final_answer is None
            right_EK[row, column] = episode.labels[llm] > RIGHT
            lead_EK[row, column] = each.lead
            terms["self_score"][row, column] = 0.0 if each.self_score is None else log_odds(each.self_score)
            terms["cross_score"][row, column] = 0.0 if each.cross_score is None else log_odds(each.cross_score)
            terms["logprob"][row, column] = 0.0 if each.mean_logprob is None else each.mean_logprob - logprob_at
            easiness_E[row] = each.easiness
    same_EKK = (groups_EK[:, :, None] == groups_EK[:, None, :]) & (groups_EK >= 0)[:, :, None]
    kin_EKK = same_EKK & (families_EK[:, :, None] == families_EK[:, None, :])
    before_KK = np.tri(shape[1], k=-1, dtype=bool)  # [i, j]: j stands before i
    right_EK = (same_EKK & right_EK[:, None, :]).any(axis=2)
    return _Table(terms, lead_EK, same_EKK, kin_EKK, before_KK, stated_EK, prose_EK, right_EK, easiness_E)


def _log_likelihood(table: _Table, posterior: AgreementPosterior) -> Floats:
    """Log-likelihood of what was right in each episode [E]: of the stated answers one or none, of those in prose each or not."""
    voices_EK = (
        posterior.base + posterior.skill * table.lead_EK + sum(getattr(posterior, name) * by_EK for name, by_EK in table.terms.items())
    )
    theirs_EKK, own_EKK = voices_EK[:, None, :], voices_EK[:, :, None]
    stronger_EKK = (theirs_EKK > own_EKK) | ((theirs_EKK == own_EKK) & table.before_KK)
    again_EK = (table.kin_EKK & stronger_EKK).any(axis=2)
    loud_EK = np.maximum(0.0, voices_EK) * np.where(again_EK, posterior.same_weights, 1.0)
    strongest_EK = np.where(table.same_EKK, theirs_EKK, -np.inf).max(axis=2)
    values_EK = np.einsum("eij,ej->ei", table.same_EKK, loud_EK) + np.minimum(0.0, strongest_EK)
    wrong_E = posterior.nothing - posterior.difficulty * table.easiness_E
    stated_E = table.stated_EK.sum(axis=1)

    odds_EK = values_EK - (wrong_E + posterior.unstated * (stated_E > 0))[:, None]
    alone_EK = np.where(table.prose_EK, -np.logaddexp(0.0, np.where(table.right_EK, -odds_EK, odds_EK)), 0.0)

    rivals_EK = np.where(table.stated_EK, values_EK, -np.inf)
    none_E = wrong_E + posterior.crowd * np.log(np.maximum(stated_E, 1))
    right_E = np.logaddexp.reduce(np.where(table.right_EK, rivals_EK, -np.inf), axis=1)
    all_E = np.logaddexp.reduce(np.column_stack([rivals_EK, none_E]), axis=1)
    among_E = np.where(stated_E > 0, np.where(np.isneginf(right_E), none_E, right_E) - all_E, 0.0)
    return np.asarray(among_E + alone_EK.sum(axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Step:
    """A final answer after the first: what was known of its LLM, the voices for the answers before it, their chances, and which of them it
    repeats, None where it is new.
    """

    following: Observation
    standing: Sequence[Sequence[Voice]]
    chances: Sequence[float]
    repeated: int | None

    @property
    def of_a_known_family(self) -> bool:
        """Whether an answer before it is by the same weights."""
        family = self.following.family
        return bool(family) and any(voice.family == family for voices in self.standing for voice in voices)

    def chance(self, posterior: AgreementPosterior) -> float:
        """Of what it says."""
        repeated = repeats(self.chances, self.following, self.standing, posterior)
        return 1.0 - sum(repeated) if self.repeated is None else repeated[self.repeated]


def _with_coincidence(episodes: Sequence[Episode], posterior: AgreementPosterior) -> AgreementPosterior:
    """The coincidence under which the answer of each next LLM (by prior) is most likely, then the kinship, by those of known families.

    Where there are fewer than LEAST_KIN of these the kinship stays 0.
    """
    others = [step for step in _all_steps(episodes, posterior) if not step.of_a_known_family]
    kin = kin_steps(episodes, posterior)
    if others:
        posterior = replace(posterior, coincidence=_most_likely("coincidence", others, posterior))
    return replace(posterior, kinship=_most_likely("kinship", kin, posterior)) if len(kin) >= LEAST_KIN else posterior


def kin_steps(episodes: Sequence[Episode], posterior: AgreementPosterior) -> list[Step]:
    """The final answers that follow one by the same weights: what `kinship` is fitted to."""
    return [step for step in _all_steps(episodes, posterior) if step.of_a_known_family]


def _all_steps(episodes: Iterable[Episode], posterior: AgreementPosterior) -> list[Step]:
    return [step for episode in episodes for step in _steps(_by_prior(episode.observations), posterior)]


def _most_likely(name: str, steps: Sequence[Step], posterior: AgreementPosterior) -> float:
    """The value in [0, 1] of the constant `name` that makes these steps most likely."""

    def loss(value: float) -> float:
        changed = replace(posterior, **{name: value})
        return -sum(math.log(max(_LEAST, step.chance(changed))) for step in steps)

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 0.01}).x)


def _stated_later(episodes: Sequence[Episode]) -> float:
    """Where the first LLM (by prior) gave prose: how often the second states a final answer; two such cases of 0 are added."""
    seconds = [
        ordered[1][1] for each in episodes if len(ordered := _by_prior(each.observations)) > 1 and ordered[0][1].final_answer is None
    ]
    return sum(each.final_answer is not None for each in seconds) / (len(seconds) + 2)


def _steps(ordered: Sequence[tuple[str, Observation]], posterior: AgreementPosterior) -> Iterator[Step]:
    """One for each final answer after the first."""
    for count, (_, each) in enumerate(ordered):
        standing = posterior.standing(before for _, before in ordered[:count])
        if each.final_answer is not None and standing:
            voices = list(standing.values())
            chances = posterior.chances([posterior.together(those) for those in voices], each.easiness)
            repeated = list(standing).index(each.final_answer) if each.final_answer in standing else None
            yield Step(each, voices, chances, repeated)


def _by_prior(observations: Mapping[str, Observation]) -> list[tuple[str, Observation]]:
    return sorted(observations.items(), key=lambda pair: (-pair[1].prior, pair[0]))
