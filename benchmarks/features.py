"""What a query's looks (`scorer.looks`) add to its embedding: `python -m benchmarks.features FOLDER`.

The scorer trains as always, on embeddings alone and on embeddings with the looks after them. Judged by folds of the queries outside the
test split, as in benchmarks.sensitivity.
"""

from benchmarks import machine, recorded
from benchmarks.recorded import Outcomes
from benchmarks.sensitivity import RESAMPLES, Change, scored
from pipelines import params, train
from scorer import calibration, looks, metrics


def main() -> None:
    """Trains on both, prints."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--folds", type=int, default=3)
    given = parser.parse_args()
    settings = params.load().train
    if not settings.looks:
        raise SystemExit("train.looks is false in params.yaml: there are no looks to compare with. Set it to true.")
    known = recorded.read(recorded.wanted(given))
    alone = Outcomes(known.data, known.queries_QD[:, : -len(looks.NAMES)])
    print(f"`{machine.command(given.folder)}`\n\n| queries as | quality | gain | ECE | Brier |\n|---|---|---|---|---|")
    usual_Q = None
    for name, of in (("embedding", alone), ("embedding and looks", known)):
        seen = of.where(known.data.splits_Q != "test")
        scores_QL = scored(seen, Change(name, train.plan_of(settings)), given.folds)
        quality_Q = metrics.quality(scores_QL, seen.labels_QL)
        gain = "" if usual_Q is None else metrics.difference(quality_Q, usual_Q, resamples=RESAMPLES)
        usual_Q = quality_Q
        ece, brier = calibration.ece(scores_QL, seen.labels_QL), calibration.brier(scores_QL, seen.labels_QL)
        print(f"| {name} | {metrics.interval(quality_Q, resamples=RESAMPLES)} | {gain} | {ece:.3f} | {brier:.4f} |", flush=True)


if __name__ == "__main__":
    main()
