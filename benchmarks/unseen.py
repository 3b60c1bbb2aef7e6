"""Kinds of queries nobody labelled: `python -m benchmarks.unseen FOLDER [--except LLM@GROUP] [--on FOLDER --on-llms A,B]`.

Each group is left out of training and then routed, with the fallback (`scorer.fallback`) and without it, from one and the same training;
the row "test split" is the usual kind of query, from training on all groups. Beside the realised quality stand the mean of the highest
score (what is promised of the chosen LLM), the mean confidence (of each score, how far it leans: max(p, 1 - p), .5 where it knows nothing)
and the ECE. A second table moves the fallback's edge, from nowhere to where nearly every query is far. `--except` adds the mean over groups
without the labels of an LLM in a group, where those are known to be at fault. `--on` leaves nothing out and routes the queries of another
folder instead, whose texts were not trained on; `--on-llms` are the names there of the LLMs of `--llms`, in their order. Splits as in
benchmarks.outcomes; nothing is chosen here, and `train.far_share` of params.yaml counts for nothing: the edges are those of the tables.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import figures, machine, outcomes, recorded
from benchmarks.recorded import Outcomes
from pipelines import params, train
from scorer import calibration, fallback, metrics, training
from scorer.interface import Floats
from scorer.metrics import Interval
from scorer.start import Labels
from scorer.training import Plan
from scorer.weights import Weights, centred

RESAMPLES = 2000
WAYS = ("without fallback", "with fallback")
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.9)  # of the held-out queries that are far (`train.far_share`); the first two are WAYS
ALLOWED = -0.01  # what a kind of query may lose to the best single LLM


@dataclass(frozen=True, slots=True)
class Row:
    """One group: how many queries, the share of them beyond the fallback's edge, the best single LLM's quality, and per scorer (of each
    of SHARES) the gain over it, the mean highest score, the mean confidence over all LLMs and the ECE.
    """

    name: str
    queries: int
    far: float
    single: float
    gain: tuple[Interval, ...]
    highest: tuple[float, ...]
    confidence: tuple[float, ...]
    ece: tuple[float, ...]

    def cells(self) -> str:
        """As a row of Markdown, of WAYS."""
        numbers = zip(self.highest, self.confidence, self.ece, strict=True)
        ways = [f"{gain} | {_three(of_way)}" for gain, of_way in list(zip(self.gain, numbers, strict=True))[: len(WAYS)]]
        return f"| {self.name} | {self.queries} | {self.far:.0%} | {self.single:.3f} | {' | '.join(ways)} |"


def edged(weights: Weights, landmarks_MD: Floats, share: float, held_QD: Floats) -> Weights:
    """`weights` with a fallback whose edge this share of the held-out queries [Q, D] is beyond; without one at 0."""
    return replace(weights, fallback=fallback.around(landmarks_MD, weights, held_QD, share) if share else None)


def routed(
    known: Outcomes, asked: Outcomes, plan: Plan, shares: Sequence[float] = SHARES
) -> tuple[NDArray[np.bool_], tuple[Floats, ...], Floats]:
    """Trained on the training part of `known`: which of `asked` are far, their scores_QL by each of `shares` and by the best single LLM.

    Raises ValueError for a plan without a fallback.
    """
    parts = {name: known.take(name) for name in ("train", "calibration", "validation")}
    weights = training.train(known.data.roster, parts["train"].embedded(), parts["validation"].embedded(), plan).weights
    usual = weights.fallback
    if usual is None:
        raise ValueError("There is no fallback whose edge could be moved: the plan's far_share must be above 0.")
    scores = []
    for way in (edged(weights, usual.landmarks_MD, share, parts["validation"].queries_QD) for share in shares):
        fixed = calibration.fit(way.logits(parts["calibration"].queries_QD), parts["calibration"].labels_QL)
        scores.append(fixed.probabilities(way.logits(asked.queries_QD)))
    single_L = np.nanmean(parts["train"].labels_QL, axis=0)
    return usual.far(centred(asked.queries_QD, weights.centre_D)), tuple(scores), np.tile(single_L, (len(asked.queries_QD), 1))


def row(name: str, far_Q: NDArray[np.bool_], scores: tuple[Floats, ...], single_QL: Floats, labels_QL: Labels) -> Row:
    """The figures of one group."""
    single_Q = metrics.quality(single_QL, labels_QL)
    return Row(
        name=name,
        queries=len(labels_QL),
        far=float(far_Q.mean()),
        single=metrics.mean(single_Q),
        gain=tuple(metrics.difference(metrics.quality(each, labels_QL), single_Q, resamples=RESAMPLES) for each in scores),
        highest=tuple(float(each.max(axis=1).mean()) for each in scores),
        confidence=tuple(float(np.maximum(each, 1 - each).mean()) for each in scores),
        ece=tuple(calibration.ece(each, labels_QL) for each in scores),
    )


def mean_row(name: str, rows: Sequence[Row]) -> str:
    """The mean over groups, without intervals."""
    numbers = [np.mean([getattr(each, field) for each in rows], axis=0) for field in ("highest", "confidence", "ece")]
    gains = np.mean([[gain.mean for gain in each.gain] for each in rows], axis=0)
    ways = [_three(of_way) for of_way in list(zip(gains, *numbers, strict=True))[: len(WAYS)]]
    return f"| {name} | {sum(each.queries for each in rows)} | | {np.mean([each.single for each in rows]):.3f} | {' | '.join(ways)} |"


def _three(values: Iterable[float]) -> str:
    """Cells of three decimals."""
    return " | ".join(f"{value:.3f}" for value in values)


def one_left_out(known: Outcomes, plan: Plan, fault: str | None) -> Iterator[tuple[Row, Row]]:
    """A row a group that training did not see, and the same without the labels of `fault` (LLM@GROUP)."""
    groups_Q = known.data.queries["dataset"].to_numpy(dtype=np.str_)
    fault_llm, _, fault_group = (fault or "").partition("@")
    for group in track(sorted(set(groups_Q)), description="leaving out"):
        asked = known.where(groups_Q == group)
        found = routed(known.where(groups_Q != group), asked, plan)
        whole = row(group, *found, asked.labels_QL)
        if group != fault_group:
            yield whole, whole
            continue
        sound_L = np.array(known.data.roster) != fault_llm
        yield whole, row(group, *found, np.where(sound_L, asked.labels_QL, np.nan))


def edges(usual: Row, rows: Sequence[Row]) -> str:
    """What moving the edge brings and costs: one row a share of held-out queries that are beyond it, as Markdown."""
    found = {
        f"{share:.0%}": {"gain on the test split": usual.gain[at], **summary({each.name: each.gain[at] for each in rows})}
        for at, share in enumerate(SHARES)
    }
    return figures.table("held-out queries beyond the edge", found)


def summary(gains: Mapping[str, Interval]) -> dict[str, Any]:
    """What groups left out gain, by group: their mean, the worst, and how many lose more than they may."""
    worst = min(gains, key=lambda name: gains[name].mean)
    return {
        "on groups left out, mean": float(np.mean([gain.mean for gain in gains.values()])),
        "on the worst": f"{gains[worst].mean:.3f} ({worst})",
        f"groups below {ALLOWED:+g}": sum(gain.mean < ALLOWED for gain in gains.values()),
        "of them beyond doubt": sum(gain.high < ALLOWED for gain in gains.values()),
    }


def elsewhere(known: Outcomes, asked: Outcomes, plan: Plan) -> Iterator[Row]:
    """A row for all queries of another set, and one a group of them; training saw none of them."""
    asked = asked.where(~asked.data.queries["text"].isin(set(known.data.queries["text"])).to_numpy())
    far_Q, scores, single_QL = routed(known, asked, plan)
    groups_Q = asked.data.queries["dataset"].to_numpy(dtype=np.str_)
    for name, taken_Q in [("all of them", groups_Q != ""), *((group, groups_Q == group) for group in sorted(set(groups_Q)))]:
        yield row(name, far_Q[taken_Q], tuple(each[taken_Q] for each in scores), single_QL[taken_Q], asked.labels_QL[taken_Q])


def other_set(given: argparse.Namespace) -> Outcomes:
    """The queries of `--on`, with the labels of the same LLMs in the same order. Raises SystemExit where they are not as many."""
    if not given.on_llms or len(given.on_llms) != len(given.llms):
        counts = f"--on-llms names {len(given.on_llms)} LLMs, --llms {len(given.llms)}"
        raise SystemExit(f"{counts}: name the same ones in both, in the same order.")
    return recorded.read(outcomes.Recorded(given.on, given.on_llms, keep=given.on_keep, most=given.most))


def main() -> None:
    """Trains once on all groups and once without each, or once for another set; prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--except", dest="fault", metavar="LLM@GROUP", help="labels that are known to be at fault")
    parser.add_argument("--on", type=Path, help="another folder, whose queries are routed")
    parser.add_argument("--on-llms", type=recorded.names, default=(), help="the LLMs of --llms by their names there")
    parser.add_argument("--on-keep", help="use only this split of that folder")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/unseen"))
    given = parser.parse_args()
    known = recorded.read(recorded.wanted(given))
    plan = replace(train.plan_of(params.load().train), far_share=SHARES[1])
    ways = " | ".join(f"gain {way} | highest score | confidence | ECE" for way in WAYS)
    lines = [f"| left out | queries | far | best single | {ways} |", "|---" * 12 + "|"]
    test = known.take("test")
    usual = row("test split", *routed(known, test, plan), test.labels_QL)
    lines.append(usual.cells())
    shown = [f"`{machine.command(*filter(None, (given.folder, given.on)))}`"]
    if given.on:
        rows = tuple(elsewhere(known, other_set(given), plan))
        shown.append("\n".join([*lines, *(each.cells() for each in rows)]))
    else:
        rows, repaired = zip(*one_left_out(known, plan, given.fault), strict=True)
        lines += [*(each.cells() for each in rows), mean_row("mean of groups", rows)]
        if given.fault:
            lines.append(mean_row(f"mean without the labels of {given.fault}", repaired))
        shown += ["\n".join(lines), edges(usual, rows)]
    machine.write(given.out, shown, {"rows": figures.as_json({each.name: asdict(each) for each in (usual, *rows)})})
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
