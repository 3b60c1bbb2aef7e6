"""Whether certificates hold: `python -m benchmarks.certificate [FOLDER/SET ...] [--draws 1000] [--shift 20]`.

Each of ten worlds a set trains a scorer (ridge on the embeddings) on half of the queries; the rest is the population, whose mean is the
truth. Draws with replacement of as many queries as a test split has certify. A violation: what is certified loses more than the floor on
the population. Beside it: Hoeffding's bound in place of betting, and the rule without a bound, the cheapest setting that was not measured
below the floor. Money: cost of what would be served, as a share of always asking the best LLM, which is served where nothing is certified.

Shift (`benchmarks.certificate_shift`): traffic moves to the domain where the certified setting loses most, which training never saw.
FOLDER/SET names a folder of recorded outcomes called as a file of benchmarks/sets (with _ for -); build/dataset is the default pool.
Sets that are not there are named and skipped.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import certificate_shift, recorded_set, report
from benchmarks.monitor import World
from benchmarks.report import BUILT
from benchmarks.set_file import read_reading
from pipelines import certify, embeddings, params
from pipelines.dataset import Dataset
from registry import betting, certificate
from registry.betting import Values
from registry.certificate import Promise
from scorer.errors import RouteMoAError
from scorer.types import Floats

SETS = {  # folder -> file of benchmarks/sets
    "llmrouter_dc": "llmrouter-dc",
    "mmlu_pro": "mmlu-pro-b",
    "zeroeval": "zeroeval",
    "halluqa": "halluqa",
    "dataset": "default-pool",
}
WORLDS = 10
TEST_SHARE = 0.2  # of all queries: what a test split has
FLOORS = (0.01, 0.02, 0.05)
DEARER_BY = 4.0  # decades for a whole point of quality, where a set has no prices: the best LLM is taken for the dearest

Test = Callable[[Values, float, float], bool]


@dataclass(frozen=True, slots=True)
class Population:
    """One world's choices: difference_SN to the best LLM and cost_S as a share of its cost, on queries that no scorer trained on."""

    difference_SN: Values
    cost_S: Values

    @classmethod
    def of(cls, world: World, cost_QL: Values) -> "Population":
        """Settings from the costs of training queries, the best LLM by their labels."""
        rest = np.concatenate([world.held_out, world.traffic])
        return cls(*choices(world, cost_QL, rest)[:2])


def choices(world: World, cost_QL: Values, rows: NDArray[np.intp]) -> tuple[Values, Values, NDArray[np.intp]]:
    """difference_SN, cost_S and chosen_SN on the queries `rows`."""
    best = int(world.labels_QL[world.training].mean(axis=0).argmax())
    expected_L = cost_QL[world.training].mean(axis=0)
    usd_S = certificate.grid(expected_L[None])
    chosen_SN = certify.choices(world.scores_QL[rows], np.tile(expected_L, (len(rows), 1)), usd_S)
    labels_NL, costs_NL = world.labels_QL[rows], cost_QL[rows]
    at = np.arange(len(rows))
    difference_SN = np.array([labels_NL[at, chosen_N] - labels_NL[:, best] for chosen_N in chosen_SN])
    cost_S = np.array([costs_NL[at, chosen_N].sum() for chosen_N in chosen_SN]) / costs_NL[:, best].sum()
    return difference_SN, cost_S, chosen_SN


def hoeffding(differences_N: Values, floor: float, alpha: float) -> bool:
    """Rejects by Hoeffding's inequality on [-1, 1]."""
    return bool(differences_N.mean() - math.sqrt(2 * math.log(1 / alpha) / len(differences_N)) >= -floor)


def last_passing(difference_SN: Values, promise: Promise, test: Test) -> int | None:
    """The setting that fixed-sequence testing ends at, None where the first fails."""
    for at, difference_N in enumerate(difference_SN):
        if not test(difference_N, promise.floor, promise.alpha):
            return at - 1 if at else None
    return len(difference_SN) - 1


def without_a_bound(difference_SN: Values, promise: Promise) -> int | None:
    """The cheapest setting whose measured mean is not below the floor."""
    passing = np.flatnonzero(difference_SN.mean(axis=1) >= -promise.floor)
    return int(passing[-1]) if len(passing) else None


RULES: dict[str, Callable[[Values, Promise], int | None]] = {
    "certified": lambda difference_SN, promise: last_passing(difference_SN, promise, betting.rejects),
    "by Hoeffding": lambda difference_SN, promise: last_passing(difference_SN, promise, hoeffding),
    "no bound": without_a_bound,
}


