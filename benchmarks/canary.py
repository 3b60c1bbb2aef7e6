"""Whether a canary ends when it should: `python -m benchmarks.canary [FOLDER/SET ...] [--replays 400]`.

Two scorers (ridge on the embeddings of either half of the training queries) choose the LLM they promise most for. Each replay draws 20,000
requests from the queries that no scorer trained on, a tenth of them for the canary; audits are drawn as the monitor draws them, and the
test (`monitoring.policies.canary`) is looked at after every one. *As good*: for each request a coin says which scorer is the champion's and
which the canary's, so that neither is better. *Worse*: the canary is the champion, but on a share of queries it asks the worst LLM,
so that it is worse by so many points in truth. *Shuffled*: its scores are those of the LLM beside.

Beside it, on the same audits: Welch's test at 5 % looked at after every audit (from ten of either version on), and once, after the last.
FOLDER/SET names a folder of recorded outcomes as `benchmarks.certificate` takes them; build/dataset is the default pool.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.certificate import present, read
from benchmarks.monitor import RIDGE, World
from benchmarks.report import BUILT
from monitoring.policies import canary
from monitoring.policies.canary import BETS, BOUNDED, MEANS, STEP, Arm, differing
from registry.canary_plan import CanaryPlan
from scorer.errors import RouteMoAError

Doubles = NDArray[np.float64]
Choices = NDArray[np.intp]

REQUESTS = 20_000  # of a replay
LEAST = 10  # audits of either version before Welch's test is looked at
COLUMNS = (
    "canary",
    "audited",
    "in truth, points",
    "differ",
    "rolled back",
    "canary's requests until then",
    "audits until then",
    "may be promoted",
    "canary's requests until then",
    "Welch at every look",
    "Welch once",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A kind of canary. choices: of champion and canary for every query. tossed: whether a coin says for each request whose is whose."""

    name: str
    choices: Callable[[World, np.random.Generator], tuple[Choices, Choices]]
    tossed: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """Canary's requests and audits of both when it ended, NaN where it did not; Welch's verdicts; what is true of the choices."""

    worse: float
    audits: float
    not_worse: float
    welch: bool
    welch_once: bool
    truth: float
    differ: float


def half(world: World, part: int) -> Choices:
    """Choices of a scorer that learned on half of the training queries."""
    rows = world.training[part::2]
    features_RD, mean_L = world.queries_QD[rows], world.labels_QL[rows].mean(axis=0)
    gram_DD = features_RD.T @ features_RD + RIDGE * np.eye(features_RD.shape[1])
    weights_DL = np.linalg.solve(gram_DD, features_RD.T @ (world.labels_QL[rows] - mean_L))
    chosen_Q: Choices = (world.queries_QD @ weights_DL + mean_L).argmax(axis=1)
    return chosen_Q


def two_halves(world: World, _: np.random.Generator) -> tuple[Choices, Choices]:
    """Of either half's scorer."""
    return half(world, 0), half(world, 1)


def worse_by(points: float) -> Callable[[World, np.random.Generator], tuple[Choices, Choices]]:
    """The worst LLM answers so many queries in place of the chosen one that the loss on all of them is `points`."""

    def choices(world: World, random: np.random.Generator) -> tuple[Choices, Choices]:
        chosen_Q, at = world.scores_QL.argmax(axis=1), np.arange(len(world.scores_QL))
        worst = int(world.labels_QL[world.training].mean(axis=0).argmin())
        lost = float((world.labels_QL[at, chosen_Q] - world.labels_QL[:, worst])[world.traffic].mean())
        return chosen_Q, np.where(random.random(len(chosen_Q)) < points / lost, worst, chosen_Q)

    return choices


def shuffled(world: World, _: np.random.Generator) -> tuple[Choices, Choices]:
    """Each LLM gets its neighbour's score."""
    chosen_Q = world.scores_QL.argmax(axis=1)
    return chosen_Q, (chosen_Q + 1) % world.scores_QL.shape[1]


SETTINGS = (
    Setting("as good", two_halves, tossed=True),
    Setting("2 points worse", worse_by(0.02)),
    Setting("5 points worse", worse_by(0.05)),
    Setting("10 points worse", worse_by(0.10)),
    Setting("scores shuffled", shuffled),
)


