"""Whether another policy's value can be told from traffic: `python -m benchmarks.off_policy FOLDER/SET ... [--resamples 200]`.

A recorded set has the outcome of every choice, so the truth is known. In ten worlds (`benchmarks.monitor.World`) a scorer is trained on
half of the queries; a fifth of them and more are traffic. The log asks by `mixture.choose.action.act`, as shipped, and each resample draws
its requests with replacement, whom chance asks, and which answers are audited. Targets: a cheaper dollar, another scorer (half of the
training queries, another penalty), and a pool without the LLM that is asked most. Outcomes: of all requests; of audits, explored answers
being drawn more often, as the monitor's audits are. Then: a direct model that says the opposite; a log without chance; a target beyond
delta. Beside the estimate: importance weighting as in the textbook, and the scorer's own forecast.
"""

import argparse
import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_set, report
from benchmarks.certificate import costs, present, read
from benchmarks.monitor import World
from benchmarks.report import BUILT
from mixture.choose.action import Circumstances, Explore, act
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate, rank
from mixture.llm import LLM
from mixture.price import Price
from monitoring.audits.audits import EXPLORED
from monitoring.policies import off_policy
from monitoring.policies.off_policy import Doubles, Logged
from registry import certificate
from scorer.errors import RouteMoAError

Rows = NDArray[np.intp]
WORLDS = 10
SHARE, DELTA = 0.1, 0.3  # of requests, and in right answers
DOLLAR, CHEAPER = 14, 18  # places in the certificate's grid of values of a dollar: the log's, and the target's
TARGETS = ("another dollar", "another scorer", "another pool")
COLUMNS = (
    *("set", "target", "outcomes", "requests", "differs", "refused", "bias, points", "covered", "half width, points"),
    *("by weights: bias", "covered", "half width", "forecast: bias"),
    *("difference: bias", "covered", "half width", "money: bias", "covered", "half width"),
    *("money's difference: covered", "half width"),
)
OUTCOMES = {"all": (1.0, 5_000), "10 % audited": (0.10, 10_000), "3 % audited": (0.03, 20_000)}
Z = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """The queries of one world's traffic: what the log does with them, and the truth. chosen_TQ: what each target asks."""

    labels_QL: Doubles
    cost_QL: Doubles
    scores_QL: Doubles
    expected_QL: Doubles
    propensity_QL: Doubles
    usual_Q: Rows
    chosen: dict[str, Rows]

    @classmethod
    def of(cls, world: World, cost_QL: Doubles, read_QL: Doubles, delta: float) -> "Traffic":
        """What the log does is decided by the product's own code."""
        rows = world.traffic
        expected_QL = read_QL[rows] + (cost_QL - read_QL)[world.training].mean(axis=0)
        grid = certificate.grid(expected_QL)
        usd = float(grid[DOLLAR])
        scores_QL = world.scores_QL.astype(np.float64)
        propensity_QL, usual_Q = logging_policy(world.roster, scores_QL[rows], expected_QL, usd, delta)
        other = copy.copy(world)
        other.training = world.training[::2]
        mine_QL = scores_QL[rows] - usd * expected_QL
        without = int(np.bincount(usual_Q, minlength=len(world.roster)).argmax())
        smaller_QL = mine_QL.copy()
        smaller_QL[:, without] = -np.inf
        rivals_QL = other.promises(ridge=3.0)[rows] - usd * expected_QL
        chosen = {
            "another dollar": (scores_QL[rows] - float(grid[CHEAPER]) * expected_QL).argmax(axis=1),
            "another scorer": rivals_QL.argmax(axis=1),
            "another pool": smaller_QL.argmax(axis=1),
            "the worst LLM": mine_QL.argmin(axis=1),
        }
        return cls(world.labels_QL[rows], cost_QL[rows], scores_QL[rows], expected_QL, propensity_QL, usual_Q, chosen)

    def without_chance(self) -> "Traffic":
        """The same log where nothing is left to chance."""
        return replace(self, propensity_QL=np.eye(self.labels_QL.shape[1])[self.usual_Q])


