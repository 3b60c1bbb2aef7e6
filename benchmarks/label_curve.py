"""What each target owes to the number of labels: `python -m benchmarks.label_curve FOLDER [--prices PRICES] [--leave-out]`.

Of all queries but the test's (training, calibration and validation alike) a share keeps its labels; ours is trained on them and meets every
test query. A row a share: the mean of `--draws` draws of the queries, one where all are kept. Beside ECE stands what chance makes of
perfectly calibrated scores on these test queries, of LLMs that err independently: the mean over LLMs, and the worst of so many with the
interval that holds 95 % of such worsts. The last row is told each label. Everything is beside the LLM that is best by all labels.

`--leave-out` also leaves out each group and routes all of its queries, test or not. For its last row no group is left out, but a fifth of
all queries at a time: the same queries, routed by who has seen others of their group. Beside the LLM that is best by all other labels.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import costs, figures, machine, recorded, systems, unseen
from benchmarks.recorded import Outcomes
from benchmarks.systems import ORACLE, SINGLE, System
from benchmarks.tables import by_llm
from pipelines import params, train
from pipelines.dataset import Dataset
from pipelines.errors import TableRefused
from scorer import calibration, metrics
from scorer.metrics import Interval, Values
from scorer.start import Labels
from scorer.training import Plan

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
FOLDS = 5
RESAMPLES = 2000
DICE = 2000  # times that chance is drawn


@dataclass(frozen=True, slots=True)
class Draw:
    """One training on some queries' labels: quality per test query, each LLM's ECE and what chance makes of it, and best single LLM's
    quality matched: what is lacking to it, at what share of its cost (None: not matched, or nobody knows costs).
    """

    quality_Q: Values
    ece_L: Values
    chance_L: Values
    worst: Interval
    matched: tuple[Interval, Interval] | None


def others(known: Outcomes) -> NDArray[np.bool_]:
    """Which queries are not the test's."""
    return np.asarray(known.data.splits_Q != "test")


def thinned(known: Outcomes, share: float, seed: int) -> Outcomes:
    """`known` with this share of the queries that are not the test's.

    Raises TableRefused where an LLM is left without a training label.
    """
    places = np.random.default_rng(seed).permutation(np.flatnonzero(others(known)))
    keep_Q = ~others(known)
    keep_Q[places[: round(share * len(places))]] = True
    some = known.where(keep_Q)
    if (unknown_L := np.isnan(some.take("train").labels_QL).all(axis=0)).any():
        who = some.data.roster[int(unknown_L.argmax())]
        raise TableRefused(f"{share:.0%} of the labels leave none of {who!r}.", next_step="Leave it out (--without), or use --complete.")
    return some


def best_single(labels_QL: Labels, queries: int) -> NDArray[np.float64]:
    """Scores [queries, L] of always choosing the LLM that is best by these labels."""
    return np.tile(np.nanmean(labels_QL, axis=0), (queries, 1))


def drawn(some: Outcomes, whole: Outcomes, plan: Plan) -> Draw:
    """Ours trained on `some`, beside the LLM that is best by the labels of `whole`."""
    parts = systems.split(some.data)
    embedded = {name: some.take(*_splits(name)).queries_QD for name in parts}
    ours, test_QL = systems.ours(parts, embedded, plan), parts["test"].labels_QL
    scores_QL = ours.scores_SQL[0]
    return Draw(
        quality_Q=metrics.quality(scores_QL, test_QL),
        ece_L=np.array(by_llm(calibration.ece, scores_QL, test_QL)),
        chance_L=np.array(by_llm(calibration.chance_ece, scores_QL, test_QL)),
        worst=worst_by_chance(by_llm(calibration.reliability, scores_QL, test_QL)),
        matched=_matched(ours, parts, whole),
    )


def _splits(part: str) -> tuple[str, ...]:
    return ("calibration", "validation") if part == "held" else (part,)


def _matched(row: System, parts: dict[str, Dataset], whole: Outcomes) -> tuple[Interval, Interval] | None:
    money = costs.priced(parts)
    if money is None:
        return None
    label_QL = whole.take("train").labels_QL
    single = systems.told(SINGLE, *(best_single(label_QL, len(parts[part].queries)) for part in ("test", "held")))
    return costs.matched(row, single, parts, money)


def worst_by_chance(reliabilities: Sequence[Sequence[calibration.Reliability]]) -> Interval:
    """The largest ECE among LLMs whose scores are perfectly calibrated, each bin's mean off by N(0, s) on its own: its mean and where 95 %
    of it lie.
    """
    dice, by_chance = np.random.default_rng(0), []
    for bins in reliabilities:
        counts_B, spreads_B = np.array([(each.count, each.spread) for each in bins]).T
        off_NB = np.abs(dice.normal(size=(DICE, len(bins)))) * spreads_B / np.sqrt(counts_B)
        by_chance.append(off_NB @ counts_B / counts_B.sum())
    worst_N = np.max(by_chance, axis=0)
    low, high = np.quantile(worst_N, [0.025, 0.975])
    return Interval(float(worst_N.mean()), float(low), float(high))


