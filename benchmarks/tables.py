"""The figures of each system on the test queries, and the tables they are shown in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import cell
from benchmarks.systems import ORACLE, SINGLE, System
from pipelines import comparison
from pipelines.comparison import OURS
from scorer import calibration, metrics

RESAMPLES = 2000
PROBABILITIES = frozenset({OURS, "kNN", "ridge", "matrix factorisation", "cluster lookup", SINGLE})  # rows whose scores claim to be them
HITS = ("hit1_any", "hit1_split", "hit3_any", "hit3_split", "agree3_any", "agree3_split")


def figures(system: System, rows: Mapping[str, System], labels_QL: NDArray[np.float64], decision_ms: float) -> dict[str, Any]:
    """Everything the table shows of one system."""

    def quality(of: System) -> NDArray[np.float64]:
        return of.mean(lambda scores_QL: metrics.quality(scores_QL, labels_QL))

    def gained(over: System) -> metrics.Interval:
        return metrics.difference(quality(system), quality(over), resamples=RESAMPLES)

    single_Q, oracle_Q = quality(rows[SINGLE]), quality(rows[ORACLE])
    gap = np.nanmean(oracle_Q - single_Q)
    hits = [comparison.hits(scores_QL, labels_QL) for scores_QL in system.scores_SQL]
    found: dict[str, Any] = {
        "quality": metrics.interval(quality(system), resamples=RESAMPLES),
        "over seeds": float(np.std([metrics.mean(metrics.quality(scores_QL, labels_QL)) for scores_QL in system.scores_SQL])),
        "over best single": gained(rows[SINGLE]),
        "ours − this": metrics.difference(quality(rows[OURS]), quality(system), resamples=RESAMPLES),
        "gap closed": float(np.nanmean(quality(system) - single_Q) / gap) if gap > 0 else float("nan"),
        "regret": float(np.nanmean(system.mean(lambda scores_QL: metrics.regret(scores_QL, labels_QL)))),
        **{name: float(np.mean([metrics.mean(seed[name]) for seed in hits])) for name in HITS},
        "training CPU s": system.cpu_s,
        "decision ms": decision_ms,
    }
    if system.name in PROBABILITIES:
        claimed = replace(system, scores_SQL=np.clip(system.scores_SQL, 0.0, 1.0))
        ece_L, chance_L = (claimed.mean(partial(by_llm, error, labels_QL=labels_QL)) for error in (calibration.ece, calibration.chance_ece))
        found |= {"ECE": float(ece_L.mean()), "by chance": float(chance_L.mean()), "worst ECE": float(ece_L.max())}
        found |= {"Brier": float(claimed.mean(lambda scores_QL: calibration.brier(scores_QL, labels_QL)))}
    return found


def by_llm(figure: Callable[..., Any], scores_QL: NDArray[np.floating], labels_QL: NDArray[np.float64]) -> list[Any]:
    """`figure` of each labelled LLM's scores and labels."""
    labelled = np.flatnonzero((~np.isnan(labels_QL)).any(axis=0))
    return [figure(scores_QL[:, llm], labels_QL[:, llm]) for llm in labelled]


def table(found: Mapping[str, Mapping[str, Any]], details: Mapping[str, str]) -> str:
    """The figures as Markdown, one row a system."""
    columns = list(found[OURS])
    lines = [f"| system | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in found.items():
        cells = ["" if row.get(column) is None or (name == OURS and "this" in column) else cell(row[column]) for column in columns]
        lines.append(f"| {name}{f' ({details[name]})' if details[name] else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def left_out_table(found: Mapping[str, Mapping[str, metrics.Interval]]) -> str:
    """One row a group, and the mean over groups."""
    columns = (SINGLE, OURS, "gain", "ridge", "kNN", "cluster lookup", ORACLE)
    lines = [f"| left out | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for group, row in found.items():
        lines.append(f"| {group} | {' | '.join(str(row[name]) if name == 'gain' else f'{row[name].mean:.3f}' for name in columns)} |")
    means = [f"{np.mean([row[name].mean for row in found.values()]):.3f}" for name in columns]
    return "\n".join([*lines, f"| mean of groups | {' | '.join(means)} |"])
