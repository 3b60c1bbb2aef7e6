"""Tries settings of the training on validation queries: `python -m pipelines.sweep weight_decay=10,30,100 dims=64,128`.

Every combination is trained on the assembled dataset, a trial a shard of the executor (ROUTEMOA_EXECUTOR=ray: on its cluster), and told
beside the settings of params.yaml, which stay as they are: a person writes what is worth it there. Nothing of build/ changes but the cache
of embeddings. Test queries are not looked at.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from ruamel.yaml import YAML

from pipelines import dataset, embeddings, params, tags, training_parts
from pipelines.errors import ParamsRefused
from pipelines.executor import door
from pipelines.params import Train
from pipelines.project import Project, stage_settings
from pipelines.train import chosen_encoder, plan_of, shrinkage_of, wanted
from registry.validation_errors import explain
from scorer import metrics
from scorer.errors import RouteMoAError
from scorer.initialisation import Embedded
from scorer.near_matches import did_you_mean

BEFORE_THE_HEAD = {
    "encoder",
    "device",
    "max_tokens",
    "text_features",
    "min_labels",
}  # other vectors, or other LLMs: `train` chooses or a person does
TUNABLE = sorted(set(Train.model_fields) - BEFORE_THE_HEAD)
RESAMPLES = 1000
Changes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a training reached: the label of its choice for each validation query (NaN: none), and its least validation loss."""

    quality_V: NDArray[np.float64]
    loss: float


@dataclass(frozen=True, slots=True)
class Trials:
    """Trains by settings, as an executor spreads it. Vectors are embeddings of `dims` numbers, perhaps with text features after them."""

    roster: tuple[str, ...]
    training: Embedded
    validation: Embedded
    dims: int

    def __call__(self, settings: Sequence[Train]) -> Iterator[tuple[int, Trial]]:
        """The place of each settings and what they reached."""
        from scorer import choosing, training

        for at, each in enumerate(settings):
            chosen = choosing.choose(self.training, self.dims, wanted(each), shrinkage_of(each), each.seed)
            plan = replace(plan_of(each), shrinkage=chosen.settings.of(shrinkage_of(each)))
            seen, judged = (
                replace(part, queries_QD=chosen.fitting(part.queries_QD, self.dims)) for part in (self.training, self.validation)
            )
            trained = training.train(self.roster, seen, judged, plan)
            quality_V = metrics.quality(trained.weights.logits(judged.queries_QD), judged.labels_QL)
            yield at, Trial(quality_V, min(epoch.validation for epoch in trained.history))


def sweep(project: Project, grid: Mapping[str, Sequence[Any]]) -> list[tuple[Changes, Trial]]:
    """What each combination of `grid` reached, the settings of params.yaml first. Raises ParamsRefused for what `train` does not take."""
    now = params.load(project.params).train
    combinations: list[Changes] = [{}, *(dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))]
    every = [changed(now, changes) for changes in combinations]
    jointly, _ = training_parts.apart(dataset.load(project.dataset), now.min_labels)
    parts = training_parts.split(jointly)
    choice, _ = chosen_encoder(now, parts.train, project)
    encoder = embeddings.load_encoder(now, choice)

    def embedded(part: dataset.Dataset) -> Embedded:
        queries_QD = embeddings.trained_on(encoder, part.queries["text"].tolist(), project.embeddings)
        return Embedded(queries_QD, part.labels_QL, part.weights_QL, tags.of(part))

    work = Trials(parts.roster, embedded(parts.train), embedded(parts.validation), encoder.dims)
    found = dict(door.chosen().map(work, every, size=1))
    return [(changes, found[at]) for at, changes in enumerate(combinations)]


def changed(now: Train, changes: Changes) -> Train:
    """The section `train` with other values. Raises ParamsRefused."""
    for name in changes:
        if name not in TUNABLE:
            raise ParamsRefused(f"train.{name} cannot be swept.", next_step=did_you_mean(name, TUNABLE))
    try:
        return Train.model_validate({**now.model_dump(), **changes})
    except ValidationError as exc:
        raise ParamsRefused(explain(exc, Train, where="train.")) from exc


def parsed(arguments: Sequence[str]) -> dict[str, list[Any]]:
    """`name=value,value` as params.yaml would read each value. Raises ParamsRefused."""
    grid = {}
    for argument in arguments:
        name, equals, values = argument.partition("=")
        if not equals or not values:
            raise ParamsRefused(f"{argument!r} names no values.", next_step="Write NAME=VALUE,VALUE, as in weight_decay=10,30.")
        grid[name.removeprefix("train.")] = [YAML(typ="safe").load(value) for value in values.split(",")]
    return grid


def table(found: Sequence[tuple[Changes, Trial]]) -> str:
    """The trials as Markdown, params.yaml's first, then the best by validation quality."""
    (_, now), *others = found
    others.sort(key=lambda one: (-metrics.mean(one[1].quality_V), one[1].loss))
    lines = ["| train | validation quality | minus params.yaml's | loss |", "|---|---|---|---|"]
    lines.append(f"| as in params.yaml | {metrics.interval(now.quality_V, resamples=RESAMPLES)} | | {now.loss:.4f} |")
    for changes, trial in others:
        said = ", ".join(f"{name} {value}" for name, value in changes.items())
        gain = metrics.difference(trial.quality_V, now.quality_V, resamples=RESAMPLES)
        lines.append(f"| {said} | {metrics.interval(trial.quality_V, resamples=RESAMPLES)} | {gain} | {trial.loss:.4f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, trains, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", nargs="+", metavar="NAME=VALUE,VALUE", help=f"of params.yaml's section train: {', '.join(TUNABLE)}")
    grid = parser.parse_args(arguments).grid
    try:
        print(table(sweep(Project(stage_settings().home), parsed(grid))))
    except RouteMoAError as exc:
        sys.exit(str(exc))
    print("\nMean [95 % bootstrap interval], validation queries. Of many trials the best looks better than it is.")


if __name__ == "__main__":
    main()
