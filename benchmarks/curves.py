"""The picture of quality against cost: curve.svg, and curve.vl.json for Vega-Lite."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.costs import Cost
from benchmarks.systems import CHEAPEST, PUBLISHED, SINGLE
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer.metrics import Point

LINES = {OURS: "#1f4e79", "ridge": "#d9822b", "kNN": "#3a9d5d", "cluster lookup": "#8e5ea2", PUBLISHED: "#b33a3a", SINGLE: "#8a8a8a"}


def points(test: Dataset, cost_QL: "np.ndarray") -> dict[str, Point]:
    """Mean cost and quality of each LLM, asked alone."""
    labels_QL = test.labels_QL
    known = np.flatnonzero((~np.isnan(labels_QL)).any(axis=0))
    return {
        test.roster[llm]: Point(
            float(np.nanmean(np.where(np.isnan(labels_QL[:, llm]), np.nan, cost_QL[:, llm]))), float(np.nanmean(labels_QL[:, llm]))
        )
        for llm in known
    }


def write(folder: Path, found: Mapping[str, Cost], alone: Mapping[str, Point]) -> None:
    """Both files into `folder`; USD per 1,000 queries on a log axis."""
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
        [1000 * at.cost for at in alone.values()], [at.quality for at in alone.values()], color="#c4c4c4", s=14, label="an LLM alone"
    )
    for name, colour in LINES.items():
        if name in found:
            curve = found[name].curve
            axes.plot([1000 * at.cost for at in curve], [at.quality for at in curve], color=colour, label=name, linewidth=1.4)
    axes.scatter(1000 * found[CHEAPEST].usd.mean, found[CHEAPEST].quality.mean, color="black", marker="x", label=CHEAPEST)
    axes.legend(fontsize=8)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "routemoa"}):  # the same figures give the same bytes
        figure.savefig(folder / "curve.svg", metadata={"Date": None, "Creator": None})
    rows = [{"system": name, "usd": 1000 * at.cost, "quality": at.quality} for name, one in found.items() for at in one.curve]
    vega = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "usd", "type": "quantitative", "scale": {"type": "log"}, "title": "USD per 1,000 queries"},
            "y": {"field": "quality", "type": "quantitative", "scale": {"zero": False}, "title": "mean label of the chosen LLM"},
            "color": {"field": "system", "type": "nominal"},
            "order": {"field": "usd", "type": "quantitative"},
        },
    }
    (folder / "curve.vl.json").write_text(json.dumps(vega, indent=1) + "\n", encoding="utf-8")
