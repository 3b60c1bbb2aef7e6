"""How the mixture scales, on simulated pools whose truth is known: `python -m benchmarks.mixture_simulation [--queries 400]`.

The generator: LLMs have an ability ~ N(0, 1) and, in each of 8 domains, a skill = ability + N(0, `specialised`); a query of a domain
has a difficulty ~ N(0, 1); an LLM answers it rightly with chance sigmoid(skill - difficulty). Of ten options, a wrong answer falls on the
query's one lure with chance `lure` (errors correlate through difficulty and the lure), else on any other. Price and tokens of a call:
USD per million output tokens 0.1 * 10^(0.5 * ability + N(0, 0.3)), 200 tokens. Latency: a median per LLM, log-normal around 2 s (sigma
0.6), each call log-normal around it (sigma 0.45). The scorer knows each LLM's mean chance in the domain, its log-odds disturbed by
N(0, `noise`): it does not know the difficulty. Judges: each answer is judged by itself, 1 where right and 0 where wrong, disturbed by
N(0, `judge_noise`), and the engine is told that as the answer's log-probability; without it nobody judges.

For scaling and sensitivity only: no figure here says how good real LLMs are. Systems are those of `benchmarks.rivals.compositions`; the
posterior is fitted to queries of its own. `--out` gets table.md and results.json.
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.mixture import episodes
from benchmarks.replay import RecordedAnswer, RecordedQuery, calls, cost, latency, quality
from benchmarks.rivals.compositions import OURS, RUN_ON, SINGLE, systems
from mixture.llm import LLM, Decoding
from mixture.price import Price
from pipelines.fit_posterior import fit, partly
from scorer import metrics
from scorer.weights import sigmoid

Floats = NDArray[np.float64]

DOMAINS, OPTIONS, TOKENS = 8, 10, 200
MEDIAN_S, LLM_SPREAD, CALL_SPREAD = 2.0, 0.6, 0.45
RESAMPLES = 1000
SIZES = (15, 50, 200)  # LLMs in the pool
USD = 400.0  # what a dollar is worth to ours, in right answers
COLUMNS = ("LLMs", "system", "quality", "over best single", "calls", "USD per 10,000 queries", "latency s", "p95 s", "own CPU ms")
SHOWN = (
    "cheapest",
    "random",
    SINGLE,
    "routed single",
    "RouteMoA as published, its first layer",
    "vote of 5 routed",
    "MoA's first layer, a vote of all",
    RUN_ON,
    OURS,
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """How skills, errors, scores and judgements are drawn; `specialised` and `noise` are standard deviations in log-odds, `judge_noise` one
    in distances between right and wrong (infinite: nobody judges).
    """

    specialised: float = 1.0
    lure: float = 0.5
    noise: float = 0.3
    judge_noise: float = math.inf


def simulate(count: int, llms: int, world: Simulation, seed: int) -> tuple[list[RecordedQuery], Floats, list[LLM]]:
    """`count` questions, the scorer's priors_QL, and the pool. The pool is the same for every seed, the questions are not."""
    pool_dice, dice = np.random.default_rng(llms), np.random.default_rng([llms, seed])
    ability_L = pool_dice.normal(size=llms)
    skill_DL = ability_L + world.specialised * pool_dice.normal(size=(DOMAINS, llms))
    usd_L = 0.1 * 10 ** (0.5 * ability_L + 0.3 * pool_dice.normal(size=llms))
    pool = [
        LLM(f"llm-{at}", f"LLM {at}", Price(0.0, float(usd)), decoding=Decoding(max_tokens=TOKENS), context_window=10**6)
        for at, usd in enumerate(usd_L)
    ]
    domain_Q, difficulty_Q = dice.integers(DOMAINS, size=count), dice.normal(size=count)
    right_QL = dice.random((count, llms)) < sigmoid(skill_DL[domain_Q] - difficulty_Q[:, None])
    mean_DL = sigmoid(skill_DL / np.sqrt(1 + np.pi / 8))  # over difficulties, to a good approximation
    priors_QL = sigmoid(np.log(mean_DL / (1 - mean_DL))[domain_Q] + world.noise * dice.normal(size=(count, llms)))
    clock_dice, judge_dice = np.random.default_rng([llms, seed, 1]), np.random.default_rng([llms, seed, 2])
    median_L = MEDIAN_S * np.exp(LLM_SPREAD * np.random.default_rng([llms, 0, 3]).normal(size=llms))
    latency_QL = median_L * np.exp(CALL_SPREAD * clock_dice.normal(size=(count, llms)))
    judged_QL = right_QL + world.judge_noise * judge_dice.normal(size=(count, llms))
    questions = []
    for query in range(count):
        truth, lure = dice.permutation(OPTIONS)[:2]
        other_L = np.where(dice.random(llms) < world.lure, lure, (truth + dice.integers(1, OPTIONS, size=llms)) % OPTIONS)
        said_L = np.where(right_QL[query], truth, other_L)
        answers = {
            llm.id: RecordedAnswer(
                f"Answer: {said_L[at]}",
                TOKENS,
                llm.price.cost(0, TOKENS),
                float(latency_QL[query, at]),
                None if math.isinf(world.judge_noise) else float(judged_QL[query, at]),
            )
            for at, llm in enumerate(pool)
        }
        questions.append(
            RecordedQuery(f"RecordedQuery {query}?", answers, {llm.id: float(said_L[at] == truth) for at, llm in enumerate(pool)})
        )
    return questions, priors_QL, pool