def resplits(populations: list[Population], labels: int, draws: int, floor: float) -> dict[str, dict[str, float]]:
    """Of each rule: share of draws where it serves a setting at all, where that violates the floor, and the mean share of cost."""
    promise, random = Promise(floor), np.random.default_rng(0)
    found: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in RULES}
    for draw in range(draws):
        population = populations[draw % len(populations)]
        sample = random.integers(population.difference_SN.shape[1], size=labels)
        drawn_SN, truth_S = population.difference_SN[:, sample], population.difference_SN.mean(axis=1)
        for name, rule in RULES.items():
            at = rule(drawn_SN, promise)
            found[name].append((False, False, 1.0) if at is None else (True, bool(truth_S[at] < -floor), float(population.cost_S[at])))
    return {name: dict(zip(("served", "violated", "cost"), map(float, np.mean(rows, axis=0)), strict=True)) for name, rows in found.items()}


def costs(data: Dataset) -> tuple[Values, str]:
    """cost_QL and what was assumed of it."""
    if np.isfinite(data.cost_QL).all():
        return data.cost_QL, ""
    assumed_L = 10 ** (DEARER_BY * np.nanmean(data.take("train").labels_QL, axis=0))
    return np.tile(assumed_L, (len(data.queries), 1)), "prices assumed"


def read(folder: Path, most: int | None) -> tuple[Dataset, Floats]:
    """Queries with a label of every LLM, about `most` of them, and their embeddings. Raises TableRefused."""
    data = recorded_set.read(folder, read_reading(Path("benchmarks/sets") / f"{SETS[folder.name]}.yaml"))
    data = recorded_set.first_by_hash(data.where(np.asarray(np.isfinite(data.labels_QL).all(axis=1))), most)
    dims = embeddings.load_encoder(params.load(Path("params.yaml")).train).dims
    return data, recorded_set.embedded(data.queries)[:, :dims]  # the text features behind it are no drift


def rows(folder: Path, draws: int, shift: int, most: int | None) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """A table row and its figures for each floor, then for the shift."""
    data, queries_QD = read(folder, most)
    cost_QL, assumed = costs(data)
    worlds = [World(data, queries_QD, seed) for seed in range(WORLDS)]
    populations = [Population.of(world, cost_QL) for world in worlds]
    labels = int(TEST_SHARE * len(data.queries))
    name = f"{folder.name}{f' ({assumed})' if assumed else ''}"
    for floor in FLOORS:
        figures = resplits(populations, labels, draws, floor)
        cells = [f"{figures[rule][figure]:.1%}" for rule in RULES for figure in ("served", "violated", "cost")]
        yield "resplits", [name, len(data.roster), f"{labels:,}", certificate.points(floor), *cells], figures
    if shift:
        found = certificate_shift.replays(data, queries_QD, cost_QL, shift, choices)
        yield "shift", [name, *found.cells()], found.as_dict()


def present(folders: Iterable[Path]) -> Iterator[Path]:
    """Those of `folders` that are there; says which are not, and ends where a name is no set's."""
    for folder in folders:
        if folder.name not in SETS:
            sys.exit(f"{folder}: no set is called so. Name folders called {', '.join(SETS)}.")
        if folder.is_dir():
            yield folder
        else:
            print(f"skipped: {folder} is not there", file=sys.stderr)


def main() -> None:
    """Prints and writes both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("build/dataset")])
    parser.add_argument("--queries", type=int, help="about so many of each set, by hash; else all")
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--shift", type=int, default=20, help="replays of traffic that shifts, a set; 0: none")
    parser.add_argument("--out", type=Path, default=BUILT / "certificate")
    arguments = parser.parse_args()
    tables: dict[str, list[list[Any]]] = {"resplits": [], "shift": []}
    columns = ["set", "LLMs", "labels", "floor", *(f"{rule}: {figure}" for rule in RULES for figure in ("served", "violated", "cost"))]
    blocks: list[str] = []
    results: dict[str, Any] = {}
    for folder in present(arguments.folders):
        try:
            for table, cells, figures in rows(folder, arguments.draws, arguments.shift, arguments.queries):
                tables[table].append(cells)
                results[f"{folder.name}/{table}/{cells[3]}"] = figures
        except RouteMoAError as exc:
            sys.exit(str(exc))
        blocks = [f"`{report.command(*arguments.folders)}`", report.table(columns, tables["resplits"])]
        blocks += [report.table(["set", *certificate_shift.COLUMNS], tables["shift"])] if tables["shift"] else []
        report.write(arguments.out, blocks, results)  # after each set: a long run that is cut short has said what it knows
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
