"""The quality given up, estimated from every answer of a period, one by one: what the ledger's sums and audits have to agree with."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.quality import student
from monitoring.quality.answers import Answers
from monitoring.quality.given_up import Change, _one_sided
from monitoring.quality.quality import LEAST_AUDITS, LEAST_CHECKED, LEAST_IN_STRATUM, confirmed, variance_of_mean


@dataclass(frozen=True)
class Rows:
    """N served answers, what their scorer promised of the baseline (NaN where it did not know it), and what to tell them apart by."""

    answers: Answers
    score_N: Any
    name_N: Any


def change(found: Rows, llm: str, name: str | None) -> Change:
    """As `monitoring.quality.given_up.of_some`, for 95 %."""
    answers = found.answers
    known_N = ~np.isnan(found.score_N) & (np.full(len(answers), name is None) | (found.name_N == name))
    if not known_N.any():
        return Change(why="not known: no answer whose scorer knew the baseline")
    own_N = (answers.llm_N == llm) & ~np.isnan(answers.drawn_with_N) & ~np.isnan(answers.grade_N) & ~np.isnan(found.score_N)
    w = 1 / answers.drawn_with_N[own_N]
    w = w / w.sum()
    away = answers.grade_N[own_N] - found.score_N[own_N]
    audits, right, unsure = len(w), 0.0, None
    if audits >= LEAST_AUDITS:
        right = float(w @ away)
        unsure = student.quantile(0.975, max(1 / float(w @ w) - 1, 1.0)) * np.sqrt(variance_of_mean(w, away - right))
    moved_N = known_N & (answers.llm_N != llm)
    if not moved_N.any():
        return Change(0.0, 0.0, 0.0, 0, audits)
    share, promised = moved_N.sum() / known_N.sum(), found.score_N[moved_N].mean()
    value, half, graded = served(answers.of(moved_N))
    told = share * (np.clip(value, 0, 1) - np.clip(promised + right, 0, 1))
    if half is None:
        return Change(told, audits=graded, baseline_audits=audits, why=f"not known: {graded} audits")
    if unsure is None:
        return Change(told, audits=graded, baseline_audits=audits, why=f"not known: {audits} audits of answers by {llm}")
    half = max(np.clip(value, 0, 1) - max(0, value - half), min(1, value + half) - np.clip(value, 0, 1))
    value, wider = np.clip(value, 0, 1), np.hypot(half, unsure)
    narrowed = _one_sided(abs(right), float(wider), 0.95)
    ends = [(value - promised, narrowed * half), (value - promised - right, narrowed * wider)]
    low, high = share * min(end - wide for end, wide in ends), share * max(end + wide for end, wide in ends)
    return Change(told, max(-1.0, low), min(1.0, high), graded, audits)


def served(answers: Answers) -> tuple[float, float | None, int]:
    """Mean quality, half its interval (None with too few audits) and how many people graded."""
    drawn_N = ~np.isnan(answers.drawn_with_N)
    graded_N, judged_N = drawn_N & ~np.isnan(answers.grade_N), drawn_N & ~np.isnan(answers.opinion_N)
    both_N, people = graded_N & judged_N, int(graded_N.sum())
    if both_N.sum() < LEAST_CHECKED:
        if not people:
            return float(answers.forecast_N.mean()), None, 0
        value, variance, degrees = stratified(answers, answers.grade_N, graded_N)
        return value, student.quantile(0.975, degrees) * np.sqrt(variance) if people >= LEAST_AUDITS else None, people
    any_N = graded_N | judged_N
    inverse_N = np.where(any_N, 1 / answers.drawn_with_N, 0.0)
    w = inverse_N[both_N] / inverse_N[both_N].sum()
    graded, opined = answers.grade_N[both_N], answers.opinion_N[both_N]
    mean, away = w @ graded, opined - w @ opined
    slope = np.clip(w @ (away * (graded - mean)) / (w @ away**2), 0, 1)
    value, variance, degrees = stratified(
        answers, np.where(judged_N, mean + slope * (answers.opinion_N - w @ opined), answers.grade_N), any_N
    )
    part = (inverse_N[judged_N].sum() / inverse_N[any_N].sum()) ** 2 * variance_of_mean(w, graded - mean - slope * away)
    whole = variance + part
    degrees = whole**2 / (variance**2 / degrees + part**2 / (len(w) - 2))
    return value, student.quantile(0.975, degrees) * np.sqrt(whole), people


def stratified(answers: Answers, grade_N: Any, seen_N: Any) -> tuple[float, float, float]:
    """Value, variance and degrees of freedom."""
    rows = [np.flatnonzero(answers.domain_N == name) for name in np.unique(answers.domain_N)]
    large = sorted((each for each in rows if seen_N[each].sum() >= LEAST_IN_STRATUM), key=len)
    if small := [each for each in rows if seen_N[each].sum() < LEAST_IN_STRATUM]:
        rest = np.concatenate(small)
        if seen_N[rest].sum() < LEAST_IN_STRATUM and large:
            large[0] = np.concatenate([large[0], rest])
        else:
            large.append(rest)
    weight_N = np.where(seen_N, 1 / answers.drawn_with_N, 0.0)
    b = confirmed(answers.forecast_N, grade_N, weight_N, [each[seen_N[each]] for each in large])
    value = variance = spreads = below = 0.0
    for each in large:
        seen, share = each[seen_N[each]], len(each) / len(answers)
        w = weight_N[seen] / weight_N[seen].sum()
        errors = grade_N[seen] - b * answers.forecast_N[seen]
        part = share**2 * variance_of_mean(w, errors - w @ errors) * (1 - len(seen) / len(each))
        value += share * (b * answers.forecast_N[each].mean() + w @ errors)
        variance += part
        spreads += share * (w @ (grade_N[seen] - w @ grade_N[seen]) ** 2)
        below += part**2 / max(1 / float(w @ w) - 1, 1.0)
    return value, variance + spreads / len(answers), variance**2 / below if variance else 1e6