def replay(world: World, setting: Setting, plan: CanaryPlan, seed: int) -> Replay:
    """One stretch of traffic, a session a request."""
    random = np.random.default_rng(seed)
    ours_Q, theirs_Q = setting.choices(world, random)
    quality = [world.labels_QL[world.traffic, each_Q[world.traffic]].mean() for each_Q in (ours_Q, theirs_Q)]
    rows = random.choice(world.traffic, REQUESTS)
    tails_N = random.random(REQUESTS) < (0.5 if setting.tossed else 0.0)
    ours_N, theirs_N = np.where(tails_N, theirs_Q[rows], ours_Q[rows]), np.where(tails_N, ours_Q[rows], theirs_Q[rows])
    canary_N, differ_N = random.random(REQUESTS) < plan.share, ours_N != theirs_N
    audited_N = differ_N & (random.random(REQUESTS) < np.where(canary_N, plan.audited, plan.champion_audited))
    grade_N = world.labels_QL[rows, np.where(canary_N, theirs_N, ours_N)].astype(np.float64)
    at_M = np.flatnonzero(audited_N)
    worse_M, not_worse_M = odds_after_each(grade_N[at_M], canary_N[at_M], differ_N, at_M, plan)
    needed = 1 / (1 - plan.confidence)
    first, passed = first_at(worse_M >= needed), first_at(not_worse_M >= needed)
    asked_N = canary_N.cumsum()
    welch_M = welch_after_each(grade_N[at_M], canary_N[at_M])
    return Replay(
        worse=math.nan if first is None else float(asked_N[at_M[first]]),
        audits=math.nan if first is None else float(first + 1),
        not_worse=math.nan if passed is None else float(asked_N[at_M[passed]]),
        welch=bool((welch_M < 1 - plan.confidence).any()),
        welch_once=bool(len(welch_M) and welch_M[-1] < 1 - plan.confidence),
        truth=0.0 if setting.tossed else float(quality[1] - quality[0]),
        differ=float(differ_N.mean()),
    )


def odds_after_each(
    grade_M: Doubles, canary_M: NDArray[np.bool_], differ_N: NDArray[np.bool_], at_M: Choices, plan: CanaryPlan
) -> tuple[Doubles, Doubles]:
    """The odds after each of M audits; the last are those of `monitoring.policies.canary`, or this raises."""
    seen = differ_N.cumsum()
    bounds = [differing(int(seen[at]), int(at) + 1, BOUNDED * (1 - plan.confidence))[1] for at in at_M]
    low_C, high_C = MEANS[:-1], MEANS[1:]

    def running(gain_MC: Doubles, most_C: Doubles, of_M: NDArray[np.bool_]) -> Doubles:
        log_BMC = np.log1p(BETS[:, None, None] * np.where(of_M[:, None], gain_MC * most_C, 0.0)).cumsum(axis=1)
        log_MC: Doubles = np.logaddexp.reduce(log_BMC, axis=0) - math.log(len(BETS))
        return log_MC

    below_C = 1 / np.maximum(1 - low_C, STEP)
    worse_MC = running(grade_M[:, None] - high_C, 1 / high_C, ~canary_M) + running(low_C - grade_M[:, None], below_C, canary_M)
    worse_M = (1 - BOUNDED) * np.exp(np.minimum(worse_MC.min(axis=1), canary.MOST_LOG))
    not_worse_M = np.zeros(len(grade_M))
    champion_MC = running(low_C - grade_M[:, None], below_C, ~canary_M)
    for at in sorted(set(np.geomspace(10, max(len(grade_M), 10), 40).astype(int) - 1)):  # the floor among them moves: fewer looks are taken
        if at >= len(grade_M):
            continue
        floor = plan.floor / bounds[at]
        able_C = high_C > floor
        theirs = Arm(grade_M[: at + 1][canary_M[: at + 1]], np.ones(int(canary_M[: at + 1].sum())))
        log_C = champion_MC[at, able_C] + theirs.above(high_C[able_C] - floor)
        not_worse_M[at] = (1 - BOUNDED) * math.exp(min(float(log_C.min()), canary.MOST_LOG))
    arms = [Arm(grade_M[of_M], np.ones(int(of_M.sum()))) for of_M in (~canary_M, canary_M)]
    shipped = canary.odds(*arms, harm=0.0, floor=1.0).worse * (1 - BOUNDED)
    if len(grade_M) and not math.isclose(shipped, float(worse_M[-1]), rel_tol=1e-6):
        raise AssertionError(f"odds of {worse_M[-1]} here and {shipped} in monitoring.policies.canary")
    return worse_M, not_worse_M


