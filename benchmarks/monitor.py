"""Whether verdicts mean what they say: `python -m benchmarks.monitor FOLDER [--set FILE]`.

FOLDER holds recorded outcomes, or is a dataset of the stage `assemble`. Each replay cuts the queries anew: a scorer is trained on some
(ridge on the embeddings), others are held out, the rest are traffic. Domains are the recorded tasks.

Windows, through `measure` and `decide` as shipped: the share of windows whose looks, all of them, ever say more than `keep`.
Audits, through `promises.bet`, of outcomes drawn from the promises: the share of scorer versions that are ever called `watch` or
`retrain`, by the number of requests, some of which are audited.
Estimate: quality of 500 answers from 60 audits, as they are drawn and as traffic comes, from a broken forecast, and from a judge that
people check: bias, coverage of the 95 % interval, its width beside the plain mean's of as many random labels, and what forecast and domains
explain. `--only estimate` leaves the rest out.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_set, report, set_file
from monitoring.audits import audits as audits_drawn
from monitoring.drift import policy, promises, window
from monitoring.drift.policy import Policy
from monitoring.drift.profile import ReferenceProfile
from monitoring.drift.verdict import Kind, decide
from monitoring.quality import quality, student
from monitoring.quality.answers import Answers
from monitoring.records.record import AUDIT, Outcome, Record
from pipelines import embeddings, params
from pipelines.dataset import Dataset
from scorer.types import Floats

Rows = NDArray[np.intp]
RIDGE = 30.0
AUDITED = 0.03


class World:
    """A recorded set, cut anew for each seed: what a scorer knows, and traffic to it. unknown: domains that training never sees."""

    def __init__(self, data: Dataset, queries_QD: Floats, seed: int, *, unknown: tuple[str, ...] = ()) -> None:
        self.rng = np.random.default_rng(seed)
        self.queries_QD, self.labels_QL = queries_QD, np.nan_to_num(data.labels_QL, nan=0.0)
        self.domains_Q = data.queries["dataset"].to_numpy().astype(np.str_)
        order = self.rng.permutation(len(queries_QD))
        inside = order[~np.isin(self.domains_Q[order], unknown)]
        self.training, self.held_out, self.traffic = np.split(inside, [int(0.5 * len(inside)), int(0.7 * len(inside))])
        self.strange = order[np.isin(self.domains_Q[order], unknown)]
        self.roster = tuple(llm.id for llm in data.llms)
        self.scores_QL = self.promises()

    def promises(self, ridge: float = RIDGE) -> Floats:
        """Ridge on the training queries' embeddings, and Platt-like shrinkage on held-out ones: calibrated in domain, and nowhere else."""
        features_RD, mean_L = self.queries_QD[self.training], self.labels_QL[self.training].mean(axis=0)
        gram_DD = features_RD.T @ features_RD + ridge * np.eye(features_RD.shape[1])
        weights_DL = np.linalg.solve(gram_DD, features_RD.T @ (self.labels_QL[self.training] - mean_L))
        raw_QL = self.queries_QD @ weights_DL
        held_HL, truth_HL = raw_QL[self.held_out], self.labels_QL[self.held_out]
        slope_L = [np.polyfit(held_HL[:, each], truth_HL[:, each], 1) for each in range(len(self.roster))]
        return np.clip(np.stack([np.polyval(line, raw_QL[:, each]) for each, line in enumerate(slope_L)], axis=1), 0.01, 0.99).astype(
            np.float32
        )

    def profile(self) -> ReferenceProfile:
        """The reference of this scorer."""
        parts = [(self.queries_QD[rows], self.scores_QL[rows], self.domains_Q[rows]) for rows in (self.training, self.held_out)]
        return ReferenceProfile(self.roster, *parts[0], *parts[1])

    def records(self, rows: Rows, *, tagged: bool = False) -> list[Record]:
        """Served answers to the queries at `rows`, by the LLM promised most, all audited."""
        return [self._record(number, row, tagged=tagged) for number, row in enumerate(rows)]

    def _record(self, number: int, row: int, *, tagged: bool) -> Record:
        scores_L = self.scores_QL[row]
        best = int(scores_L.argmax())
        return Record(
            id=f"r{number}",
            created_at=float(number),
            virtual_model="routemoa-single",
            scorer_version="1",
            roster=self.roster,
            scores=tuple(map(float, scores_L)),
            embedding=self.queries_QD[row],
            decision={},
            llm=self.roster[best],
            cost_usd=0.0,
            latency_s=0.0,
            input_tokens=0,
            output_tokens=0,
            status="ok",
            domain=str(self.domains_Q[row]) if tagged else None,
            outcome=Outcome(float(self.labels_QL[row, best]), AUDIT, 0.0),
        )


