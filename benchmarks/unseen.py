"""Kinds of queries nobody labelled: `python -m benchmarks.unseen FOLDER [--except LLM@GROUP]`.

Each group is left out of training and then routed, with the fallback (`scorer.fallback`) and without it, from one and the same training;
the row "test split" is the usual kind of query, from training on all groups. Beside the realised quality stand the mean of the highest
score and the ECE: what a scorer says it does not know should look like it. `--except` adds the mean over groups without the labels of
an LLM in a group, where those are known to be at fault. Splits as in benchmarks.outcomes; nothing is chosen here.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks import machine, recorded
from benchmarks.recorded import Outcomes
from pipelines import params, train
from scorer import calibration, metrics, training
from scorer.interface import Floats
from scorer.metrics import Interval
from scorer.start import Labels
from scorer.training import Plan
from scorer.weights import Weights

RESAMPLES = 2000
WAYS = ("without fallback", "with fallback")


@dataclass(frozen=True, slots=True)
class Row:
    """One group: how many queries, the best single LLM's quality, and per way the gain over it, the mean highest score and the ECE."""

    name: str
    queries: int
    kept: str
    single: float
    gain: tuple[Interval, ...]
    highest: tuple[float, ...]
    ece: tuple[float, ...]

    def cells(self) -> str:
        """As a row of Markdown."""
        figures = [(str(gain), f"{high:.3f}", f"{ece:.3f}") for gain, high, ece in zip(self.gain, self.highest, self.ece, strict=True)]
        return f"| {self.name} | {self.queries} | {self.kept} | {self.single:.3f} | {' | '.join(cell for way in figures for cell in way)} |"


def routed(known: Outcomes, asked: Outcomes, plan: Plan) -> tuple[Weights, tuple[Floats, ...], Floats]:
    """Weights trained on the training part of `known`, scores_QL of `asked` by each of WAYS, and those of the best single LLM."""
    parts = {name: known.take(name) for name in ("train", "calibration", "validation")}
    weights = training.train(known.data.roster, parts["train"].embedded(), parts["validation"].embedded(), plan).weights
    scores = []
    for way in (replace(weights, fallback=None), weights):
        fixed = calibration.fit(way.logits(parts["calibration"].queries_QD), parts["calibration"].labels_QL)
        scores.append(fixed.probabilities(way.logits(asked.queries_QD)))
    single_L = np.nanmean(parts["train"].labels_QL, axis=0)
    return weights, tuple(scores), np.tile(single_L, (len(asked.queries_QD), 1))


def row(name: str, weights: Weights, scores: tuple[Floats, ...], single_QL: Floats, labels_QL: Labels) -> Row:
    """The figures of one group."""
    single_Q = metrics.quality(single_QL, labels_QL)
    return Row(
        name=name,
        queries=len(labels_QL),
        kept="none" if weights.fallback is None else f"{weights.fallback.kept:.1f}",
        single=metrics.mean(single_Q),
        gain=tuple(metrics.difference(metrics.quality(each, labels_QL), single_Q, resamples=RESAMPLES) for each in scores),
        highest=tuple(float(each.max(axis=1).mean()) for each in scores),
        ece=tuple(calibration.ece(each, labels_QL) for each in scores),
    )


def mean_row(name: str, rows: list[Row]) -> str:
    """The mean over groups, without intervals."""
    highest, ece = (np.mean([getattr(each, field) for each in rows], axis=0) for field in ("highest", "ece"))
    gains = np.mean([[gain.mean for gain in each.gain] for each in rows], axis=0)
    cells = [f"{value:.3f}" for way in zip(gains, highest, ece, strict=True) for value in way]
    return f"| {name} | {sum(each.queries for each in rows)} | | {np.mean([each.single for each in rows]):.3f} | {' | '.join(cells)} |"


def main() -> None:
    """Trains once on all groups and once without each, prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--except", dest="fault", metavar="LLM@GROUP", help="labels that are known to be at fault")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/unseen"))
    given = parser.parse_args()
    known = recorded.read(given)
    plan = replace(train.plan_of(params.load().train), fallback=True)
    groups_Q = known.data.queries["dataset"].to_numpy(dtype=np.str_)
    ways = " | ".join(f"gain {way} | highest score | ECE" for way in WAYS)
    lines = [f"`{machine.command()}`", "", f"| left out | queries | kept | best single | {ways} |", "|---" * 10 + "|"]
    test = known.take("test")
    lines.append(row("test split", *routed(known, test, plan), test.labels_QL).cells())
    rows, repaired = [], []
    fault_llm, _, fault_group = (given.fault or "").partition("@")
    for group in track(sorted(set(groups_Q)), description="leaving out"):
        asked = known.where(groups_Q == group)
        found = routed(known.where(groups_Q != group), asked, plan)
        rows.append(row(group, *found, asked.labels_QL))
        sound_L = np.array([group != fault_group or llm != fault_llm for llm in known.data.roster])
        repaired.append(row(group, *found, np.where(sound_L, asked.labels_QL, np.nan)))
        lines.append(rows[-1].cells())
        print(lines[-1], flush=True)
    lines.append(mean_row("mean of groups", rows))
    if given.fault:
        lines.append(mean_row(f"mean without the labels of {given.fault}", repaired))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "unseen.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