def welch_after_each(grade_M: Doubles, canary_M: NDArray[np.bool_]) -> Doubles:
    """One-sided p-values of Welch's test that the canary is worse, after each audit from LEAST of either on (normal tail)."""
    counts, sums, squares = (
        np.stack([(value_M * of_M).cumsum() for of_M in (~canary_M, canary_M)]) for value_M in (np.ones_like(grade_M), grade_M, grade_M**2)
    )
    enough_M = (counts >= LEAST).all(axis=0)
    counts, sums, squares = counts[:, enough_M], sums[:, enough_M], squares[:, enough_M]
    mean = sums / counts
    error = np.sqrt(((squares / counts - mean**2) / (counts - 1)).sum(axis=0))
    z_M = (mean[1] - mean[0]) / np.maximum(error, 1e-12)
    return np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in z_M])


def first_at(true_M: NDArray[np.bool_]) -> int | None:
    """The first place where it holds."""
    return int(true_M.argmax()) if true_M.any() else None


def rows(folder: Path, replays: int, most: int | None, audited: float) -> list[tuple[list[Any], dict[str, Any]]]:
    """A table row and its figures for each kind of canary and each share of audits."""
    data, queries_QD = read(folder, most)
    worlds = [World(data, queries_QD, seed) for seed in range(10)]
    found = []
    plan = CanaryPlan(audited=audited)
    for setting in SETTINGS:
        figures = summary([replay(worlds[seed % len(worlds)], setting, plan, seed) for seed in range(replays)])
        cells = [
            folder.name,
            setting.name,
            f"{audited:.0%}",
            f"{100 * figures['truth']:+.1f}",
            f"{figures['differ']:.0%}",
            f"{figures['rolled_back']:.1%}",
            _number(figures["requests"]),
            _number(figures["audits"]),
            f"{figures['passed']:.1%}",
            _number(figures["requests_passed"]),
            f"{figures['welch']:.1%}",
            f"{figures['welch_once']:.1%}",
        ]
        found.append((cells, figures))
    return found


def summary(seen: list[Replay]) -> dict[str, float]:
    """Shares and medians of replays; the median counts those that did not end as endless."""
    worse, audits, passed = (np.array([getattr(each, name) for each in seen]) for name in ("worse", "audits", "not_worse"))
    return {
        "truth": float(np.mean([each.truth for each in seen])),
        "differ": float(np.mean([each.differ for each in seen])),
        "rolled_back": float(np.mean(~np.isnan(worse))),
        "requests": _median(worse),
        "audits": _median(audits),
        "passed": float(np.mean(~np.isnan(passed))),
        "requests_passed": _median(passed),
        "welch": float(np.mean([each.welch for each in seen])),
        "welch_once": float(np.mean([each.welch_once for each in seen])),
    }


def _median(values: Doubles) -> float:
    median = float(np.median(np.where(np.isnan(values), np.inf, values)))
    return median if math.isfinite(median) else math.nan


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.0f}"


def main() -> None:
    """Prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("build/dataset")])
    parser.add_argument("--queries", type=int, help="about so many of each set, by hash; else all")
    parser.add_argument("--replays", type=int, default=400)
    parser.add_argument("--audited", type=float, default=0.2, help="share of the canary's answers that are audited, where choices differ")
    parser.add_argument("--out", type=Path, default=BUILT / "canary")
    arguments = parser.parse_args()
    cells: list[list[Any]] = []
    results: dict[str, Any] = {}
    blocks: list[str] = []
    for folder in present(arguments.folders):
        try:
            for row, figures in rows(folder, arguments.replays, arguments.queries, arguments.audited):
                cells.append(row)
                results[f"{folder.name}/{row[1]}/{row[2]}"] = figures
        except RouteMoAError as exc:
            sys.exit(str(exc))
        blocks = [f"`{report.command(*arguments.folders)}`", report.table(["set", *COLUMNS], cells)]
        report.write(arguments.out, blocks, results)  # after each set: a long run that is cut short has said what it knows
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