def worst_kind(world: World, rows: Rows, rules: Policy) -> Kind:
    """The strongest verdict of all looks at one window of unaudited traffic."""
    profile, records = world.profile(), [replace(record, outcome=None) for record in world.records(rows)]
    kinds = set()
    for size in rules.looks:
        if size <= len(records):
            kinds.add(decide(window.measure(records[:size], profile, rules, scorer_version="1", index=0).stats, rules).kind)
    return next((kind for kind in ("retrain", "watch", "keep") if kind in kinds), "too-little-data")


def same(world: World, n: int) -> Rows:
    """Traffic of the mix that was trained on."""
    return world.rng.choice(world.traffic, n, replace=len(world.traffic) < n)


def repeated(world: World, n: int) -> Rows:
    """The same, three in ten asked before."""
    rows = same(world, n)
    again = world.rng.random(n) < 0.3
    rows[again] = world.rng.choice(rows[~again], int(again.sum()))
    return rows


def mixed_otherwise(world: World, n: int) -> Rows:
    """The known domains in other shares (Dirichlet)."""
    names = np.unique(world.domains_Q[world.traffic])
    share = dict(zip(names, world.rng.dirichlet(np.ones(len(names))), strict=True))
    counts = {name: (world.domains_Q[world.traffic] == name).sum() for name in names}
    weight = np.array([share[name] / counts[name] for name in world.domains_Q[world.traffic]])
    return world.rng.choice(world.traffic, n, p=weight / weight.sum())


def strange(share: float) -> Callable[[World, int], Rows]:
    """A share of traffic from the domains that training never saw."""

    def draw(world: World, n: int) -> Rows:
        rows = same(world, n)
        rows[world.rng.random(n) < share] = -1
        missing = rows == -1
        rows[missing] = world.rng.choice(world.strange, int(missing.sum()), replace=len(world.strange) < missing.sum())
        return rows

    return draw


def windows(make: Callable[[int], World], draw: Callable[[World, int], Rows], replays: int, rules: Policy) -> dict[str, float]:
    """Shares of the windows by their strongest verdict."""
    kinds = []
    for seed in range(replays):
        world = make(seed)
        kinds.append(worst_kind(world, draw(world, rules.window), rules))
    return {kind: kinds.count(kind) / replays for kind in ("watch", "retrain")}


def audits(data: Dataset, queries_QD: Floats, replays: int, rules: Policy, *, gap: float, share: float, half: bool) -> dict[str, float]:
    """Share of versions found by 2,000, 5,000 and 10,000 requests whose promises are `gap` too high in a domain of that share of traffic.

    half: whether that domain gets half of the audits; else audits are drawn as traffic comes. share 1: in all domains.
    """
    steps, found = (2_000, 5_000, 10_000), []
    for seed in range(replays):
        world = World(data, queries_QD, seed)
        bad = np.isin(world.domains_Q, _domains_of(world, share))
        groups = [world.traffic[bad[world.traffic]], world.traffic[~bad[world.traffic]]]
        chosen_bad = world.rng.random(int(steps[-1] * AUDITED)) < (0.5 if half else share)
        rows = np.array([world.rng.choice(groups[0] if one or not len(groups[1]) else groups[1]) for one in chosen_bad])
        best = world.scores_QL[rows].argmax(axis=1)
        promised = world.scores_QL[rows, best].astype(float)
        kept = world.rng.random(len(rows)) < promised  # promises that come true, so that only the planted gap speaks
        outcome = np.where(world.rng.random(len(rows)) < np.where(bad[rows], gap, 0) / np.maximum(promised, 1e-9), 0.0, kept)
        known = frozenset(map(str, np.unique(world.domains_Q)))
        domains = world.domains_Q[rows].tolist()
        looks = range(5, len(rows) + 1, 5)
        seen = {n: promises.bet(promised[:n], outcome[:n], domains[:n], known) for n in looks}
        crossed = next((n for n in looks if seen[n].broken(alpha=rules.alpha, tolerance=rules.promise_tolerance)), None)
        found.append(np.inf if crossed is None else crossed / AUDITED)
    return {f"{step} requests": float(np.mean([at <= step for at in found])) for step in steps}