def logging_policy(roster: tuple[str, ...], scores_QL: Doubles, expected_QL: Doubles, usd: float, delta: float) -> tuple[Doubles, Rows]:
    """propensity_QL and usual_Q of `act` at this value of a dollar; an answer is of a million tokens, so that its price is its cost."""
    options = Options(k=1, max_layers=1, weights=Weights(1.0, usd, 0.0))
    place = {name: at for at, name in enumerate(roster)}
    propensity_QL, usual_Q = np.zeros(scores_QL.shape), np.zeros(len(scores_QL), dtype=np.intp)
    explore = Explore(SHARE, delta, None, why="")
    for at, (scores_L, expected_L) in enumerate(zip(scores_QL.tolist(), expected_QL.tolist(), strict=True)):
        candidates = [
            Candidate(LLM(name, name, Price(0.0, cost)), score, 0, 1_000_000)
            for name, cost, score in zip(roster, expected_L, scores_L, strict=True)
        ]
        _, action = act(rank(candidates, options), options, explore, Circumstances())
        usual_Q[at] = place[action.usual]
        for each in action.candidates:
            propensity_QL[at, place[each.llm]] = each.propensity
    return propensity_QL, usual_Q


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """N requests of some traffic: which queries, whom chance asked, whose outcome is looked at, and how likely that was."""

    traffic: Traffic
    query_N: Rows
    asked_N: Rows
    seen_N: NDArray[np.bool_]
    observed_N: Doubles

    @classmethod
    def of(cls, traffic: Traffic, audited: float, requests: int, random: np.random.Generator) -> "Log":
        """Explored answers are audited more often, the rest less, `audited` on average."""
        query_N = random.integers(len(traffic.usual_Q), size=requests)
        ladder_NL = traffic.propensity_QL[query_N].cumsum(axis=1)
        asked_N = (random.random(requests)[:, None] * ladder_NL[:, -1:] > ladder_NL).sum(axis=1)
        wanted_N = np.where(asked_N == traffic.usual_Q[query_N], 1.0, EXPLORED)
        observed_N = np.minimum(1.0, audited * wanted_N / wanted_N.mean()) if audited < 1 else np.ones(requests)
        return cls(traffic, query_N, asked_N, random.random(requests) < observed_N, observed_N)

    def as_seen_by(self, chosen_Q: Rows, values_QL: Doubles, forecast_QL: Doubles, *, money: bool = False) -> Logged:
        """The log for a target that asks `chosen_Q`."""
        at, chosen_N = self.query_N, chosen_Q[self.query_N]
        known_N = np.ones(len(at), dtype=bool) if money else self.seen_N
        return Logged(
            propensity_N=self.traffic.propensity_QL[at, self.asked_N],
            target_N=(self.asked_N == chosen_N).astype(np.float64),
            supported_N=(self.traffic.propensity_QL[at, chosen_N] > 0).astype(np.float64),
            differs_N=chosen_N != self.traffic.usual_Q[at],
            forecast_N=forecast_QL[at, chosen_N],
            logged_N=forecast_QL[at, self.asked_N],
            outcome_N=np.where(known_N, values_QL[at, self.asked_N], np.nan),
            observed_N=np.ones(len(at)) if money else self.observed_N,
        )


def textbook(logged: Logged) -> tuple[float, float]:
    """Importance weighting, not normalised, and its half width."""
    terms_N = np.where(logged.weight_N > 0, logged.weight_N * np.nan_to_num(logged.outcome_N), 0.0)
    return float(terms_N.mean()), Z * float(terms_N.std()) / len(terms_N) ** 0.5


