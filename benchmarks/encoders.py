"""Encoders of three sizes beside each other, quality and decision time: `python -m benchmarks.encoders FOLDER [--assembled build/dataset]`.

FOLDER as for benchmarks.scorer_sets. Ours by the settings that stand first (tags where there are some, ridge 100, no text features) on each
encoder's vectors, asked with those it was trained on (fp32) and with those a server has (int8). `in` and `out` as there: routers trained on
all kinds of queries, and routers that have seen no query of the asked kind. What cross-validation chooses is what `train.encoder` with all
of them would, on training rows alone. An encoder that cannot be had is named; where its shape is known its time is that of weights
drawn at random, and its quality is not measured. `--only NAME`: one set. What stands in `--out` is not measured again.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import precision, recorded_set, report, scorer_sets
from pipelines import embeddings, params, tags, train
from pipelines.dataset import Dataset
from pipelines.project import Project
from scorer import choosing, export, folds, metrics
from scorer.encoder import Encoder
from scorer.errors import EncoderUnknown, RouteMoAError
from scorer.initialisation import Embedded, Shrinkage
from scorer.manifest import ENCODERS, TOKENIZER
from scorer.runtime import OnnxEncoder
from scorer.types import Floats

NAMED = ("packaged:all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5", "packaged:all-mpnet-base-v2")
LAYERS = {"BAAI/bge-small-en-v1.5": 12}  # of MiniLM's width: its time is that of a MiniLM of so many layers
SETS = (scorer_sets.ASSEMBLED, "9 LLMs, 14 tasks", "24 LLMs, 345 questions in Chinese")
PRECISIONS = ("fp32", "int8")
TOKENS = 64


@dataclass(frozen=True, slots=True)
class Vectors:
    """A set by one encoder: all queries as training sees them, the test queries T as a server does."""

    trained_QD: Floats
    served_TD: Floats


def vectors_of(encoder: Encoder, data: Dataset, cache: Path) -> Vectors:
    """From the caches, else embedded now."""
    served = embeddings.int8_encoder(encoder, embeddings.exported(encoder, cache))
    texts, tested = (part.queries["text"].tolist() for part in (data, data.take("test")))
    return Vectors(embeddings.trained_on(encoder, texts, cache), embeddings.served(served, tested, cache))


def qualities(data: Dataset, vectors: Vectors, settings: params.Train) -> dict[str, dict[str, NDArray[np.float64]]]:
    """quality_T of ours on the test queries, `in` and `out`, by precision of what it is asked with."""
    test_Q = data.splits_Q == "test"
    kinds_Q = folds.shared_out(np.array(data.queries["dataset"]))
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for where, left in (("in", None), *(("out", left) for left in range(folds.FOLDS))):
        kept_Q = np.ones(len(test_Q), dtype=bool) if left is None else test_Q | (kinds_Q != left)
        asked_Q = test_Q if left is None else test_Q & (kinds_Q == left)
        if not asked_Q.any() or len(data.where(kept_Q).take("train").queries) < folds.FEWEST:
            continue
        ours = scorer_sets.learn(data.where(kept_Q), vectors.trained_QD[kept_Q], settings)
        asked_T = asked_Q[test_Q]
        for name, queries_TD in zip(PRECISIONS, (vectors.trained_QD[test_Q], vectors.served_TD), strict=True):
            values_T = found.setdefault(where, {}).setdefault(name, np.full(len(asked_T), np.nan))
            values_T[asked_T] = metrics.quality(ours.scores(queries_TD[asked_T]), data.labels_QL[asked_Q])
    return found


def measured(data: Dataset, encoders: dict[str, Encoder], settings: params.Train, cache: Path) -> dict[str, Any]:
    """Of one set: its size, each encoder's qualities and what they gain over the first's, and what cross-validation says."""
    vectors = {name: vectors_of(encoder, data, cache) for name, encoder in encoders.items()}
    found = {name: qualities(data, each, settings) for name, each in vectors.items()}
    first = found[next(iter(found))]
    train_Q = data.splits_Q == "train"
    bare = {name: np.ascontiguousarray(each.trained_QD[train_Q, : encoders[name].dims]) for name, each in vectors.items()}
    seen = Embedded(next(iter(bare.values())), data.labels_QL[train_Q], tags_Q=tags.of(data.take("train")))
    chosen, trials = choosing.choose_encoder(bare, seen, train.wanted(settings), train.shrinkage_of(settings), settings.seed)
    return {
        "queries": {name: int((data.splits_Q == name).sum()) for name in recorded_set.SHARES},
        "quality": {
            name: {
                where: {
                    at: [report.as_json(report.interval(values_Q)), report.as_json(report.difference(values_Q, first[where][at]))]
                    for at, values_Q in by_precision.items()
                }
                for where, by_precision in each.items()
            }
            for name, each in found.items()
        },
        "chosen": chosen,
        "tried": {trial.name: [trial.gain, trial.error] for trial in trials},
    }


def decision_ms(encoder: Encoder, cache: Path) -> float:
    """CPU milliseconds of embedding a text of TOKENS tokens in int8."""
    return precision.encoder_ms(embeddings.int8_encoder(encoder, embeddings.exported(encoder, cache)).encoder, TOKENS)


def shaped_ms(like: Encoder, layers: int) -> float:
    """The same of a BERT of `like`'s width and tokenizer, with so many layers and weights drawn at random."""
    from transformers import BertConfig, BertModel

    shape = like.backbone.config.to_dict() | {"num_hidden_layers": layers, "attn_implementation": "eager"}  # type: ignore[operator, union-attr]
    made = Encoder(BertModel(BertConfig(**shape), add_pooling_layer=False), like.tokenizer, like.after, max_tokens=like.max_tokens)
    with TemporaryDirectory() as folder:
        export.export_encoder(made, Path(folder))
        graph, tokenizer = ((Path(folder) / name).read_bytes() for name in (ENCODERS["int8"], TOKENIZER))
    return precision.encoder_ms(OnnxEncoder(graph, tokenizer, max_tokens=like.max_tokens), TOKENS)