def _domains_of(world: World, share: float) -> list[str]:
    """Domains that together are about `share` of traffic."""
    names, counts = np.unique(world.domains_Q[world.traffic], return_counts=True)
    if share >= 1:
        return [str(name) for name in names]
    shares = counts / counts.sum()
    chosen: list[str] = []
    for at in np.argsort(abs(shares - share)):
        if not chosen or sum(shares[names == name][0] for name in chosen) + shares[at] <= share + 0.02:
            chosen.append(str(names[at]))
    return chosen


@dataclass(frozen=True, slots=True)
class Auditing:
    """How answers come to be audited.

    evenly: by equal chances, else as `monitoring.audits.audits` draws. forecast: `right`, or `broken`: shuffled.
    judged: whether a judge graded all draws, calling a fifth of wrong answers right, and people a third of them; else people all.
    """

    draws: int = 60
    evenly: bool = False
    forecast: str = "right"
    judged: bool = False


def estimate(data: Dataset, queries_QD: Floats, replays: int, rules: Policy, how: Auditing) -> dict[str, float]:
    """Quality of 500 answers through `quality.estimate`, against the mean of all traffic's outcomes.

    `explained`: the share of outcomes' variance that forecast and domains explain; sqrt(1 - explained) is what they can make of the width.
    """
    errors, covered, widths, plain, explained = [], [], [], [], []
    for seed in range(replays):
        world = World(data, queries_QD, seed)
        best_Q = world.scores_QL.argmax(axis=1)
        truth = float(world.labels_QL[world.traffic, best_Q[world.traffic]].mean())
        answers, outcome_N = _audited_answers(world, rules, how)
        found = quality.estimate(*answers.summed(), confidence=0.95)
        if found.low is None or found.high is None or found.value is None:
            continue
        errors.append(found.value - truth)
        covered.append(found.low <= truth <= found.high)
        widths.append(found.high - found.low)
        plain.append(2 * student.quantile(0.975, how.draws - 1) * outcome_N[: how.draws].std(ddof=1) / np.sqrt(how.draws))
        explained.append(_explained(answers, outcome_N))
    names = ("bias", "coverage", "width", "width beside the plain mean's", "explained")
    values = (np.mean(errors), np.mean(covered), np.mean(widths), np.mean(widths) / np.mean(plain), np.mean(explained))
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)} | {"replays": len(errors)}


def _audited_answers(world: World, rules: Policy, how: Auditing) -> tuple[Answers, NDArray[np.float64]]:
    """500 answers, some of them audited, and the outcome of each."""
    rows, profile = same(world, 500), world.profile()
    records = world.records(rows)
    outcome_N = np.array([record.outcome.score if record.outcome else np.nan for record in records])
    promised_N = np.array([record.predicted or 0.0 for record in records])
    often = rules.model_copy(update={"audit_share": how.draws / len(rows)})
    chances = audits_drawn.chances_of(records, [], profile, often)
    chance_N = np.full(len(rows), how.draws / len(rows)) if how.evenly else np.array([each.probability for each in chances])
    drawn_N = world.rng.random(len(rows)) < chance_N
    forecast_N = world.rng.permutation(promised_N) if how.forecast == "broken" else promised_N
    graded_N = drawn_N & (world.rng.random(len(rows)) < (1 / 3 if how.judged else 1.0))
    judged_N = np.where(world.rng.random(len(rows)) < 0.2, 1.0, outcome_N)
    names = np.array(["1"] * len(rows))
    answers = Answers(
        version_N=names,
        domain_N=np.array([each.domain for each in chances], dtype=np.str_),
        llm_N=names,
        key_N=names,
        forecast_N=forecast_N,
        promised_N=promised_N,
        drawn_with_N=np.where(drawn_N, chance_N, np.nan),
        grade_N=np.where(graded_N, outcome_N, np.nan),
        opinion_N=np.where(drawn_N & how.judged, judged_N, np.nan),
        usd_N=np.zeros(len(rows)),
    )
    return answers, outcome_N


