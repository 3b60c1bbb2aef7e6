"""What each target owes to the number of labels: `python -m benchmarks.label_curve FOLDER [--prices PRICES] [--leave-out]`.

Of all queries but the test's (training, calibration and validation alike) a share keeps its labels; ours is trained on them and meets every
test query. A row a share: the mean of `--draws` draws of the queries. Beside each figure stands what no number of labels could better: the
ECE that chance makes of perfectly calibrated scores on these test queries (mean over LLMs, and the worst of so many), and in the last row
the oracle. `--leave-out` also leaves out each group, of one draw, and routes it; the last row there has each group's test queries where it
was not left out. Gains are over the LLM that is best by all labels. Nothing is chosen here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import costs, figures, machine, recorded, systems, unseen
from benchmarks.recorded import Outcomes
from benchmarks.systems import ORACLE, SINGLE, System
from pipelines import params, train
from pipelines.comparison import OURS
from scorer import calibration, metrics
from scorer.training import Plan

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
RESAMPLES = 2000
DICE = 200  # times that chance is drawn
USUAL = unseen.SHARES.index(params.load().train.far_share)


@dataclass(frozen=True, slots=True)
class Draw:
    """One training on some queries' labels: quality per test query, by LLM with labels its ECE, and best single LLM's quality matched:
    what ours is off by, at what share of its cost (None: not matched, or nobody knows costs).
    """

    quality_Q: NDArray[np.float64]
    ece_L: NDArray[np.float64]
    chance_L: NDArray[np.float64]
    worst_chance: float
    matched: tuple[float, float] | None


def thinned(known: Outcomes, share: float, seed: int) -> Outcomes:
    """`known` with this share of the queries that are not the test's."""
    test_Q = known.data.splits_Q == "test"
    places = np.random.default_rng(seed).permutation(np.flatnonzero(~test_Q))
    keep_Q = test_Q.copy()
    keep_Q[places[: round(share * len(places))]] = True
    return known.where(keep_Q)


def drawn(known: Outcomes, plan: Plan) -> Draw:
    """Ours trained on `known` and tested on its test queries."""
    rows, labels_QL = _rows(known, plan), known.take("test").labels_QL
    scores_QL = rows[OURS].scores_SQL[0]
    labelled = np.flatnonzero((~np.isnan(labels_QL)).any(axis=0))
    pairs = [(scores_QL[:, [llm]], labels_QL[:, [llm]]) for llm in labelled]
    return Draw(
        quality_Q=metrics.quality(scores_QL, labels_QL),
        ece_L=np.array([calibration.ece(*pair) for pair in pairs]),
        chance_L=np.array([calibration.chance_ece(*pair) for pair in pairs]),
        worst_chance=worst_by_chance([calibration.reliability(*pair) for pair in pairs]),
        matched=_matched(rows, OURS, known),
    )


def _rows(known: Outcomes, plan: Plan) -> dict[str, System]:
    """Ours, the best single LLM and the oracle, by the labels of `known`."""
    parts = systems.split(known.data)
    embedded = {name: known.take(name).queries_QD for name in parts if name != "held"}
    embedded["held"] = known.take("calibration", "validation").queries_QD
    return systems.bounds(parts, embedded) | {OURS: systems.ours(parts, embedded, plan)}


def _matched(rows: Mapping[str, System], name: str, known: Outcomes) -> tuple[float, float] | None:
    """Best single LLM's quality matched by `name` (see `benchmarks.costs`)."""
    parts = systems.split(known.data)
    money = costs.priced(parts)
    if money is None:
        return None
    found = costs.compare({SINGLE: rows[SINGLE], OURS: rows[name]}, parts, money)[OURS]
    both = found.matched_difference, found.matched_share
    return None if both[0] is None or both[1] is None else (both[0].mean, both[1].mean)


def worst_by_chance(reliabilities: Iterable[tuple[calibration.Reliability, ...]]) -> float:
    """What chance makes of the largest ECE among LLMs whose scores are perfectly calibrated, each bin's mean off by N(0, s) on its own."""
    dice, by_llm = np.random.default_rng(0), []
    for bins in reliabilities:
        counts_B, spreads_B = np.array([(each.count, each.spread) for each in bins]).T
        off_NB = np.abs(dice.normal(size=(DICE, len(bins)))) * spreads_B / np.sqrt(counts_B)
        by_llm.append(off_NB @ counts_B / counts_B.sum())
    return float(np.max(by_llm, axis=0).mean())