def estimated(log: Log, target: str, forecast_QL: Doubles) -> dict[str, float]:
    """One log's figures for one target; those of quality, or of money, are missing where they are refused."""
    traffic = log.traffic
    chosen_Q, at = traffic.chosen[target], np.arange(len(traffic.usual_Q))
    truth = float(traffic.labels_QL[at, chosen_Q].mean())
    usual = float(traffic.labels_QL[at, traffic.usual_Q].mean())
    seen = log.as_seen_by(chosen_Q, traffic.labels_QL, forecast_QL)
    found = off_policy.value(seen)
    figures = {"refused": float(found.value is None), "differs": found.differs} | of_money(log, target)
    if found.value is None or found.low is None or found.high is None:
        return figures
    apart = off_policy.difference(seen, log.as_seen_by(traffic.usual_Q, traffic.labels_QL, forecast_QL))
    plain, half = textbook(seen)
    figures |= {
        "bias": found.value - truth,
        "covered": float(found.low <= truth <= found.high),
        "half": (found.high - found.low) / 2,
        "plain bias": plain - truth,
        "plain covered": float(abs(plain - truth) <= half),
        "plain half": half,
        "direct bias": (found.direct or 0.0) - truth,
    }
    if apart.value is not None and apart.low is not None and apart.high is not None:
        figures |= {
            "apart bias": apart.value - (truth - usual),
            "apart covered": float(apart.low <= truth - usual <= apart.high),
            "apart half": (apart.high - apart.low) / 2,
        }
    return figures