def times_of(names: list[str], encoders: dict[str, Encoder], before: Path, cache: Path) -> dict[str, float]:
    """Decision times by name, in that order; those that `before` has are taken from there."""
    known = json.loads(before.read_text(encoding="utf-8"))["ms"] if before.is_file() else {}
    times = {}
    for name in names:
        if name in known:
            times[name] = known[name]
        elif name in encoders:
            times[name] = decision_ms(encoders[name], cache)
        elif name in LAYERS:
            times[name] = shaped_ms(next(iter(encoders.values())), LAYERS[name])
    return times


def table(times: dict[str, float], missing: dict[str, str], results: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown: a row an encoder, a column a set; then what cross-validation says on each set."""
    lines = []
    for name, spent in times.items():
        found = [one["quality"].get(name, {}).get(where, {}).get("int8") for one in results.values() for where in ("in", "out")]
        cells = [_cell(pair, first=name == next(iter(times))) for pair in found]
        lines.append([f"{name}{' (not to be had here; its shape at random)' if name in missing else ''}", f"{spent:.1f}", *cells])
    columns = ["encoder", f"CPU ms, int8, {TOKENS} tokens", *(f"{name}, {where}" for name in results for where in ("in", "out"))]
    sizes = [f"- {name}: {', '.join(f'{count} {split}' for split, count in one['queries'].items())}" for name, one in results.items()]
    said = [
        [name, one["chosen"], "; ".join(f"{other} {gain:+.3f} ({error:.3f})" for other, (gain, error) in one["tried"].items() if error)]
        for name, one in results.items()
    ]
    lost = [list(row) for row in _lost(results)]
    return [
        "\n".join(sizes),
        report.table(columns, lines),
        report.table(["set", "chosen by cross-validation", "gain over the one before (standard error)"], said),
        "int8 beside fp32, quality:",
        report.table(["encoder", "set", "in: fp32", "in: int8", "out: fp32", "out: int8"], lost),
    ]


def _cell(pair: Any, *, first: bool) -> str:
    if pair is None:
        return ""
    quality, gain = pair
    return "{:.3f} [{:.3f}, {:.3f}]".format(*quality) if first else "{:.3f} ({:+.3f} [{:.3f}, {:.3f}])".format(quality[0], *gain)


def _lost(results: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    for set_name, one in results.items():
        for name, by_where in one["quality"].items():
            yield [
                name,
                set_name,
                *(f"{by_where[where][at][0][0]:.3f}" for where in ("in", "out") for at in PRECISIONS if where in by_where),
            ]


def run(arguments: argparse.Namespace) -> str:
    """The tables, written to `--out`."""
    project = Project(Path())
    settings = params.load(project.params).train
    settings = settings.model_copy(update={"encoder": arguments.encoders})
    first = settings.model_copy(update={"text_features": False, "tags": True, "groups": Shrinkage().groups, "ridge": Shrinkage().ridge})
    encoders, missing = {}, {}
    for choice in settings.encoders:
        try:
            encoders[str(choice)] = embeddings.load_encoder(settings, choice)
        except EncoderUnknown as exc:
            missing[str(choice)] = str(exc)
            print(exc, file=sys.stderr)
    names = [str(choice) for choice in settings.encoders]
    times = times_of(names, encoders, arguments.out / "results.json", project.embeddings)
    results = scorer_sets.each(arguments, SETS, lambda data: measured(data, encoders, first, project.embeddings))
    blocks = [f"`{report.command(arguments.folder)}`", *table(times, missing, results)]
    report.write(arguments.out, blocks, {"ms": times, "missing": missing, "sets": results}, ("torch", "onnxruntime", "numpy"))
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = scorer_sets.parser(__doc__, SETS, "encoders")
    parser.add_argument("--encoders", nargs="+", default=list(NAMED), help="as in train.encoder, the simplest first")
    try:
        print(run(parser.parse_args()))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
