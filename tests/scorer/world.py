"""A synthetic world with a known best LLM per query: four kinds of queries, three LLMs, each best at one kind and one at two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROSTER = ("maths-llm", "code-llm", "reader-llm")
RATES_KL = np.array([[0.9, 0.3, 0.2], [0.3, 0.9, 0.2], [0.2, 0.3, 0.9], [0.2, 0.2, 0.8]])
TEXTS = (
    "What is the sum of {0} plus {1} minus 1 divided by 2? Give the number.",
    "Write a Python function: code that returns the list {0} reversed, sorted by index {1}.",
    "Read the story: Anna lives in house {0}, Ben lives in the street {1}. Who lives in the house?",
    "Which medicine is for fever {0}? The doctor of the hospital and the patient {1}.",
)


@dataclass(frozen=True)
class World:
    """Q queries: their kind, embedding (near their kind's centre), text and labels; best_Q is the truth no scorer sees."""

    kinds_Q: NDArray[np.int64]
    queries_QD: NDArray[np.float32]
    texts: list[str]
    labels_QL: NDArray[np.float64]
    best_Q: NDArray[np.int64]


def world(queries: int, *, seed: int = 0, missing: float = 0.0, dims: int = 32, spread: float = 0.15) -> World:
    """`missing`: share of labels nobody knows. Kinds keep their centres whatever the seed, so two worlds fit each other."""
    dice = np.random.default_rng(seed)
    centres_KD = np.random.default_rng(99).normal(size=(4, dims))
    centres_KD /= np.linalg.norm(centres_KD, axis=1, keepdims=True)
    kinds_Q = dice.integers(4, size=queries)
    queries_QD = centres_KD[kinds_Q] + spread * dice.normal(size=(queries, dims))
    queries_QD /= np.linalg.norm(queries_QD, axis=1, keepdims=True)
    labels_QL = (dice.random((queries, 3)) < RATES_KL[kinds_Q]).astype(np.float64)
    labels_QL[dice.random(labels_QL.shape) < missing] = np.nan
    texts = [TEXTS[kind].format(*dice.integers(2, 999, size=2)) for kind in kinds_Q]
    return World(kinds_Q, queries_QD.astype(np.float32), texts, labels_QL, RATES_KL[kinds_Q].argmax(axis=1))
