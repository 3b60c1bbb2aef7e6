"""What judgements of real LLMs are worth: `python -m benchmarks.live_judging HOME [--calls FOLDER]`; asks nobody.

Reads the calls that `benchmarks.mixture_live` bought. RouteMoA's first layer answers and assesses itself; the judge of its second layer
scores those answers. Each answer's self-assessment, cross-assessment, log-probability, agreement with the others and prior are put into
the mixture's posterior (`mixture.posterior.Evidence`), fitted to the graded answers of the other queries (five folds), once with all
terms and once without each. Printed: AUROC of each score for an answer's being right and what the fitted score has more; each LLM's
quality when asked for a score beside its quality when not; how often the synthesis is wrong where the best-scored answer is right.
Intervals are bootstraps over queries.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.calls import BoughtCalls, CallMissing
from benchmarks.figures import RESAMPLES, as_json, cell, table
from benchmarks.judging import auroc_by_query
from benchmarks.live_bench import Asked, Bench, read
from benchmarks.live_systems import PUBLISHED, decided, everyone
from benchmarks.mixture_live import arguments, grades
from mixture.agreement import said as says
from mixture.decision import Decision
from mixture.errors import NoAnswer
from mixture.posterior import Evidence, Heard, Published, ease_of
from mixture.ranking import Candidate
from mixture.virtual_time import drive
from pipelines.posterior import RIGHT, Episode, fit
from scorer import metrics
from scorer.errors import RouteMoAError

FOLDS = 5
WITHOUT: dict[str, Callable[[Heard], Heard]] = {  # the posterior's terms, taken out of what is known
    "prior": lambda heard: replace(heard, prior=0.5, ease=0.0),
    "self-assessment": lambda heard: replace(heard, self_score=None),
    "cross-assessment": lambda heard: replace(heard, cross_score=None),
    "agreement": lambda heard: replace(heard, said=None),
    "log-probability": lambda heard: replace(heard, mean_logprob=None),
    "both assessments": lambda heard: replace(heard, self_score=None, cross_score=None),
}


@dataclass(frozen=True, slots=True)
class Story:
    """One query: the decision that asked for judgements, every LLM's answer to the bare question, and the grade of each text."""

    asked: Asked
    judged: Decision
    bare: Mapping[str, str]
    grades: Mapping[str, float] = field(default_factory=dict)

    def texts(self) -> list[str]:
        """All that was answered."""
        return [self.judged.text, *self.bare.values(), *(run.text for layer in self.judged.layers for run in layer.runs)]


def stories(bench: Bench, calls: BoughtCalls) -> list[Story]:
    """Of the first queries, as far as their calls are on record; not of those that nobody answered."""
    found, missing = [], False
    for asked in bench.asked:
        situation = bench.situation(asked, calls)
        try:
            judged = drive(decided(situation, situation.priors, replace(PUBLISHED, posterior=Published())))
            bare = drive(decided(situation, situation.means, everyone(situation)))
            found.append(Story(asked, judged, {run.llm: run.text for layer in bare.layers for run in layer.runs}))
        except* CallMissing:  # alone, or from among calls made at once
            missing = True
        except* NoAnswer:
            pass
        if missing:
            break
    return found


def graded(told: Sequence[Story]) -> list[Story]:
    """The stories with their grades, those that hold a text without one left out."""
    found = grades([story.asked.query for story in told], {(at, text) for at, story in enumerate(told) for text in story.texts()})
    known = [replace(story, grades={text: found[at, text] for text in story.texts()}) for at, story in enumerate(told)]
    return [story for story in known if not np.isnan(list(story.grades.values())).any()]


def episodes(told: Sequence[Story], families: Mapping[str, str]) -> list[Episode]:
    """The first layer's answers: what is known of them after the second layer judged them, and their grades."""
    found = []
    for story in told:
        first, later = story.judged.layers[0], story.judged.layers[1:2]
        cross = later[0].cross if later else {}
        said, ease = says({run.llm: run.text for run in first.runs}), ease_of(story.asked.priors.values())
        heard = {
            run.llm: Heard(
                story.asked.priors[run.llm], said[run.llm], families[run.llm], run.self_score, cross.get(run.llm), run.mean_logprob, ease
            )
            for run in first.runs
        }
        found.append(Episode(heard, {run.llm: story.grades[run.text] for run in first.runs}))
    return found


def crossfitted(told: Sequence[Episode], start: Evidence) -> list[dict[str, float]]:
    """The score of each episode's answers by a posterior fitted to the other folds."""
    folds_E = np.random.default_rng(0).integers(FOLDS, size=len(told))
    scores: list[dict[str, float]] = [{} for _ in told]
    for fold in range(FOLDS):
        evidence = fit([each for each, of in zip(told, folds_E, strict=True) if of != fold], start)
        for at in map(int, np.flatnonzero(folds_E == fold)):
            scores[at] = evidence.scores(told[at].heard)
    return scores


