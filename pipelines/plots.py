"""The evaluation's pictures: quality against cost, calibration, quality per domain."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.comparison import OURS, Row
from scorer.metrics import Interval, Point, Reliability

INK = "#1f4e79"
GREY = "#8a8a8a"


def quality_cost(path: Path, frontier: Sequence[Point], rows: Sequence[Row]) -> None:
    """Our curve from "best" to "cheapest", the baselines as points."""
    figure, axes = _axes("USD per 1,000 queries", "mean label of the chosen LLM")
    axes.plot([1000 * point.cost for point in frontier], [point.quality for point in frontier], color=INK, marker=".", label=OURS)
    for row in rows:
        if row.name != OURS and "cost_usd" in row.figures:
            at = (1000 * row.figures["cost_usd"].mean, row.figures["quality"].mean)
            axes.scatter(*at, color=GREY, s=18)
            axes.annotate(row.name, at, textcoords="offset points", xytext=(4, 4), fontsize=8)
    axes.legend()
    _save(figure, path)


def calibration(path: Path, reliability: Sequence[Reliability], ece: float) -> None:
    """Mean label over mean score; on the diagonal a score is a probability."""
    figure, axes = _axes("score", "mean label")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--")
    axes.plot([bin_.score for bin_ in reliability], [bin_.label for bin_ in reliability], color=INK, marker="o")
    axes.set_title(f"expected calibration error {ece:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _save(figure, path)


def domains(path: Path, quality: Mapping[str, Mapping[str, Interval]], shown: Sequence[str] = (OURS, "best single", "oracle")) -> None:
    """Bars per domain with intervals, one for each of `shown`."""
    names = list(quality)
    bars = list(zip(shown, (INK, GREY, "#d9b44a"), strict=False))
    figure, axes = _axes("", "mean label of the chosen LLM", width=max(6.0, 1.1 * len(names)))
    for offset, (name, colour) in enumerate(bars):
        qualities = [quality[domain][name] for domain in names]
        errors = [[one.mean - one.low for one in qualities], [one.high - one.mean for one in qualities]]
        places = [place + 0.27 * (offset - 1) for place in range(len(names))]
        axes.bar(places, [one.mean for one in qualities], width=0.25, color=colour, label=name, yerr=errors, ecolor="#444444", capsize=2)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_ylim(0, 1.05)
    axes.legend()
    _save(figure, path)


def _axes(x: str, y: str, *, width: float = 6.0) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # the same picture gives the same bytes