def _explained(answers: Answers, outcome_N: NDArray[np.float64]) -> float:
    """By the forecast, and each domain's own level."""
    places_N = np.unique(answers.domain_N, return_inverse=True)[1]
    design_NK = np.column_stack([answers.forecast_N, np.eye(places_N.max() + 1)[places_N]])
    fitted_N = design_NK @ np.linalg.lstsq(design_NK, outcome_N, rcond=None)[0]
    return float(1 - np.square(outcome_N - fitted_N).mean() / outcome_N.var())


def main() -> None:
    """Prints every figure."""
    parser = set_file.parser(__doc__, out="monitor")
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--estimates", type=int, default=400, help="replays of the estimate, which takes no look")
    parser.add_argument("--only", choices=("estimate",), help="print these figures, and write none")
    arguments = parser.parse_args()
    data, rules = recorded_set.read(arguments.folder, set_file.named(arguments)), policy.load(Path("params.yaml"))
    encoder = embeddings.load_encoder(params.load(Path("params.yaml")).train)
    queries_QD = recorded_set.embedded(data.queries)[:, : encoder.dims]  # the text features behind it are no drift
    names, counts = np.unique(data.queries["dataset"], return_counts=True)
    unknown = tuple(str(name) for name in names[np.argsort(-counts)][:: max(1, len(names) // 3)][:3])

    began, replays = time.process_time(), arguments.replays
    figures: dict[str, Any] = {"queries": len(queries_QD), "domains": len(names), "replays": replays}
    ways = {
        "60 draws as shipped": Auditing(),
        "60 draws as traffic comes": Auditing(evenly=True),
        "a broken forecast, 60 draws as shipped": Auditing(forecast="broken"),
        "180 draws judged, people on a third": Auditing(draws=180, judged=True),
    }
    figures["estimate"] = {name: estimate(data, queries_QD, arguments.estimates, rules, how) for name, how in ways.items()}
    figures["cpu_s_an_estimate"] = round((time.process_time() - began) / (len(ways) * arguments.estimates), 3)
    if arguments.only == "estimate":
        report.print_json(figures)
        return
    began = time.process_time()
    figures["windows"] = {
        name: windows(partial(World, data, queries_QD), draw, replays, rules)
        for name, draw in (("same mix", same), ("30 % repeated", repeated), ("mixed otherwise", mixed_otherwise))
    }
    figures["cpu_s_a_look"] = round((time.process_time() - began) / (3 * replays * len(rules.looks)), 3)
    for name in unknown:
        without = partial(World, data, queries_QD, unknown=(name,))
        figures["windows"][f"25 % of {name}, unknown"] = windows(without, strange(0.25), max(1, replays // 4), rules)
    figures["audits"] = {
        "promises kept": audits(data, queries_QD, replays, rules, gap=0.0, share=0.2, half=True),
        ".25 too high in a fifth of traffic, half of the audits there": audits(
            data, queries_QD, replays, rules, gap=0.25, share=0.2, half=True
        ),
        ".25 too high in a fifth of traffic": audits(data, queries_QD, replays, rules, gap=0.25, share=0.2, half=False),
        ".10 too high everywhere": audits(data, queries_QD, replays, rules, gap=0.10, share=1.0, half=False),
    }
    report.write(arguments.out, [], figures)
    report.print_json(figures)


if __name__ == "__main__":
    main()
