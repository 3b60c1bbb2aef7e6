"""The tables and the picture of `benchmarks.scorer`: each router's figures on the test queries, and quality against cost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import costs, report
from benchmarks.costs import Cost
from benchmarks.rivals.routers import CHEAPEST, ORACLE, PUBLISHED, SINGLE, Router
from pipelines import comparison
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer import metrics
from scorer.metrics import Interval, Point

PROBABILITIES = frozenset({OURS, "kNN", "ridge", "matrix factorisation", "cluster lookup", SINGLE})  # rows whose scores claim to be them
HITS = ("hit1_any", "hit1_split", "hit3_any", "hit3_split", "agree3_any", "agree3_split")
COLOURS = {OURS: "#1f4e79", "ridge": "#d9822b", "kNN": "#3a9d5d", "cluster lookup": "#8e5ea2", PUBLISHED: "#b33a3a", SINGLE: "#8a8a8a"}


def figures(router: Router, rows: Mapping[str, Router], labels_QL: NDArray[np.float64], decision_ms: float) -> dict[str, Any]:
    """Everything the table shows of one router."""

    def quality(of: Router) -> NDArray[np.float64]:
        return of.mean(lambda scores_QL: metrics.quality(scores_QL, labels_QL))

    quality_Q, single_Q, oracle_Q = quality(router), quality(rows[SINGLE]), quality(rows[ORACLE])
    gap = np.nanmean(oracle_Q - single_Q)
    hits = [comparison.hits(scores_QL, labels_QL) for scores_QL in router.test_SQL]
    return {
        "quality": report.interval(quality_Q),
        "over seeds": float(np.std([metrics.mean(metrics.quality(scores_QL, labels_QL)) for scores_QL in router.test_SQL])),
        "over best single": report.difference(quality_Q, single_Q),
        "ours − this": report.difference(quality(rows[OURS]), quality_Q),
        "gap closed": float(np.nanmean(quality_Q - single_Q) / gap) if gap > 0 else float("nan"),
        "regret": float(np.nanmean(router.mean(lambda scores_QL: metrics.regret(scores_QL, labels_QL)))),
        **{name: float(np.mean([metrics.mean(seed[name]) for seed in hits])) for name in HITS},
        "training CPU s": router.cpu_s,
        "decision ms": decision_ms,
        **(_calibration(router, labels_QL) if router.name in PROBABILITIES else {}),
    }


def _calibration(router: Router, labels_QL: NDArray[np.float64]) -> dict[str, float]:
    """Calibration errors over LLMs, that of chance, and the Brier score."""
    claimed = replace(router, test_SQL=np.clip(router.test_SQL, 0.0, 1.0))
    errors = (metrics.calibration_error, metrics.chance_calibration_error)
    ece_L, chance_L = (claimed.mean(partial(_by_llm, error, labels_QL=labels_QL)) for error in errors)
    brier = float(claimed.mean(lambda scores_QL: metrics.brier(scores_QL, labels_QL)))
    return {"ECE": float(ece_L.mean()), "by chance": float(chance_L.mean()), "worst ECE": float(ece_L.max()), "Brier": brier}


def _by_llm(figure: Callable[..., Any], scores_QL: NDArray[np.floating], labels_QL: NDArray[np.float64]) -> list[Any]:
    """`figure` of each labelled LLM's scores and labels."""
    labelled = np.flatnonzero((~np.isnan(labels_QL)).any(axis=0))
    return [figure(scores_QL[:, llm], labels_QL[:, llm]) for llm in labelled]


def routers_table(rows: Mapping[str, Mapping[str, Any]], details: Mapping[str, str]) -> str:
    """`figures` of every router, one a line."""
    columns = list(rows[OURS])
    return report.table(
        ["system", *columns],
        (
            [
                f"{name} ({details[name]})" if details[name] else name,
                *("" if name == OURS and "this" in column else row.get(column) for column in columns),
            ]
            for name, row in rows.items()
        ),
    )


def left_out_table(groups: Mapping[str, Mapping[str, Interval]]) -> str:
    """One row a group that was left out of training, and the mean over groups."""
    columns = (SINGLE, OURS, "gain", "ridge", "kNN", "cluster lookup", ORACLE)
    rows = [[group, *(row[name] if name == "gain" else row[name].mean for name in columns)] for group, row in groups.items()]
    means = ["mean of groups", *(float(np.mean([row[name].mean for row in groups.values()])) for name in columns)]
    return report.table(["left out", *columns], [*rows, means])


def costs_table(rows: Mapping[str, Cost]) -> str:
    """One row a router, USD per 1,000 queries."""
    columns = ("system", "quality", "USD / 1,000", "matched − best single", "share of its cost", costs.BAR, "area", "ours − this area")
    return report.table(
        columns,
        (
            [
                name,
                row.quality,
                Interval(*(1000 * value for value in asdict(row.usd).values())),
                row.matched_difference,
                row.matched_share,
                row.bar,
                row.area,
                None if name == OURS else row.ours_area,
            ]
            for name, row in rows.items()
        ),
    )


def alone(test: Dataset, costs_QL: NDArray[np.float64]) -> dict[str, Point]:
    """Mean cost and quality of each LLM, asked alone."""
    unknown_QL = np.isnan(test.labels_QL)
    labelled = np.flatnonzero((~unknown_QL).any(axis=0))
    usd_QL = np.where(unknown_QL, np.nan, costs_QL)
    return {test.roster[llm]: Point(float(np.nanmean(usd_QL[:, llm])), float(np.nanmean(test.labels_QL[:, llm]))) for llm in labelled}


def write_curves(folder: Path, rows: Mapping[str, Cost], llms: Mapping[str, Point]) -> None:
    """curve.svg and, for Vega-Lite, curve.vl.json: quality against USD per 1,000 queries on a log axis."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set(xlabel="USD per 1,000 queries", ylabel="mean label of the chosen LLM", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    axes.scatter(
        [1000 * at.cost for at in llms.values()], [at.quality for at in llms.values()], color="#c4c4c4", s=14, label="an LLM alone"
    )
    for name, colour in COLOURS.items():
        if name in rows:
            curve = rows[name].curve
            axes.plot([1000 * at.cost for at in curve], [at.quality for at in curve], color=colour, label=name, linewidth=1.4)
    axes.scatter(1000 * rows[CHEAPEST].usd.mean, rows[CHEAPEST].quality.mean, color="black", marker="x", label=CHEAPEST)
    axes.legend(fontsize=8)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "routemoa"}):  # the same figures give the same bytes
        figure.savefig(folder / "curve.svg", metadata={"Date": None, "Creator": None})
    (folder / "curve.vl.json").write_text(json.dumps(_vega(rows), indent=1) + "\n", encoding="utf-8")


def _vega(rows: Mapping[str, Cost]) -> dict[str, Any]:
    """The curves as a Vega-Lite specification."""
    points = [{"system": name, "usd": 1000 * at.cost, "quality": at.quality} for name, row in rows.items() for at in row.curve]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": points},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "usd", "type": "quantitative", "scale": {"type": "log"}, "title": "USD per 1,000 queries"},
            "y": {"field": "quality", "type": "quantitative", "scale": {"zero": False}, "title": "mean label of the chosen LLM"},
            "color": {"field": "system", "type": "nominal"},
            "order": {"field": "usd", "type": "quantitative"},
        },
    }
