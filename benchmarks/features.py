"""What a look at a text's surface adds to its embedding: `python -m benchmarks.features FOLDER`.

Twelve numbers any text has (lengths, shares of kinds of characters, listed choices, code) are appended to the embedding, standardised
by the training queries; then the scorer trains as always. Judged by folds of the queries outside the test split, as in
benchmarks.sensitivity.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine, recorded
from benchmarks.recorded import Outcomes
from benchmarks.sensitivity import RESAMPLES, Change, scored
from pipelines import params, train
from scorer import calibration, metrics
from scorer.weights import unit

WEIGHT = 0.7  # of all features together, the centred embedding being 1
FURTHEST = 4.0  # standard deviations
CHOICE = re.compile(r"(?m)^\s*\(?[A-J][).:]")


def surface(texts: Sequence[str]) -> NDArray[np.float64]:
    """features_QF of texts, as they are."""
    return np.array([_one(text) for text in texts])


def _one(text: str) -> list[float]:
    length = max(len(text), 1)
    kinds = [sum(char in signs for char in text) / length for signs in ("+-*/=<>^\\${}", "()[]{};:", "\n")]
    shares = [sum(map(of, text)) / length for of in (str.isdigit, str.isupper)]
    flags = [float(sign in text) for sign in ("def ", "\\", "$")]
    counts = [len(text), len(text.split()), text.count("?"), len(CHOICE.findall(text))]
    return [*np.log1p(counts).tolist(), *kinds, *shares, *flags]


def widened(known: Outcomes) -> Outcomes:
    """Centred embeddings with the features beside them, by the means and spreads of the training split."""
    features_QF = surface(known.data.queries["text"].tolist())
    seen_Q = known.data.splits_Q == "train"
    spread_F = features_QF[seen_Q].std(axis=0) + 1e-9
    scaled_QF = np.clip((features_QF - features_QF[seen_Q].mean(axis=0)) / spread_F, -FURTHEST, FURTHEST) / np.sqrt(features_QF.shape[1])
    centred_QD = unit(known.queries_QD - known.queries_QD[seen_Q].mean(axis=0))
    return Outcomes(known.data, np.concatenate([centred_QD, WEIGHT * scaled_QF], axis=1).astype(np.float32))


def main() -> None:
    """Trains on both, prints."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--folds", type=int, default=3)
    given = parser.parse_args()
    known = recorded.read(given)
    plan = replace(train.plan_of(params.load().train), fallback=False)
    print(f"`{machine.command()}`\n\n| queries as | quality | gain | ECE | Brier |\n|---|---|---|---|---|")
    usual_Q = None
    for name, of in (("embedding", known), ("embedding and features", widened(known))):
        seen = of.where(known.data.splits_Q != "test")
        scores_QL = scored(seen, Change(name, plan), given.folds)
        quality_Q = metrics.quality(scores_QL, seen.labels_QL)
        gain = "" if usual_Q is None else metrics.difference(quality_Q, usual_Q, resamples=RESAMPLES)
        usual_Q = quality_Q
        ece, brier = calibration.ece(scores_QL, seen.labels_QL), calibration.brier(scores_QL, seen.labels_QL)
        print(f"| {name} | {metrics.interval(quality_Q, resamples=RESAMPLES)} | {gain} | {ece:.3f} | {brier:.4f} |", flush=True)


if __name__ == "__main__":
    main()
