"""Contextual bandits as GreenServ describes them (arXiv 2601.17551): LinUCB, epsilon-greedy and linear epsilon-greedy, one outcome a query.

Context: one-hot of the task (its true name, as in its experiments), of one of three online clusters of the embedding, and of the bin of
reading ease. Its reward weighs accuracy against energy; here it is the net utility that all are compared by. Constants are its own.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scorer.weights import unit

Doubles = NDArray[np.float64]
CLUSTERS, BINS = 3, (33.0, 67.0)
ALPHA, REGULARISER = 0.1, 0.05
VOWELS = re.compile(r"[aeiouy]+", re.IGNORECASE)


class Context:
    """Vectors of queries as they come: task, cluster, complexity, and a constant."""

    def __init__(self, tasks: list[str]) -> None:
        self._tasks = {task: at for at, task in enumerate(tasks)}
        self._centres: list[Doubles] = []
        self._counts: list[int] = []

    @property
    def dims(self) -> int:
        """Length of a vector."""
        return len(self._tasks) + CLUSTERS + len(BINS) + 1

    def __call__(self, task: str, query_D: NDArray[np.float32], text: str) -> Doubles:
        """Of one query; moves the cluster that it falls into."""
        vector = np.zeros(self.dims)
        if task in self._tasks:
            vector[self._tasks[task]] = 1.0
        vector[len(self._tasks) + self._cluster(unit(query_D))] = 1.0
        vector[len(self._tasks) + CLUSTERS + int(np.searchsorted(BINS, complexity(text)))] = 1.0
        return vector

    def _cluster(self, query_D: NDArray[np.float32]) -> int:
        if len(self._centres) < CLUSTERS:
            self._centres.append(query_D.astype(np.float64))
            self._counts.append(1)
            return len(self._centres) - 1
        nearest = int(np.argmax([centre_D @ query_D / max(float(np.linalg.norm(centre_D)), 1e-12) for centre_D in self._centres]))
        self._counts[nearest] += 1
        self._centres[nearest] += (query_D - self._centres[nearest]) / self._counts[nearest]
        return nearest


def complexity(text: str) -> float:
    """100 less Flesch's reading ease, kept within 0 and 100."""
    words = text.split() or [""]
    sentences = max(1, len(re.findall(r"[.!?]+", text)))
    syllables = sum(max(1, len(VOWELS.findall(word))) for word in words)
    ease = 206.835 - 1.015 * len(words) / sentences - 84.6 * syllables / len(words)
    return float(np.clip(100.0 - ease, 0.0, 100.0))


@dataclass(eq=False)
class Linear:
    """A ridge regression of reward on context for each LLM, one observation at a time."""

    llms: int
    dims: int
    regulariser: float = REGULARISER
    inverse_LFF: Doubles = field(init=False)
    sum_LF: Doubles = field(init=False)

    def __post_init__(self) -> None:
        self.inverse_LFF = np.tile(np.eye(self.dims) / self.regulariser, (self.llms, 1, 1))
        self.sum_LF = np.zeros((self.llms, self.dims))

    def note(self, llm: int, context_F: Doubles, reward: float) -> None:
        """Sherman and Morrison's update."""
        inverse_FF = self.inverse_LFF[llm]
        seen_F = inverse_FF @ context_F
        inverse_FF -= np.outer(seen_F, seen_F) / (1.0 + context_F @ seen_F)
        self.sum_LF[llm] += reward * context_F

    def expected_L(self, context_F: Doubles) -> Doubles:
        """Reward of each LLM."""
        return np.asarray(np.einsum("lfg,lg->lf", self.inverse_LFF, self.sum_LF) @ context_F)

    def width_L(self, context_F: Doubles) -> Doubles:
        """Standard deviation of it, in units of the noise."""
        return np.asarray(np.sqrt(np.maximum(np.einsum("f,lfg,g->l", context_F, self.inverse_LFF, context_F), 0.0)))


class LinUCB:
    """Disjoint LinUCB: the highest expected reward plus ALPHA widths."""

    def __init__(self, llms: int, dims: int) -> None:
        self.linear = Linear(llms, dims)

    def choose(self, context_F: Doubles, there_L: NDArray[np.bool_], random: np.random.Generator) -> int:  # noqa: ARG002
        """Of the LLMs that are there."""
        bound_L = self.linear.expected_L(context_F) + ALPHA * self.linear.width_L(context_F)
        return int(np.where(there_L, bound_L, -np.inf).argmax())

    def note(self, llm: int, context_F: Doubles, reward: float) -> None:
        """The outcome of a choice."""
        self.linear.note(llm, context_F, reward)


class EpsilonGreedy:
    """A random LLM with a chance that falls with each outcome, else the best: by its mean reward, or by context."""

    def __init__(self, llms: int, dims: int, *, contextual: bool) -> None:
        self.linear = Linear(llms, dims if contextual else 1, 0.25 if contextual else 1e-6)
        self._contextual, self._chance, self._decay = contextual, 1.0, 0.985 if contextual else 0.98

    def choose(self, context_F: Doubles, there_L: NDArray[np.bool_], random: np.random.Generator) -> int:
        """Of the LLMs that are there."""
        if random.random() < self._chance:
            return int(random.choice(np.flatnonzero(there_L)))
        return int(np.where(there_L, self.linear.expected_L(self._seen(context_F)), -np.inf).argmax())

    def note(self, llm: int, context_F: Doubles, reward: float) -> None:
        """The outcome of a choice."""
        self.linear.note(llm, self._seen(context_F), reward)
        self._chance = max(0.01, self._chance * self._decay)

    def _seen(self, context_F: Doubles) -> Doubles:
        return context_F if self._contextual else np.ones(1)
