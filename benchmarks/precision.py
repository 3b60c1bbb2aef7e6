"""What a decision takes and what int8 changes: CPU time of scoring, the served encoder's time, agreement of int8 with fp32."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import decision_latency, report
from benchmarks.rivals.routers import Router
from pipelines.dataset import Dataset
from scorer import metrics
from scorer.metrics import Interval
from scorer.runtime import OnnxEncoder
from scorer.types import Floats

TIMED = 100
TOKENS = 64
BAR_TOP3, BAR_QUALITY = 0.99, 0.002


@dataclass(frozen=True, slots=True)
class Agreement:
    """int8 against fp32 on the test queries: share with the same best LLM, share of the three best that are the same, quality lost."""

    top1: float
    top3: float
    lost: Interval

    def __str__(self) -> str:
        verdict = "met" if self.top3 >= BAR_TOP3 and abs(self.lost.mean) <= BAR_QUALITY else "missed"
        return (
            f"int8 encoder against fp32 on the test queries, ours: same best LLM {self.top1:.1%}, same three best {self.top3:.1%} "
            f"(overlap), quality fp32 − int8 {self.lost}; bar (top-3 ≥ {BAR_TOP3:.0%}, within {100 * BAR_QUALITY:g} points): {verdict}."
        )


def decision_ms(router: Router, texts: Sequence[str], queries_QD: Floats) -> float:
    """Median CPU milliseconds of scoring one query whose embedding is known."""
    spent = []
    for text, query_D in zip(texts[:TIMED], queries_QD[:TIMED], strict=True):
        began = time.process_time()
        router.rules[0]([text], query_D[None, :])
        spent.append(time.process_time() - began)
    return 1000 * float(np.median(spent))


def encoder_ms(encoder: OnnxEncoder, tokens: int = TOKENS, clock: Callable[[], float] = time.process_time) -> float:
    """Median milliseconds of embedding a text of so many tokens; of CPU time where no other clock is given."""
    spent = []
    for text in decision_latency.texts(tokens, TIMED):
        began = clock()
        encoder.embed([text])
        spent.append(clock() - began)
    return 1000 * float(np.median(spent))


def agreement(router: Router, test: Dataset, int8_QD: Floats) -> Agreement:
    """`router` on the test queries by int8 embeddings, against its scores by fp32 ones; means over its seeds."""
    texts = test.queries["text"].tolist()
    int8_SQL = np.stack([rule(texts, int8_QD) for rule in router.rules])
    best = [scores_SQL.argmax(axis=2) for scores_SQL in (int8_SQL, router.test_SQL)]
    three = [np.argsort(-scores_SQL, axis=2, kind="stable")[:, :, :3] for scores_SQL in (int8_SQL, router.test_SQL)]
    same = (three[0][:, :, :, None] == three[1][:, :, None, :]).any(axis=3)
    full_Q, int8_Q = (
        np.mean([metrics.quality(scores_QL, test.labels_QL) for scores_QL in scores_SQL], axis=0)
        for scores_SQL in (router.test_SQL, int8_SQL)
    )
    return Agreement(float((best[0] == best[1]).mean()), float(same.mean()), report.difference(full_Q, int8_Q))
