"""Traffic that shifts under a certificate: is it void before it is wrong? Part of `python -m benchmarks.certificate`.

A replay leaves one domain out of training and certifies on held-out queries of the others, at the least floor that passes. Traffic of those
comes first, then half of it is of the domain left out: the one of a handful where the certified setting loses most. The monitor looks as it
ships; the certificate covers every query until its verdict. It is wrong where the setting loses more than the floor on the queries that it
covered, on average.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.monitor import World
from monitoring import certificate_void
from monitoring.drift import policy, window
from monitoring.drift.policy import Policy
from monitoring.drift.verdict import decide
from pipelines.dataset import Dataset
from registry import certificate
from registry.betting import Values
from registry.certificate import Promise
from scorer.types import Floats

Choices = Callable[[World, Values, NDArray[np.intp]], tuple[Values, Values, NDArray[np.intp]]]
FLOORS = (0.01, 0.02, 0.05, 0.10, 0.20)
BEFORE = (100, 600)  # queries of the certified mix, at least and at most
AFTER = 1_500
SHARE = 0.5  # of the traffic after the shift
TRIED = 5  # domains, the largest
COLUMNS = (
    "replays certified",
    "loses after the shift, points",
    "floor, points",
    "void",
    "queries from shift to void",
    "wrong",
    "wrong if kept",
)


@dataclass(frozen=True, slots=True)
class Shifted:
    """Means over replays that were certified: what is lost after the shift, floor, shares that were void, wrong, and wrong were it kept.

    queries: median from the shift to the void, None where none was void after it.
    """

    certified: int
    loses: float
    floor: float
    void: float
    queries: float | None
    wrong: float
    wrong_if_kept: float

    def cells(self) -> list[Any]:
        """For a table."""
        waited = "" if self.queries is None else f"{self.queries:.0f}"
        points = [f"{100 * self.loses:+.1f}", f"{100 * self.floor:.1f}"]
        return [self.certified, *points, f"{self.void:.0%}", waited, f"{self.wrong:.0%}", f"{self.wrong_if_kept:.0%}"]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def replays(data: Dataset, queries_QD: Floats, cost_QL: Values, count: int, choices: Choices) -> Shifted:
    """Each replay another cut."""
    rules, found = policy.load(Path("params.yaml")), []
    names, sizes = np.unique(data.queries["dataset"], return_counts=True)
    candidates = [str(name) for name in names[np.argsort(-sizes)][:TRIED]] if len(names) > 1 else []
    for seed in range(count):
        worlds = [(name, World(data, queries_QD, seed, unknown=(name,))) for name in candidates]
        worst = min(worlds, key=lambda pair: _loss(pair[1], cost_QL, choices), default=None)
        replayed = None if worst is None else _replay(worst[1], cost_QL, choices, rules)
        found += [] if replayed is None else [replayed]
    if not found:
        return Shifted(0, float("nan"), float("nan"), float("nan"), None, float("nan"), float("nan"))
    loses, floors, voids, waits, wrongs, kept = zip(*found, strict=True)
    waited = [wait for wait, void in zip(waits, voids, strict=True) if void and wait > 0]
    return Shifted(
        certified=len(found),
        loses=float(np.mean(loses)),
        floor=float(np.mean(floors)),
        void=float(np.mean(voids)),
        queries=float(np.median(waited)) if waited else None,
        wrong=float(np.mean(wrongs)),
        wrong_if_kept=float(np.mean(kept)),
    )


def _loss(world: World, cost_QL: Values, choices: Choices) -> float:
    """What the certified setting brings on the domain left out; infinite where none is certified."""
    passed = _certified(world, cost_QL, choices)
    return np.inf if passed is None else float(choices(world, cost_QL, world.strange)[0][passed[0]].mean())


def _certified(world: World, cost_QL: Values, choices: Choices) -> tuple[int, float] | None:
    """The setting and the least floor that the held-out queries certify."""
    difference_SN = choices(world, cost_QL, world.held_out)[0]
    for floor in FLOORS:
        passed = certificate.sequence(difference_SN, Promise(floor))
        if passed:
            return passed - 1, floor
    return None


def _replay(world: World, cost_QL: Values, choices: Choices, rules: Policy) -> tuple[float, float, bool, int, bool, bool] | None:
    """Lost after the shift, floor, void or not, queries from the shift to the void, wrong over what it covered, and over all."""
    passed = _certified(world, cost_QL, choices)
    if passed is None:
        return None
    at, floor = passed
    before = int(world.rng.integers(*BEFORE))
    strange = world.rng.random(AFTER) < SHARE
    later = np.where(strange, world.rng.choice(world.strange, AFTER), world.rng.choice(world.traffic, AFTER))
    rows = np.concatenate([world.rng.choice(world.traffic, before), later]).astype(np.intp)
    old, new = (float(choices(world, cost_QL, part)[0][at].mean()) for part in (world.traffic, world.strange))
    shifted = (1 - SHARE) * old + SHARE * new  # what a query after the shift brings on average
    end = _void_at(world, rows, rules)
    covered = len(rows) if end is None else end

    def mean(queries: int) -> float:
        return (min(queries, before) * old + max(0, queries - before) * shifted) / queries

    return shifted, floor, end is not None, covered - before, mean(covered) < -floor, mean(len(rows)) < -floor


def _void_at(world: World, rows: NDArray[np.intp], rules: Policy) -> int | None:
    """After how many queries the monitor makes the certificate void, None where it never does."""
    profile, records = world.profile(), [replace(record, outcome=None) for record in world.records(rows)]
    for index, first in enumerate(range(0, len(records), rules.window)):
        for size in rules.looks:
            part = records[first : first + size]
            if len(part) < size:
                return None
            if certificate_void.reasons(decide(window.measure(part, profile, rules, scorer_version="1", index=index).stats, rules)):
                return first + size
    return None
