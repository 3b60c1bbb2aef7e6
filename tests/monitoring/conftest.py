"""Records and reference profiles of a synthetic world: unit vectors in clusters, one cluster a domain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.drift import policy
from monitoring.drift.policy import Policy
from monitoring.drift.profile import ReferenceProfile
from monitoring.records.store import Outcome, Record
from tests.monitoring.one_record import record_of

MakeRecord = Callable[..., Record]


@pytest.fixture
def make_record() -> MakeRecord:
    """Builds a valid record; keywords replace its values."""
    return record_of


D = 32
DOMAINS = ("mathematics", "reading", "coding", "law")
ROSTER = ("small", "middle", "large")


class World:
    """Queries of four domains, each a cluster of unit vectors; the reference knows all but law. Scores are promises that come true."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        centres_CD = np.random.default_rng(7).normal(size=(len(DOMAINS), D))
        self.centres_CD = centres_CD / np.linalg.norm(centres_CD, axis=1, keepdims=True)

    def queries(self, n: int, *, novel: float = 0.0) -> tuple[Any, Any]:
        """Embeddings (n x D) and domains of n queries, a share `novel` of them law."""
        domain_N = np.where(self.rng.random(n) < novel, 3, self.rng.integers(0, 3, n))
        queries_ND = self.centres_CD[domain_N] + self.rng.normal(size=(n, D)) * 0.7 / np.sqrt(D)
        queries_ND /= np.linalg.norm(queries_ND, axis=1, keepdims=True)
        return queries_ND.astype(np.float32), np.array(DOMAINS)[domain_N]

    def scores(self, n: int, *, drop: float = 0.0) -> Any:
        """Scores in [0, 1] of n queries for the roster."""
        return (self.rng.beta(4, 3, size=(n, len(ROSTER))) * (1 - drop)).astype(np.float32)

    def profile(self, *, training: int = 300, held: int = 200) -> ReferenceProfile:
        """A reference profile of this world without law."""
        train, domains = self.queries(training)
        held_queries, held_domains = self.queries(held)
        return ReferenceProfile(ROSTER, train, self.scores(training), domains, held_queries, self.scores(held), held_domains)

    def records(
        self,
        n: int,
        *,
        novel: float = 0.0,
        prefix: str = "r",
        version: str = "1",
        audited: float = 0.0,
        error: float = 0.0,
        tag: bool = True,
    ) -> list[Record]:
        """N served records; a share `audited` has outcomes, which fall short of promises by `error`."""
        queries, domains = self.queries(n, novel=novel)
        scores = self.scores(n)
        records = []
        for index in range(n):
            promise = float(scores[index].max())
            right = float(self.rng.random() < promise - error)
            known = self.rng.random() < audited
            records.append(
                Record(
                    id=f"{prefix}-{index}",
                    created_at=1_700_000_000.0 + index,
                    virtual_model="routemoa-single",
                    scorer_version=version,
                    roster=ROSTER,
                    scores=tuple(map(float, scores[index])),
                    embedding=queries[index],
                    decision={},
                    llm=ROSTER[int(scores[index].argmax())],
                    cost_usd=float(self.rng.random() / 1000),
                    latency_s=float(self.rng.random()),
                    input_tokens=10,
                    output_tokens=20,
                    status="ok",
                    domain=str(domains[index]) if tag else None,
                    outcome=Outcome(right, "audit", 0.0) if known else None,
                )
            )
        return records


@pytest.fixture
def world() -> World:
    """A fresh world, seeded."""
    return World()


@pytest.fixture
def rules() -> Policy:
    """The policy we ship."""
    return policy.load(Path(__file__).parents[2] / "params.yaml")