def curve(known: Outcomes, plan: Plan, draws: int) -> dict[str, dict[str, Any]]:
    """A row a share of the labels, and the oracle's."""
    rows, test_QL = _rows(known, plan), known.take("test").labels_QL
    single_Q = metrics.quality(rows[SINGLE].scores_SQL[0], test_QL)
    others = int((known.data.splits_Q != "test").sum())
    found = {}
    for share in track(SHARES, description="fewer labels"):
        each = [drawn(thinned(known, share, seed), plan) for seed in range(1 if share == 1 else draws)]
        found[str(round(share * others))] = {
            "gain": metrics.difference(np.mean([draw.quality_Q for draw in each], axis=0), single_Q, resamples=RESAMPLES),
            "ECE": _mean(draw.ece_L.mean() for draw in each),
            "by chance": _mean(draw.chance_L.mean() for draw in each),
            "worst LLM's ECE": _mean(draw.ece_L.max() for draw in each),
            "the worst by chance": _mean(draw.worst_chance for draw in each),
            **paid([draw.matched for draw in each]),
        }
    best_Q = metrics.quality(rows[ORACLE].scores_SQL[0], test_QL)
    unknown = dict.fromkeys(("ECE", "by chance", "worst LLM's ECE", "the worst by chance"), "")
    oracle = {"gain": metrics.difference(best_Q, single_Q, resamples=RESAMPLES), **unknown, **paid([_matched(rows, ORACLE, known)])}
    return found | {"oracle, told each label": oracle}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def paid(matched: list[tuple[float, float] | None]) -> dict[str, str]:
    """Best single LLM's quality: what is lacking to it, and the share of its cost; means and extremes of the draws that matched it."""
    reached = [each for each in matched if each is not None]
    if not reached:
        return {"matched − best single": "", "share of its cost": ""}
    off, share = np.array(reached).T
    spread = f" ({share.min():.2f} to {share.max():.2f})" if len(reached) > 1 else ""
    missing = f", {len(matched) - len(reached)} not" if len(reached) < len(matched) else ""
    return {"matched − best single": f"{off.mean():.3f}", "share of its cost": f"{share.mean():.2f}{spread}{missing}"}


def left_out(known: Outcomes, plan: Plan) -> dict[str, dict[str, Any]]:
    """A row a share of the labels: what groups that training did not see gain; and what they do where it saw them."""
    groups_Q = known.data.queries["dataset"].to_numpy(dtype=np.str_)
    others = int((known.data.splits_Q != "test").sum())
    found = {}
    for share in SHARES:
        some = thinned(known, share, 0)
        some_groups_Q = some.data.queries["dataset"].to_numpy(dtype=np.str_)
        gains = {}
        for group in track(sorted(set(groups_Q)), description=f"leaving out, {share:.0%} of the labels"):
            far_Q, scores, single_QL = unseen.routed(some.where(some_groups_Q != group), known.where(groups_Q == group), plan)
            gains[group] = unseen.row(group, far_Q, scores, single_QL, known.labels_QL[groups_Q == group]).gain[USUAL]
        found[str(round(share * others))] = unseen.summary(gains)
    test = known.take("test")
    far_Q, scores, single_QL = unseen.routed(known, test, plan)
    test_groups_Q = test.data.queries["dataset"].to_numpy(dtype=np.str_)
    seen = {}
    for group in sorted(set(groups_Q) & set(test_groups_Q)):
        here_Q = test_groups_Q == group
        apart = (far_Q[here_Q], tuple(each[here_Q] for each in scores), single_QL[here_Q], test.labels_QL[here_Q])
        seen[group] = unseen.row(group, *apart).gain[USUAL]
    return found | {"all, none left out": unseen.summary(seen)}


def main() -> None:
    """Trains on ever more labels, prints and writes."""
    parser = recorded.arguments(__doc__ or "", priced=True)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--leave-out", action="store_true", help="also route each group without training on it")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/label-curve"))
    given = parser.parse_args()
    known = recorded.read(recorded.wanted(given))
    plan = train.plan_of(params.load().train)
    tables = {"queries with labels": curve(known, plan, given.draws)}
    if given.leave_out:
        tables["queries with labels, the groups' own counted"] = left_out(known, plan)
    sizes = f"{len(known.data.roster)} LLMs, {len(known.take('test').queries_QD)} test queries."
    shown = [f"`{machine.command(given.folder)}`", sizes]
    shown += [figures.table(head, rows) for head, rows in tables.items()]
    machine.write(given.out, shown, {"tables": figures.as_json(tables)}, ["torch", "numpy"])
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
