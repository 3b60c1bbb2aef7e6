"""Which settings a training set itself asks for: the encoder, text features, tags as groups, the number of clusters, the ridge.

Each is tried where training starts (`scorer.initialisation`, from which training moves little) by cross-validation on training queries
alone (`scorer.folds`): with folds drawn at random, and with whole kinds of queries left out, which count as much where there are five or
more. Tags are about the kinds there are, so random folds alone judge them. The simplest stands first. Another takes its place where the
LLMs it chooses are surely better: by more than two standard errors.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer import metrics
from scorer.folds import FEWEST, KNOWN, LEFT_OUT, Folds
from scorer.initialisation import Embedded, Shrinkage
from scorer.types import Floats

SURE = 2.0  # standard errors that a gain must be
FEWEST_KINDS = 5  # to tell from kinds left out
OTHER_GROUPS = (8, 32)
OTHER_RIDGES = (30.0, 300.0)
OfFold = tuple[int, NDArray[np.bool_], NDArray[np.float64]]
Spread = Callable[["HeldOut", Sequence[tuple[int, int]]], Iterator[tuple[int, OfFold]]]  # applies it to each, here or elsewhere


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
    """One setting: its quality by random folds and with kinds left out, and its gain over the one that stood, with a standard error."""

    settings: Settings
    known: float
    left_out: float
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


def choose(training: Embedded, dims: int, wanted: Wanted, shrinkage: Shrinkage, seed: int, *, spread: Spread | None = None) -> Chosen:
    """The settings for `training`; its vectors are embeddings of `dims` numbers, then text features where the user has not left them out.

    tags_Q of `training` are those that could make the groups, None where there are none. spread: who fits the folds (None: this process).
    """
    first = _first(training, wanted, shrinkage)
    if len(training.queries_QD) < FEWEST or None not in (wanted.text_features, wanted.tags, wanted.groups, wanted.ridge):
        return Chosen(first, ())
    folds = Folds.of(training, dims, shrinkage.groups, seed)
    stands, stands_QW = first, quality(folds, first, shrinkage, dims, spread)
    trials = [Trial(first, *_means(stands_QW), 0.0, 0.0, taken=True)]
    for others in _alternatives(wanted, training):
        for other in others(stands):
            other_QW = quality(folds, other, shrinkage, dims, spread)
            gain, error = gained(other_QW - stands_QW, folds.kinds_Q, tags=other.tags != stands.tags)
            taken = gain > SURE * error
            trials.append(Trial(other, *_means(other_QW), gain, error, taken))
            if taken:
                stands, stands_QW = other, other_QW
    return Chosen(stands, tuple(trials))


@dataclass(frozen=True, slots=True)
class EncoderTrial:
    """One encoder, as `Trial` tells of a setting."""

    name: str
    known: float
    left_out: float
    gain: float
    error: float
    taken: bool


def choose_encoder(
    embeddings: Mapping[str, Floats], training: Embedded, wanted: Wanted, shrinkage: Shrinkage, seed: int, *, spread: Spread | None = None
) -> tuple[str, tuple[EncoderTrial, ...]]:
    """The encoder for `training`, by name, and what was tried. embeddings: of its queries by each, the simplest encoder first.

    By the settings that stand first, with the same folds for all; another takes its place where its choices are surely better.
    """
    stands, *others = embeddings
    if not others or len(training.labels_QL) < FEWEST:
        return stands, ()
    queries_QD = embeddings[stands]
    first = replace(_first(training, wanted, shrinkage), text_features=False)
    folds = Folds.of(replace(training, queries_QD=queries_QD), queries_QD.shape[1], shrinkage.groups, seed)

    def quality_of(name: str) -> NDArray[np.float64]:
        return quality(folds.embedded_as(embeddings[name]), first, shrinkage, embeddings[name].shape[1], spread)

    stands_QW = quality_of(stands)
    trials = [EncoderTrial(stands, *_means(stands_QW), 0.0, 0.0, taken=True)]
    for name in others:
        other_QW = quality_of(name)
        gain, error = gained(other_QW - stands_QW, folds.kinds_Q)
        taken = gain > SURE * error
        trials.append(EncoderTrial(name, *_means(other_QW), gain, error, taken))
        if taken:
            stands, stands_QW = name, other_QW
    return stands, tuple(trials)


def _first(training: Embedded, wanted: Wanted, shrinkage: Shrinkage) -> Settings:
    """The simplest settings that the user's wishes leave."""
    return Settings(
        text_features=bool(wanted.text_features),
        tags=training.tags_Q is not None and wanted.tags is not False,
        groups=wanted.groups or shrinkage.groups,
        ridge=wanted.ridge or shrinkage.ridge,
    )


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


def quality(folds: Folds, settings: Settings, shrinkage: Shrinkage, dims: int, spread: Spread | None = None) -> NDArray[np.float64]:
    """quality_QW: the label of each query's choice, by a start that has not seen its fold, in both ways to hold it out."""
    found_QW = np.full(folds.folds_QW.shape, np.nan)
    work = HeldOut(folds, settings.of(shrinkage), None if settings.text_features else dims)
    for _, (way, out_Q, quality_O) in (spread or _here)(work, folds.ways_and_folds()):
        found_QW[out_Q, way] = quality_O
    return found_QW


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Cross-fitting by one setting: what is applied to each way and fold, wherever that is done."""

    folds: Folds
    shrinkage: Shrinkage
    width: int | None

    def __call__(self, ways_and_folds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, OfFold]]:
        """Each one's place, its way, which queries it holds out, and the label of the choice for each of those."""
        for at, (way, number) in enumerate(ways_and_folds):
            fold = self.folds.start(way, number, self.shrinkage, self.width)
            if fold is not None:
                logits_OL = fold.start.logits(self.folds.training.queries_QD[fold.out_Q, : self.width])
                yield at, (way, fold.out_Q, metrics.quality(logits_OL, self.folds.training.labels_QL[fold.out_Q]))


def _here(work: HeldOut, ways_and_folds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, OfFold]]:
    return work(ways_and_folds)


def gained(gain_QW: NDArray[np.float64], kinds_Q: NDArray[Any], *, tags: bool = False) -> tuple[float, float]:
    """Mean gain over queries of both ways, and its standard error; queries of a kind that is left out share their luck (clustered).

    tags: by random folds alone, as where there are too few kinds to tell.
    """
    names, kinds_Q = np.unique(kinds_Q, return_inverse=True)
    apart = not tags and len(names) >= FEWEST_KINDS
    gain_Q = gain_QW.mean(axis=1) if apart else gain_QW[:, KNOWN]
    counted_Q = ~np.isnan(gain_Q)
    count = int(counted_Q.sum())
    if not count:
        return 0.0, float("inf")
    mean = float(gain_Q[counted_Q].mean())
    away_Q = gain_Q[counted_Q] - mean
    sums = np.bincount(kinds_Q[counted_Q], weights=away_Q, minlength=len(names)) if apart else away_Q
    few = len(names) / (len(names) - 1) if apart else 1.0
    return mean, float((few * (sums**2).sum()) ** 0.5 / count)


def _means(quality_QW: NDArray[np.float64]) -> tuple[float, float]:
    return metrics.mean(quality_QW[:, KNOWN]), metrics.mean(quality_QW[:, LEFT_OUT])
