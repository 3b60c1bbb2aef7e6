"""Whether learning between retrainings pays: `python -m benchmarks.online FOLDER/SET ... [--seeds 20]`.

Each replay trains a scorer on half of a recorded set and draws requests from the rest; after a third of them nothing changes, the LLM that
is chosen most gives half of its right answers, an LLM joins by a row from 30 labels, or seven in ten requests are of a domain that nobody
trained on. Of each answer only the outcome of the LLM that was chosen may be seen, for all requests or for a share of them (audits). Beside
the frozen scorer: LinUCB and epsilon-greedy as GreenServ describes them, which are told the true task of every query, and LinUCB warm from
the scorer's own training labels, told the task or not. Rivals learn after every outcome, ours every 100 requests.

Figures are means over requests with 95 % intervals over replays, each policy against the frozen scorer on the same requests. Net utility:
quality less cost at a value of a dollar by which the usual call of the dearest LLM is worth .05 right answers. Regret: to who knows every
outcome beforehand. FOLDER/SET as in `benchmarks.certificate`; sets that are not there are named and skipped.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.certificate import costs, present, read
from benchmarks.online_policies import POLICIES, frozen, oracle
from benchmarks.online_world import SCENARIOS, Scenario, Stream, stream
from benchmarks.report import BUILT
from monitoring.quality import student
from scorer.errors import RouteMoAError
from scorer.metrics import Interval

Doubles = NDArray[np.float64]
COLUMNS = (
    *(
        "set",
        "outcomes seen",
        "what happens",
        "policy",
        "utility before, minus the frozen scorer's",
        "utility after, minus the frozen scorer's",
    ),
    *("quality after", "USD per 1,000 after", "regret after"),
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One policy on one stream: mean utility gained over the frozen scorer before and after the change, and what it is after it."""

    gained_before: float
    gained: float
    quality: float
    usd: float
    regret: float

    @classmethod
    def of(cls, made: Stream, chosen_T: NDArray[np.intp], frozen_T: NDArray[np.intp]) -> "Replayed":
        """Of its choices and the frozen scorer's."""
        at, after = np.arange(len(chosen_T)), slice(made.change, None)
        utility_TL = made.utility_TL
        gained_T = utility_TL[at, chosen_T] - utility_TL[at, frozen_T]
        missed_T = utility_TL.max(axis=1) - utility_TL[at, chosen_T]
        return cls(
            gained_before=float(gained_T[: made.change].mean()),
            gained=float(gained_T[after].mean()),
            quality=float(made.quality_TL[at, chosen_T][after].mean()),
            usd=1000.0 * float(made.usd_TL[at, chosen_T][after].mean()),
            regret=float(missed_T[after].mean()),
        )


def over_replays(values: list[float]) -> Interval:
    """Mean over replays with Student's 95 % interval."""
    values_N = np.array(values)
    half = student.quantile(0.975, len(values) - 1) * float(values_N.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return Interval(float(values_N.mean()), float(values_N.mean()) - half, float(values_N.mean()) + half)


def replays(
    folder: Path, scenario: Scenario, shares: tuple[float, ...], seeds: int, most: int | None
) -> Iterator[tuple[float, str, dict[str, Interval]]]:
    """Share of outcomes seen, policy and its figures."""
    data, queries_QD = read(folder, most)
    cost_QL, _ = costs(data)
    found: dict[tuple[float, str], list[Replayed]] = {}
    for seed in range(seeds):
        made = stream(data, queries_QD, cost_QL, scenario, seed)
        frozen_T = frozen(made, np.zeros(0, dtype=bool), np.random.default_rng(seed))
        for share in shares:
            revealed_T = np.random.default_rng([seed, 1]).random(len(frozen_T)) < share
            for name, policy in {**POLICIES, "oracle": oracle}.items():
                chosen_T = policy(made, revealed_T, np.random.default_rng([seed, 2]))
                found.setdefault((share, name), []).append(Replayed.of(made, chosen_T, frozen_T))
    for (share, name), each in found.items():
        yield share, name, {figure: over_replays([getattr(one, figure) for one in each]) for figure in Replayed.__slots__}


def row(set_name: str, share: float, scenario: Scenario, policy: str, figures: dict[str, Interval]) -> list[Any]:
    """For the table."""
    gains = ["" if policy == "frozen scorer" else _signed(figures[name]) for name in ("gained_before", "gained")]
    return [set_name, f"{share:.0%}", SCENARIOS[scenario], policy, *gains, *(figures[name].mean for name in ("quality", "usd", "regret"))]


def _signed(interval: Interval) -> str:
    return f"{interval.mean:+.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def headline(results: Mapping[str, Any]) -> str:
    """One row a set, share and policy: utility after what happens, minus the frozen scorer's, for each thing that happens."""
    gains = {tuple(name.split("/")): figures["gained"] for name, figures in results.items() if name.count("/") == 3}
    rows = {(folder, share, policy): None for folder, share, _, policy in gains if policy not in {"frozen scorer", "oracle"}}
    cells = [
        [
            folder,
            f"{float(share):.0%}",
            policy,
            *(_signed(Interval(*gains[at])) if at in gains else "" for at in _each(folder, share, policy)),
        ]
        for folder, share, policy in rows
    ]
    return report.table(["set", "outcomes seen", "policy", *SCENARIOS.values()], cells)


def _each(folder: str, share: str, policy: str) -> list[tuple[str, ...]]:
    return [(folder, share, scenario, policy) for scenario in SCENARIOS]


def main() -> None:
    """Prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("build/dataset")])
    parser.add_argument("--queries", type=int, help="about so many of each set, by hash; else all")
    parser.add_argument("--seeds", type=int, default=20, help="replays of each")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.05], help="of requests whose outcome is seen")
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--out", type=Path, default=BUILT / "online")
    arguments = parser.parse_args()
    rows: list[list[Any]] = []
    results: dict[str, Any] = {}
    blocks: list[str] = []
    began = time.process_time()
    for folder in present(arguments.folders):
        for scenario in arguments.scenarios:
            try:
                for share, policy, figures in replays(folder, scenario, tuple(arguments.shares), arguments.seeds, arguments.queries):
                    rows.append(row(folder.name, share, scenario, policy, figures))
                    results[f"{folder.name}/{share}/{scenario}/{policy}"] = report.as_json(figures)
            except RouteMoAError as exc:
                sys.exit(str(exc))
            blocks = [f"`{report.command(*arguments.folders)}`", headline(results), report.table(COLUMNS, rows)]
            results["cpu_s"] = round(time.process_time() - began, 1)
            report.write(arguments.out, blocks, results)  # after each: a long run that is cut short has said what it knows
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