def rows(llms: int, world: Simulation, count: int) -> list[str]:
    """One Markdown row a system."""
    seen, seen_QL, pool = simulate(400, llms, world, seed=0)
    evidence = fit(partly(episodes(seen, seen_QL, pool)))
    test, test_QL, _ = simulate(count, llms, world, seed=1)
    means_L = np.mean([[each.labels[llm.id] for llm in pool] for each in seen], axis=0)
    compared = {each.name: each for each in systems(test_QL, means_L, pool, evidence, USD)}
    single_Q = quality(test, compared[SINGLE].decisions(test, pool))
    lines = []
    for name in SHOWN:
        began = time.process_time()
        made = compared[name].decisions(test, pool)
        cpu_ms = 1000 * (time.process_time() - began) / count
        quality_Q = quality(test, made)
        gain = metrics.difference(quality_Q, single_Q, resamples=RESAMPLES)
        cells = (
            metrics.interval(quality_Q, resamples=RESAMPLES),
            gain,
            f"{calls(made).mean():.2f}",
            f"{1e4 * cost(made).mean():.3f}",
            f"{latency(made).mean():.1f}",
            f"{np.quantile(latency(made), 0.95):.1f}",
            f"{cpu_ms:.2f}",
        )
        lines.append(f"| {llms} | {name} | {' | '.join(map(str, cells))} |")
    return lines


def main() -> None:
    """Simulates each size and some sensitivities, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--out", type=Path, default=report.BUILT / "mixture-simulation")
    arguments = parser.parse_args()
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    blocks = [f"`{report.command()}`", "\n".join([*head, *(row for size in SIZES for row in rows(size, Simulation(), arguments.queries))])]
    changed = {
        "errors fall apart (lure 0)": Simulation(lure=0.0),
        "errors coincide (lure 0.9)": Simulation(lure=0.9),
        "no specialists": Simulation(specialised=0.0),
        "a scorer that guesses (noise 1.5)": Simulation(noise=1.5),
        "judges that know little (judge_noise 2)": Simulation(judge_noise=2.0),
        "judges that know more (judge_noise 1)": Simulation(judge_noise=1.0),
        "a scorer that guesses and judges that know more (noise 1.5, judge_noise 1)": Simulation(noise=1.5, judge_noise=1.0),
    }
    for name, world in changed.items():
        blocks.append("\n".join([f"Fifteen LLMs, {name}:", "", *head, *rows(15, world, arguments.queries)]))
    report.write(arguments.out, blocks, {})
    print("\n\n".join(blocks))


if __name__ == "__main__":
    main()
