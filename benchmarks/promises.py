"""Whether promises hold and doubt tells where they do not: mean error per kind of query and LLM, AUROC, risk against coverage."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from scorer import metrics
from scorer.types import Floats

OFF = 0.2  # a promise is off by more than that from the LLM's rate on the kind of query
FEWEST = 10  # test queries of a kind, to know its rates
COVERAGES = (1.0, 0.5, 0.25)  # of the queries, the least doubted first


def checked(scored: Mapping[str, Floats], labels_QL: NDArray[np.float64], kinds_Q: NDArray[np.str_]) -> dict[str, Any]:
    """scored: `promised`, `without trust` and `doubt`, [Q, L] each, NaN where nobody scored."""
    asked_Q = ~np.isnan(scored["promised"]).any(axis=1)
    labels_QL, kinds_Q = labels_QL[asked_Q], kinds_Q[asked_Q]
    promised_QL, plain_QL, doubt_QL = (scored[name][asked_Q].astype(np.float64) for name in ("promised", "without trust", "doubt"))
    kinds = [kind for kind in sorted(set(kinds_Q.tolist())) if (kinds_Q == kind).sum() >= FEWEST]

    def by_kind(values_QL: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([np.nanmean(values_QL[kinds_Q == kind], axis=0) for kind in kinds])

    rates_KL, doubts_KL = by_kind(labels_QL), by_kind(doubt_QL)
    wrong_KL, plainly_wrong_KL = np.abs(by_kind(promised_QL) - rates_KL), np.abs(by_kind(plain_QL) - rates_KL)
    chosen_Q = metrics.choices(promised_QL, labels_QL)
    promise_Q, label_Q, doubted_Q = (metrics.at_choice(values, chosen_Q) for values in (promised_QL, labels_QL, doubt_QL))
    order = np.argsort(doubted_Q, kind="stable")
    kind_error = dict(zip(kinds, wrong_KL, strict=True))
    error_Q = np.array([kind_error[kind][llm] if kind in kind_error else np.nan for kind, llm in zip(kinds_Q, chosen_Q, strict=True)])
    return {
        "promised": metrics.mean(promise_Q),
        "reached": metrics.mean(label_Q),
        "doubt": metrics.mean(doubted_Q),
        "error": float(np.nanmean(wrong_KL)),
        "error without trust": float(np.nanmean(plainly_wrong_KL)),
        "brier": metrics.brier(promised_QL, labels_QL),
        "brier without trust": metrics.brier(plain_QL, labels_QL),
        "quality without trust": metrics.mean(metrics.quality(plain_QL, labels_QL)),
        "off": float((wrong_KL > OFF).mean()),
        "auroc": metrics.auroc(doubts_KL.ravel(), (wrong_KL > OFF).ravel()),
        "risk": [metrics.mean(error_Q[order[: max(int(share * len(order)), 1)]]) for share in COVERAGES],
    }


def table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """One row a set, in and out of domain."""
    columns = ["set", "", "promised", "reached", "doubt", "error", "without trust", "Brier", "without trust", "off > .2", "AUROC of doubt"]
    columns += [f"error at {share:.0%}" for share in COVERAGES]
    keys = ("promised", "reached", "doubt", "error", "error without trust", "brier", "brier without trust", "off", "auroc")
    rows = [
        [name, where, *(one[where][key] for key in keys), *one[where]["risk"]]
        for name, one in found.items()
        for where in ("in", "out")
        if where in one
    ]
    return report.table(columns, rows)
