"""Whether the drift tests keep their promises on the query pool's own embeddings: `python -m benchmarks.drift [--replays 200]` prints JSON.

Each replay splits the in-domain queries anew into training, held-out reference and traffic.
False alarms: replays of 100 in-domain queries in which any test alarms at 5 %.
Power: replays of 300 queries, a share of them out of domain, in which any test alarms at the alpha the policy gives a single look.
AUROC: the novelty distance of out-of-domain against in-domain queries. CPU: one look, 300 against 1,000.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import print_json
from monitoring import drift_tests
from monitoring.policy import Policy
from monitoring.profile import ReferenceProfile
from pipelines import embeddings, params, tables
from pipelines.project import Project
from scorer import metrics

Rows = NDArray[np.intp]
PERMUTATIONS = 999


class EmbeddedPool:
    """The query pool as the encoder sees it."""

    def __init__(self, home: Path) -> None:
        settings = params.load(Project(home).params)
        queries = tables.read(Project(home).queries, tables.QUERIES)
        self.policy: Policy = settings.monitor
        encoder = embeddings.load_encoder(settings.train)
        self.queries_QD = embeddings.trained_on(encoder, queries["text"].tolist(), Project(home).embeddings)[:, : encoder.dims]
        self.domains_Q = queries["domain"].to_numpy().astype(np.str_)
        self.outside = settings.assemble.out_of_domain
        self.inside_Q = np.flatnonzero(~np.isin(self.domains_Q, self.outside))

    def split(self, seed: int) -> tuple[ReferenceProfile, Rows]:
        """A reference (55 % training, 25 % held-out) and the other in-domain queries as traffic."""
        order = np.random.default_rng(seed).permutation(self.inside_Q)
        training, heldout, traffic = np.split(order, [int(0.55 * len(order)), int(0.80 * len(order))])
        no_scores = np.zeros((len(order), 0), np.float32)
        profile = ReferenceProfile(
            roster=(),
            queries_RD=self.queries_QD[training],
            scores_RL=no_scores[: len(training)],
            domains_R=self.domains_Q[training],
            held_queries_HD=self.queries_QD[heldout],
            held_scores_HL=no_scores[: len(heldout)],
            held_domains_H=self.domains_Q[heldout],
        )
        return profile, traffic

    def novelty(self, rows: Rows, profile: ReferenceProfile) -> drift_tests.Novelty:
        """Novelty of the queries at `rows`."""
        return drift_tests.novelty(self.queries_QD[rows], profile, k=self.policy.neighbours, quantile=self.policy.novel_quantile)

    def smallest_p(self, rows: Rows, profile: ReferenceProfile, seed: int) -> float:
        """The smallest adjusted p-value of one look at the queries at `rows`."""
        recent_ND = self.queries_QD[rows]
        no_scores = np.zeros((len(rows), 0), np.float32)
        tests = drift_tests.compare(recent_ND, no_scores, profile, self.novelty(rows, profile), count=PERMUTATIONS, seed=seed)
        return min(tests.adjusted.values())


def false_alarms(pool: EmbeddedPool, replays: int) -> dict[str, Any]:
    """Replays without shift that alarm."""
    alarms = 0
    for seed in range(replays):
        profile, traffic = pool.split(seed)
        alarms += pool.smallest_p(traffic[:100], profile, seed) <= pool.policy.alpha
    return {"replays": replays, "alarms": alarms, "share": alarms / replays, "bar": 0.05}


def power(pool: EmbeddedPool, replays: int) -> dict[str, float]:
    """Share of replays that alarm, by share and domain of the out-of-domain queries."""
    alarming = {}
    for share in (0.10, 0.25):
        for domain in (*pool.outside, "all of them"):
            strange = np.flatnonzero(np.isin(pool.domains_Q, pool.outside if domain == "all of them" else [domain]))
            alarms = 0
            for seed in range(replays):
                profile, traffic = pool.split(seed)
                count = min(int(300 * share), len(strange))
                rows = np.concatenate([traffic[: 300 - count], np.random.default_rng(seed).choice(strange, count, replace=False)])
                alarms += pool.smallest_p(rows, profile, seed) <= pool.policy.alpha_per_look
            alarming[f"{share:.0%} {domain}"] = alarms / replays
    return alarming


def separation(pool: EmbeddedPool) -> dict[str, dict[str, float]]:
    """How far each out-of-domain domain stands apart, averaged over eight splits."""
    apart = {}
    for domain in pool.outside:
        strange, aurocs, shares = np.flatnonzero(pool.domains_Q == domain), [], []
        for seed in range(8):
            profile, traffic = pool.split(seed)
            novel = pool.novelty(np.concatenate([traffic, strange]), profile)
            aurocs.append(metrics.auroc(novel.distances_N.astype(np.float64), np.arange(len(novel.distances_N)) >= len(traffic)))
            shares.append(novel.novel_N[len(traffic) :].mean())
        apart[domain] = {"auroc": round(float(np.nanmean(aurocs)), 3), "novel": round(float(np.mean(shares)), 3)}
    return apart


def one_look() -> float:
    """CPU seconds of one look: 300 recent against 1,000 held-out and 1,000 training queries of 384 dims, 6 LLMs, 500 permutations."""
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(2300, 384)).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    scores, names = rng.random((1000, 6), np.float32), np.array(["x"] * 1000)
    profile = ReferenceProfile(tuple("abcdef"), sample[:1000], scores, names, sample[1000:2000], scores, names)
    drift_tests.novelty(sample[2000:2010], profile, k=10, quantile=0.95)  # scipy's import is paid once a process
    began = time.process_time()
    novel = drift_tests.novelty(sample[2000:], profile, k=10, quantile=0.95)
    drift_tests.compare(sample[2000:], scores[:300], profile, novel, count=500, seed=0)
    return time.process_time() - began


def main() -> None:
    """Prints every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=200)
    replays = parser.parse_args().replays
    pool = EmbeddedPool(Path())
    figures = {
        "false_alarms": false_alarms(pool, replays),
        "power": power(pool, max(1, replays // 10)),
        "separation": separation(pool),
        "one_look_cpu_s": round(one_look(), 3),
    }
    print_json(figures)


if __name__ == "__main__":
    main()
