"""Which settings a training set itself asks for: text features, tags as groups, the number of clusters, the ridge.

Each is tried where training starts (`scorer.initialisation`, from which training moves little) by cross-validation on training queries
alone (`scorer.folds`). The simplest stands first. Another takes its place where the LLMs it chooses are surely better: by more than two
standard errors. How much is believed on kinds of queries that nobody knows is fitted apart (`scorer.trust`).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer import metrics
from scorer.folds import KNOWN, Folds
from scorer.initialisation import Embedded, Shrinkage
from scorer.types import Floats

SURE = 2.0  # standard errors that a gain must be
FEWEST = 60  # training queries below which nothing can be told
OTHER_GROUPS = (8, 32)
OTHER_RIDGES = (30.0, 300.0)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen. tags: whether the groups are the training queries' tags; groups: of clusters, where they are not."""

    text_features: bool
    tags: bool
    groups: int
    ridge: float

    def of(self, shrinkage: Shrinkage) -> Shrinkage:
        """`shrinkage` with these."""
        return replace(shrinkage, tags=self.tags, groups=self.groups, ridge=self.ridge)

    def __str__(self) -> str:
        groups = "groups by tags" if self.tags else f"{self.groups} clusters"
        return f"{groups}, ridge {self.ridge:g}, {'with' if self.text_features else 'without'} text features"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says of each; None: choose."""

    text_features: bool | None = None
    tags: bool | None = None
    groups: int | None = None
    ridge: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting: its quality on queries of folds it has not seen, and its gain over the one that stood, with a standard error."""

    settings: Settings
    quality: float
    gain: float
    error: float
    taken: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The settings, and everything that was tried on the way, the one that stood first first."""

    settings: Settings
    trials: tuple[Trial, ...]

    def fitting(self, queries_QD: Floats, dims: int) -> Floats:
        """The vectors without the text features behind their first `dims` numbers, where those were not chosen."""
        return queries_QD if self.settings.text_features else np.ascontiguousarray(queries_QD[:, :dims])

    def as_json(self) -> dict[str, Any]:
        """For the report of a training."""
        return {"said": str(self.settings), "settings": asdict(self.settings), "tried": [asdict(trial) for trial in self.trials]}


def choose(training: Embedded, dims: int, wanted: Wanted, shrinkage: Shrinkage, seed: int) -> Chosen:
    """The settings for `training`; its vectors are embeddings of `dims` numbers, then text features where the user has not left them out.

    tags_Q of `training` are those that could make the groups, None where there are none.
    """
    first = Settings(
        text_features=bool(wanted.text_features),
        tags=training.tags_Q is not None and wanted.tags is not False,
        groups=wanted.groups or shrinkage.groups,
        ridge=wanted.ridge or shrinkage.ridge,
    )
    if len(training.queries_QD) < FEWEST or None not in (wanted.text_features, wanted.tags, wanted.groups, wanted.ridge):
        return Chosen(first, ())
    folds = Folds.of(training, dims, shrinkage.groups, seed)
    stands, stands_Q = first, quality(folds, first, shrinkage, dims)
    trials = [Trial(first, metrics.mean(stands_Q), 0.0, 0.0, taken=True)]
    for others in _alternatives(wanted, training):
        for other in others(stands):
            other_Q = quality(folds, other, shrinkage, dims)
            gain_Q = (other_Q - stands_Q)[~np.isnan(other_Q + stands_Q)]
            gain, error = metrics.mean(gain_Q), float(gain_Q.std() / max(len(gain_Q), 1) ** 0.5)
            taken = gain > SURE * error
            trials.append(Trial(other, metrics.mean(other_Q), gain, error, taken))
            if taken:
                stands, stands_Q = other, other_Q
    return Chosen(stands, tuple(trials))


def _alternatives(wanted: Wanted, training: Embedded) -> Iterator[Callable[[Settings], list[Settings]]]:
    """What is tried in the place of the settings that stand, one kind after the other."""
    if wanted.text_features is None:
        yield lambda at: [replace(at, text_features=True)]
    if wanted.tags is None and training.tags_Q is not None:
        yield lambda at: [replace(at, tags=False)]
    if wanted.groups is None:
        yield lambda at: [] if at.tags else [replace(at, groups=groups) for groups in OTHER_GROUPS]
    if wanted.ridge is None:
        yield lambda at: [replace(at, ridge=ridge) for ridge in OTHER_RIDGES]


def quality(folds: Folds, settings: Settings, shrinkage: Shrinkage, dims: int) -> NDArray[np.float64]:
    """quality_Q: the label of each query's choice, by a start that has not seen its fold."""
    found_Q = np.full(len(folds.kinds_Q), np.nan)
    width = None if settings.text_features else dims
    for fold in folds.starts(settings.of(shrinkage), (KNOWN,), width):
        logits_QL = fold.start.logits(folds.training.queries_QD[fold.out_Q, :width])
        found_Q[fold.out_Q] = metrics.quality(logits_QL, folds.training.labels_QL[fold.out_Q])
    return found_Q
