"""Whether a query is like anything that was labelled: its distance from the training queries of the scorer version in force.

The measure is the monitor's (`monitoring.drift.novelty`): the mean cosine distance to the nearest training queries that the artifact
samples, around their mean; farther than 95 % of the held-out queries is unlike anything labelled. It costs one product of the query with
them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.drift import profile
from monitoring.drift.novelty import centred, novelty
from monitoring.drift.profile import ReferenceProfile

NEIGHBOURS, QUANTILE = 10, 0.95  # what params.yaml ships as monitor.neighbours and monitor.novel_quantile; a server reads no params.yaml
NEAREST = 3
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Familiar:
    """How near one query is to what was labelled.

    distance: mean cosine distance to its nearest training queries, in [0, 2]; beyond `threshold` it is unlike anything labelled.
    nearest: domain and distance of the nearest few.
    """

    distance: float
    threshold: float
    nearest: tuple[tuple[str, float], ...]

    @property
    def unlike(self) -> bool:
        """Whether nothing that was labelled is like it: what is promised of it is a guess."""
        return self.distance > self.threshold

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: unlike_anything_labelled, distance, threshold, nearest: [{domain, distance}]."""
        nearest = [{"domain": domain, "distance": distance} for domain, distance in self.nearest]
        return {"unlike_anything_labelled": self.unlike, **asdict(self), "nearest": nearest}

    def __str__(self) -> str:
        """A sentence, for people."""
        near = ", ".join(f"{domain} at {distance:.2f}" for domain, distance in self.nearest)
        far = f"distance {self.distance:.2f}, and 95 % of queries that were held out are within {self.threshold:.2f}"
        return f"Unlike anything labelled ({far}; nearest: {near}): what is promised is a guess."


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """What a scorer version was trained on, for comparison: R centred training queries of D dims. overall: mean promise of each LLM."""

    training_RD: Floats
    centre_D: Floats
    domains_R: NDArray[np.str_]
    threshold: float
    overall: Mapping[str, float]

    @classmethod
    def of(cls, reference: ReferenceProfile) -> "Familiarity":
        """Of an artifact's reference profile."""
        centre_D = reference.queries_RD.mean(axis=0)
        held_out = novelty(reference.held_queries_HD, reference, k=NEIGHBOURS, quantile=QUANTILE)
        overall = dict(zip(reference.roster, map(float, reference.scores_RL.mean(axis=0)), strict=True))
        return cls(centred(reference.queries_RD, centre_D), centre_D, reference.domains_R, held_out.threshold, overall)

    @classmethod
    def read(cls, folder: Path) -> "Familiarity":
        """Of the scorer artifact in `folder`. Raises ProfileRefused."""
        return cls.of(profile.read(folder))

    def look(self, query_D: Floats) -> Familiar:
        """How near a query is; `query_D`: its embedding."""
        near_R = self.training_RD @ centred(query_D[None, :], self.centre_D)[0]
        k = min(NEIGHBOURS, len(near_R))
        nearest_k = np.argpartition(-near_R, k - 1)[:k]
        nearest_k = nearest_k[np.argsort(-near_R[nearest_k])]
        nearest = tuple((str(self.domains_R[at]), float(1 - near_R[at])) for at in nearest_k[:NEAREST])
        return Familiar(float(1 - near_R[nearest_k].mean()), self.threshold, nearest)