def discrimination(told: Sequence[Episode], start: Evidence) -> dict[str, Any]:
    """AUROC of each rule over all answers, what it has more than the prior, and what the whole posterior has more than without a term."""
    rules = {
        "prior": [{llm: each.prior for llm, each in episode.heard.items()} for episode in told],
        "published weights": [Published().scores(episode.heard) for episode in told],
        "posterior as served": [start.scores(episode.heard) for episode in told],
        "posterior, all terms": crossfitted(told, start),
    }
    for name, out in WITHOUT.items():
        less = [replace(episode, heard={llm: out(each) for llm, each in episode.heard.items()}) for episode in told]
        rules[f"without {name}"] = crossfitted(less, start)
    owner = [at for at, episode in enumerate(told) for _ in episode.heard]
    right = [episode.labels[llm] > RIGHT for episode in told for llm in episode.heard]
    flat = {name: [scores[at][llm] for at, episode in enumerate(told) for llm in episode.heard] for name, scores in rules.items()}
    whole = flat["posterior, all terms"]
    rows = {}
    for name, values in flat.items():
        rows[name] = {
            "AUROC": auroc_by_query(owner, right, values),
            "− prior": auroc_by_query(owner, right, values, flat["prior"]) if name != "prior" else "",
            "all terms − this": auroc_by_query(owner, right, whole, values) if values is not whole else "",
        }
    return rows


def judged_by_others(story: Story) -> set[str]:
    """The LLMs of the first layer whose answers the second one's judge was asked about: all but its own, none without a second layer."""
    first, later = story.judged.layers[0], story.judged.layers[1:2]
    return {run.llm for layer in later for run in first.runs if run.llm != layer.judge}


def given(told: Sequence[Story], known: Sequence[Episode]) -> dict[str, Any]:
    """How often a judgement that was asked for could be read, and its mean where the answer is right and where it is wrong."""
    rows = {}
    answers = [
        (each, episode.labels[llm] > RIGHT, llm in judged_by_others(story))
        for story, episode in zip(told, known, strict=True)
        for llm, each in episode.heard.items()
    ]
    scored = {
        "self_score": [(each.self_score, right) for each, right, _ in answers],
        "cross_score": [(each.cross_score, right) for each, right, asked in answers if asked],
    }
    for name, scores in scored.items():
        read_ = [(score, right) for score, right in scores if score is not None]
        rows[name] = {
            "answers": len(scores),
            "with a readable score": len(read_),
            "mean where right": float(np.mean([score for score, right in read_ if right] or [np.nan])),
            "mean where wrong": float(np.mean([score for score, right in read_ if not right] or [np.nan])),
        }
    return rows


def asking(told: Sequence[Story], llms: Sequence[str]) -> dict[str, Any]:
    """Each LLM's quality when it is asked for a score of its answer beside its quality when it is not, on the same queries."""
    rows = {}
    for llm in llms:
        pairs = [
            (story.grades[run.text], story.grades[story.bare[llm]])
            for story in told
            for run in story.judged.layers[0].runs
            if run.llm == llm and llm in story.bare
        ]
        if pairs:
            asked_Q, bare_Q = np.array(pairs).T
            rows[llm] = {
                "answers": len(pairs),
                "not asked": metrics.interval(bare_Q, resamples=RESAMPLES),
                "asked": metrics.interval(asked_Q, resamples=RESAMPLES),
                "difference": metrics.difference(asked_Q, bare_Q, resamples=RESAMPLES),
            }
    return rows


def drift(told: Sequence[Story]) -> dict[str, Any]:
    """Of the queries whose best-scored answer is right: how often the synthesis made of all is wrong; and the other way round."""
    lost, won = list[float](), list[float]()
    for story in told:
        runs = {run.llm: run.text for layer in story.judged.layers for run in layer.runs}
        if story.judged.synthesis is not None:
            after = story.judged.layers[-1].after
            best = max(runs, key=lambda llm: (after[llm], llm))
            before, final = (story.grades[text] > RIGHT for text in (runs[best], story.judged.text))
            (lost if before else won).append(float(before != final))
    return {
        "best-scored answer right": len(lost),
        "of these the synthesis is wrong": metrics.interval(np.array(lost), resamples=RESAMPLES) if lost else float("nan"),
        "best-scored answer wrong": len(won),
        "of these the synthesis is right": metrics.interval(np.array(won), resamples=RESAMPLES) if won else float("nan"),
    }


def main() -> None:
    """Reads, grades, fits, prints and writes."""
    asked = arguments(__doc__ or "", "live-judging").parse_args()
    try:
        bench = read(asked.home, asked.calls)
        told = graded(stories(bench, BoughtCalls(asked.calls)))
        if not told:
            raise CallMissing("Not one query's calls are on record.", next_step="Buy them: python -m benchmarks.mixture_live HOME.")
    except RouteMoAError as exc:
        sys.exit(str(exc))
    families = {llm.id: Candidate(llm, 0.0).family for llm in bench.llms}
    known = episodes(told, families)
    fitted = fit(known, bench.evidence)
    found: dict[str, Any] = {
        "judgements": given(told, known),
        "discrimination": discrimination(known, bench.evidence),
        "asking for a score": asking(told, [llm.id for llm in bench.llms]),
        "synthesis": drift(told),
    }
    answers = sum(len(each.heard) for each in known)
    inside = sum(story.asked.inside for story in told)
    shown = [
        f"`{machine.command(asked.home)}`",
        f"{inside} queries in domain, {len(told) - inside} out of domain; {answers} answers of RouteMoA's first layer.",
        table("judgement", found["judgements"]),
        table("score", found["discrimination"]),
        "Fitted to all of them: "
        + ", ".join(f"{name} {getattr(fitted, name):.3f}" for name in ("skill", "difficulty", "self_score", "cross_score", "logprob")),
        table("LLM", found["asking for a score"]),
        "\n".join(f"- {name}: {cell(value)}" for name, value in found["synthesis"].items()),
    ]
    machine.write(asked.out, shown, as_json(found), ["numpy", "scipy"])
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
