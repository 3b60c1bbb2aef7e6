"""Draws the README's picture, quality against cost, from the tables of docs/results/mixture.md and mixture_live.md.

`python -m benchmarks.quality_cost` writes docs/results/quality-cost.svg.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "results"
TABLES = {  # title of the panel -> page, marker of the section, and a text after which the table begins
    "Ten recorded LLMs, none leads": ("mixture.md", "mixture-b", "| system |"),
    "Five local LLMs live, one leads (pool of before)": ("mixture_live.md", "mixture-live", "Together, 400 queries:"),
}
PLACES = {"right": (7, 0, "left"), "left": (-7, 0, "right"), "above": (7, 9, "left"), "below": (7, -9, "left")}
LABELS = {  # name in the tables -> name in the picture, and where it stands beside its point; random and cheapest lie far below
    "best single": ("best single LLM", "right"),
    "routed single": ("one routed LLM", "above"),
    "vote of all": ("vote of all five", "right"),
    "vote of 3 routed": ("vote of three routed", "right"),
    "vote of 5 routed": ("vote of five routed", "above"),
    "MoA's first layer, a vote of all": ("vote of all ten", "left"),
    "RouteMoA as published, its first layer": ("RouteMoA's first layer", "right"),
    "cascade, cheap to dear": ("cascade", "left"),
    "Self-MoA": ("Self-MoA", "below"),
    "MoA": ("MoA", "above"),
    "SMoA": ("SMoA", "left"),
    "RouteMoA as released": ("RouteMoA", "left"),
    "ours": ("ours", "below"),
}


@dataclass(frozen=True, slots=True)
class Plotted:
    """One system: mean quality with its 95 % interval, USD per 10,000 queries."""

    system: str
    quality: float
    low: float
    high: float
    usd: float


def rows(text: str, marker: str, after: str) -> list[Plotted]:
    """The systems with a cost in the first table at or after the text `after` in the section `marker` of a results page."""
    section = text.partition(f"<!-- {marker} -->")[2].partition(f"<!-- /{marker} -->")[0]
    lines = section[section.index("| system |", section.index(after)) :].split("\n\n")[0].splitlines()
    usd_at = _cells(lines[0]).index("USD, 10,000 queries")
    plotted = []
    for cells in map(_cells, lines[2:]):
        if cells[usd_at]:
            quality, low, high = map(float, re.findall(r"-?[\d.]+", cells[1]))
            plotted.append(Plotted(cells[0], quality, low, high, float(cells[usd_at])))
    return plotted


def draw(panels: dict[str, list[Plotted]], file: Path) -> None:
    """One panel a pool; ours in colour."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, (title, systems) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.set(title=title, xlabel="USD per 10,000 queries", ylabel="share of right answers, 95 % interval")
        axes.spines[["top", "right"]].set_visible(False)
        for row in systems:
            if row.system in LABELS:
                _point(axes, row)
        axes.set_xlim(0, 1.18 * max(row.usd for row in systems))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "routemoa"}):  # the same figures give the same bytes
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def _point(axes: Any, row: Plotted) -> None:
    name, place = LABELS[row.system]
    ours = row.system == "ours"
    colour = "#c0392b" if ours else "#5b6770"
    spread = [[row.quality - row.low], [row.high - row.quality]]
    axes.errorbar(row.usd, row.quality, yerr=spread, fmt="o", color=colour, markersize=7 if ours else 5, elinewidth=0.8)
    x, y, align = PLACES[place]
    style = {"color": colour, "fontsize": 10 if ours else 8.5, "fontweight": "bold" if ours else "normal"}
    axes.annotate(name, (row.usd, row.quality), (x, y), textcoords="offset points", ha=align, va="center_baseline", **style)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def main() -> None:
    """Draws the picture."""
    panels = {title: rows((RESULTS / page).read_text(encoding="utf-8"), *place) for title, (page, *place) in TABLES.items()}
    draw(panels, RESULTS / "quality-cost.svg")


if __name__ == "__main__":
    main()