def of_money(log: Log, target: str) -> dict[str, float]:
    """The same of what requests cost, as shares of what they do in truth; and of the difference to what is usual."""
    traffic, at = log.traffic, np.arange(len(log.traffic.usual_Q))
    bills, usual_bills = (
        log.as_seen_by(chosen_Q, traffic.cost_QL, traffic.expected_QL, money=True) for chosen_Q in (traffic.chosen[target], traffic.usual_Q)
    )
    paid, usual = (float(traffic.cost_QL[at, chosen_Q].mean()) for chosen_Q in (traffic.chosen[target], traffic.usual_Q))
    money, saved = off_policy.value(bills, most=None), off_policy.difference(bills, usual_bills, most=None)
    figures: dict[str, float] = {}
    if money.value is not None and money.low is not None and money.high is not None:
        figures |= {
            "money bias": money.value / paid - 1,
            "money covered": float(money.low <= paid <= money.high),
            "money half": (money.high - money.low) / 2 / paid,
        }
    if saved.low is not None and saved.high is not None:
        figures |= {
            "saved covered": float(saved.low <= paid - usual <= saved.high),
            "saved half": (saved.high - saved.low) / 2 / usual,
        }
    return figures


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a target, of whose requests outcomes are known, and what the direct model is."""

    target: str
    outcomes: str
    forecast: str = "as promised"
    share: float = SHARE


CASES = (
    *(Case(target, outcomes) for target in TARGETS for outcomes in OUTCOMES),
    *(Case(target, "all", forecast="the opposite") for target in TARGETS),
    *(Case(target, "all", share=0.0) for target in TARGETS),
    Case("the worst LLM", "all"),
)


def rows(name: str, explored: list[Traffic], resamples: int) -> Iterator[tuple[list[Any], dict[str, float]]]:
    """A table row and its figures for each case."""
    traffics = {SHARE: explored, 0.0: [each.without_chance() for each in explored]}
    drawn: dict[Case, list[dict[str, float]]] = {case: [] for case in CASES}
    for number in range(resamples):
        for share, outcomes in dict.fromkeys((case.share, case.outcomes) for case in CASES):
            traffic, random = traffics[share][number % len(explored)], np.random.default_rng([number, 24])
            log = Log.of(traffic, *OUTCOMES[outcomes], random)
            for case in CASES:
                if (case.share, case.outcomes) == (share, outcomes):
                    forecast_QL = 1 - traffic.scores_QL if case.forecast == "the opposite" else traffic.scores_QL
                    drawn[case].append(estimated(log, case.target, forecast_QL))
    for case, found in drawn.items():
        names = sorted({each for figures in found for each in figures})
        mean = {each: float(np.mean([figures[each] for figures in found if each in figures])) for each in names}
        yield [name, _called(case), case.outcomes, f"{OUTCOMES[case.outcomes][1]:,}", *_cells(mean)], mean


def _called(case: Case) -> str:
    notes = ["forecast reversed"] * (case.forecast == "the opposite") + ["no exploration"] * (not case.share)
    return f"{case.target}{f' ({notes[0]})' if notes else ''}"


def _cells(mean: dict[str, float]) -> list[str]:
    order = ("differs", "refused", "bias", "covered", "half", "plain bias", "plain covered", "plain half", "direct bias")
    last = ("apart bias", "apart covered", "apart half", "money bias", "money covered", "money half", "saved covered", "saved half")
    shares = {"differs", "refused", "money half", "saved half", *(name for name in (*order, *last) if name.endswith("covered"))}

    def cell(name: str) -> str:
        if name not in mean:
            return ""
        if name in shares:
            return f"{mean[name]:.1%}"
        return f"{mean[name]:+.1%}" if name == "money bias" else f"{100 * mean[name]:{'+' if 'bias' in name else ''}.2f}"

    return [cell(name) for name in (*order, *last)]


def what_it_costs(explored: list[Traffic]) -> dict[str, float]:
    """Of exploring a SHARE of requests: money beyond the usual choices, as a share, and how quality changes."""
    money, quality, near = [], [], []
    for traffic in explored:
        at = np.arange(len(traffic.usual_Q))
        usual, mixed = traffic.cost_QL[at, traffic.usual_Q].mean(), (traffic.propensity_QL * traffic.cost_QL).sum(axis=1).mean()
        money.append(mixed / usual - 1)
        served = (traffic.propensity_QL * traffic.labels_QL).sum(axis=1).mean()
        quality.append(served - traffic.labels_QL[at, traffic.usual_Q].mean())
        near.append((traffic.propensity_QL > 0).sum(axis=1).mean())
    return {"money": float(np.mean(money)), "quality": float(np.mean(quality)), "LLMs within delta": float(np.mean(near))}


def main() -> None:
    """Prints and writes both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("build/dataset")])
    parser.add_argument("--queries", type=int, help="about so many of each set, by hash; else all")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--delta", type=float, default=DELTA, help="value that exploration may give up")
    parser.add_argument("--out", type=Path, default=BUILT / "off-policy")
    arguments = parser.parse_args()
    table: list[list[Any]] = []
    prices: list[list[Any]] = []
    blocks: list[str] = []
    results: dict[str, Any] = {}
    for folder in present(arguments.folders):
        try:
            data, queries_QD = read(folder, arguments.queries)
        except RouteMoAError as exc:
            sys.exit(str(exc))
        cost_QL, assumed = costs(data)
        prices_L = np.array([0.0 if assumed else llm.input_price for llm in data.llms])
        read_QL = np.outer(recorded_set.tokens(data.queries), prices_L) / 1e6  # what a server knows of a call's cost beforehand
        worlds = (World(data, queries_QD, seed) for seed in range(WORLDS))
        explored = [Traffic.of(world, cost_QL, read_QL, arguments.delta) for world in worlds]
        name = f"{folder.name}{f' ({assumed})' if assumed else ''}"
        for cells, figures in rows(name, explored, arguments.resamples):
            table.append(cells)
            results[f"{folder.name}/{cells[1]}/{cells[2]}"] = figures
        cost = what_it_costs(explored)
        results[f"{folder.name}/exploration"] = cost
        prices.append([name, f"{cost['LLMs within delta']:.1f}", f"{cost['money']:+.1%}", f"{100 * cost['quality']:+.2f}"])
        costs_of = report.table(["set", "LLMs within delta", "money", "quality, points"], prices)
        blocks = [f"`{report.command(*arguments.folders)}`", report.table(COLUMNS, table), costs_of]
        report.write(arguments.out, blocks, results)  # after each set: a long run that is cut short has said what it knows
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