def curve(known: Outcomes, plan: Plan, draws: int) -> dict[str, dict[str, Any]]:
    """A row a share of the labels, and the oracle's."""
    test_QL, held_QL = known.take("test").labels_QL, known.take("calibration", "validation").labels_QL
    single_Q = metrics.quality(best_single(known.take("train").labels_QL, len(test_QL)), test_QL)
    found = {}
    for share in track(SHARES, description="fewer labels"):
        each = [drawn(thinned(known, share, seed), known, plan) for seed in range(1 if share == 1 else draws)]
        found[str(round(share * others(known).sum()))] = {
            "gain": metrics.difference(np.mean([draw.quality_Q for draw in each], axis=0), single_Q, resamples=RESAMPLES),
            "ECE": _mean(draw.ece_L.mean() for draw in each),
            "by chance": _mean(draw.chance_L.mean() for draw in each),
            "worst LLM's ECE": _mean(draw.ece_L.max() for draw in each),
            "the worst by chance": Interval(*np.mean([(draw.worst.mean, draw.worst.low, draw.worst.high) for draw in each], axis=0)),
            **paid([draw.matched for draw in each]),
        }
    oracle = systems.told(ORACLE, *(np.nan_to_num(labels_QL) for labels_QL in (test_QL, held_QL)))
    gain = metrics.difference(metrics.quality(oracle.scores_SQL[0], test_QL), single_Q, resamples=RESAMPLES)
    unsaid = dict.fromkeys(("ECE", "by chance", "worst LLM's ECE", "the worst by chance"), "")
    return found | {"told each label": {"gain": gain, **unsaid, **paid([_matched(oracle, systems.split(known.data), known)])}}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def paid(matched: Sequence[tuple[Interval, Interval] | None]) -> dict[str, str]:
    """Best single LLM's quality: what is lacking to it and the share of its cost, the mean of the draws that match it (how many do not),
    with the interval of a single draw or the extremes of several.
    """
    reached = [each for each in matched if each is not None]
    missing = f", {len(matched) - len(reached)} of {len(matched)} not" if len(reached) < len(matched) else ""
    cells = [missing.removeprefix(", ")] * 2
    if len(reached) == 1:
        cells = [f"{each}{missing}" for each in reached[0]]
    elif reached:
        columns = ([each[which].mean for each in reached] for which in (0, 1))
        cells = [f"{np.mean(column):.3f} ({min(column):.3f} to {max(column):.3f}{missing})" for column in columns]
    return dict(zip(("matched − best single", "share of its cost"), cells, strict=True))


def left_out(known: Outcomes, plan: Plan, draws: int) -> dict[str, dict[str, Any]]:
    """A row a share of the labels: what groups that training did not see gain; and what their queries do where it saw others of theirs."""
    groups_Q = known.data.queries["dataset"].to_numpy(dtype=np.str_)
    groups = sorted(set(groups_Q))
    found = {}
    for share in SHARES:
        gained_Q = []
        for seed in range(1 if share == 1 else draws):
            kept = thinned(known, share, seed)
            kept_groups_Q = kept.data.queries["dataset"].to_numpy(dtype=np.str_)
            apart = [(kept.where(kept_groups_Q != group), known.where(groups_Q != group), groups_Q == group) for group in groups]
            gained_Q.append(_gained(known, apart, plan, f"leaving out, {share:.0%} of the labels"))
        found[str(round(share * others(known).sum()))] = _by_group(np.mean(gained_Q, axis=0), groups_Q)
    folds_Q = np.random.default_rng(0).integers(FOLDS, size=len(groups_Q))
    folds = [(known.where(folds_Q != fold), known.where(folds_Q != fold), folds_Q == fold) for fold in range(FOLDS)]
    return found | {"all, others of the group seen": _by_group(_gained(known, folds, plan, "leaving out a fifth"), groups_Q)}


def _gained(known: Outcomes, apart: Sequence[tuple[Outcomes, Outcomes, NDArray[np.bool_]]], plan: Plan, title: str) -> Values:
    """Gain of each query: (what is trained on, whose labels say who is best, which queries are routed), one part after the other."""
    gain_Q = np.full(len(known.queries_QD), np.nan)
    for some, rest, asked_Q in track(apart, description=title):
        asked = known.where(asked_Q)
        _, (scores_QL,), _ = unseen.routed(some, asked, plan, (plan.far_share,))
        single_QL = best_single(rest.take("train").labels_QL, len(asked.queries_QD))
        gain_Q[asked_Q] = metrics.quality(scores_QL, asked.labels_QL) - metrics.quality(single_QL, asked.labels_QL)
    return gain_Q


def _by_group(gain_Q: Values, groups_Q: NDArray[np.str_]) -> dict[str, Any]:
    return unseen.summary({group: metrics.interval(gain_Q[groups_Q == group], resamples=RESAMPLES) for group in sorted(set(groups_Q))})


def run(given: argparse.Namespace) -> str:
    """Trains on ever more labels and writes; returns what table.md says. Raises TableRefused."""
    known = recorded.read(recorded.wanted(given))
    plan = train.plan_of(params.load().train)
    tables = {"queries with labels": curve(known, plan, given.draws)}
    if given.leave_out:
        tables["queries with labels, the group's own counted"] = left_out(known, replace(plan, far_share=unseen.SHARES[1]), given.draws)
    sizes = f"{len(known.data.roster)} LLMs, {int((~others(known)).sum())} test queries; {given.draws} draws of fewer labels."
    shown = [f"`{machine.command(given.folder)}`", sizes, *(figures.table(head, rows) for head, rows in tables.items())]
    machine.write(given.out, shown, {"tables": figures.as_json(tables)}, ["torch", "numpy"])
    return "\n\n".join(shown)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = recorded.arguments(__doc__ or "", priced=True)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--leave-out", action="store_true", help="also route each group without training on it")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/label-curve"))
    print(run(parser.parse_args()))


if __name__ == "__main__":
    main()
