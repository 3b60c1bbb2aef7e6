"""Charts, drawn by ECharts, which NiceGUI ships; their colours read on light and dark ground."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from console import parts

MARK, WARM, FAINT, GOOD = "#5b7cfa", "#e0873a", "#8a94a6", "#2fa36b"
GRID = {"left": 8, "right": 8, "top": 34, "bottom": 4, "containLabel": True}
LINE = {"lineStyle": {"color": "rgba(138,148,166,.22)"}}
WORDS = {"color": FAINT, "fontFamily": "Inter, Roboto, system-ui, sans-serif", "fontSize": 12}


@dataclass(frozen=True, slots=True)
class Point:
    """USD per 1,000 queries and quality of a scorer version (`ours`) or of what it is measured against."""

    name: str
    cost_usd: float
    quality: float
    ours: bool


def over_time(spans: Sequence[Mapping[str, Any]], hours: float) -> None:
    """Requests as bars and USD as a line over equal spans of the time."""
    shown = "%H:%M" if hours <= 48 else "%b %d"
    times = [f"{datetime.fromtimestamp(each['since'], UTC):{shown}}" for each in spans]
    answered = [each["requests"] - each["failed"] for each in spans]
    bars = {"type": "bar", "stack": "requests", "barMaxWidth": 26}
    series = [
        {**bars, "name": "answered", "data": answered, "itemStyle": {"color": MARK, "borderRadius": [3, 3, 0, 0]}},
        {
            **bars,
            "name": "failed",
            "data": [each["failed"] for each in spans],
            "itemStyle": {"color": "#d9534f", "borderRadius": [3, 3, 0, 0]},
        },
        {
            "type": "line",
            "name": "USD",
            "yAxisIndex": 1,
            "smooth": False,
            "showSymbol": False,
            "data": [round(each["cost_usd"], 6) for each in spans],
            "lineStyle": {"color": WARM, "width": 2},
            "itemStyle": {"color": WARM},
        },
    ]
    axis = {"axisLabel": WORDS, "splitLine": LINE, "axisLine": {"show": False}, "axisTick": {"show": False}}
    _chart(
        {
            "legend": {"right": 0, "top": 0, "textStyle": WORDS, "itemWidth": 12, "itemHeight": 8},
            "tooltip": {"trigger": "axis"},
            "grid": GRID,
            "xAxis": {"type": "category", "data": times, **axis},
            "yAxis": [{"type": "value", "minInterval": 1, **axis}, {"type": "value", **axis, "splitLine": {"show": False}}],
            "series": series,
        },
        "Requests and money over time",
        260,
    )


def quality_cost(points: Sequence[Point], lines: Sequence[tuple[str, float]]) -> None:
    """Points, and dashed lines at qualities whose cost is not known."""
    axis = {"type": "value", "scale": True, "axisLabel": WORDS, "splitLine": LINE, "nameTextStyle": WORDS, "nameLocation": "middle"}
    marks = [{"yAxis": round(quality, 4), "name": name, "label": {"formatter": "{b}", **WORDS}} for name, quality in lines]
    dashed = {"silent": True, "symbol": "none", "lineStyle": {"type": "dashed", "color": FAINT, "opacity": 0.7}, "data": marks}
    qualities = [*(point.quality for point in points), *(quality for _, quality in lines)]
    bounds = {"min": math.floor(20 * min(qualities) - 0.5) / 20, "max": math.ceil(20 * max(qualities) + 0.5) / 20}
    _chart(
        {
            "legend": {"right": 0, "top": 0, "textStyle": WORDS, "itemHeight": 9},
            "tooltip": {"trigger": "item", "formatter": "{b}: {c}"},
            "grid": {**GRID, "left": 30, "right": 90, "bottom": 26, "top": 44},
            "xAxis": {
                **axis,
                **_around([point.cost_usd for point in points]),
                "name": "USD per 1,000 queries",
                "nameGap": 28,
                "splitNumber": 4,
            },
            "yAxis": {**axis, **bounds, "name": "quality", "nameGap": 44},
            "series": [_scatter(points, ours=True), {**_scatter(points, ours=False), "markLine": dashed}],
        },
        "Quality against cost of scorer versions and baselines",
        320,
    )


def _around(costs: Sequence[float]) -> dict[str, float]:
    """Bounds of an axis that leave room for labels beside the outermost; two digits."""
    room = 0.15 * (max(costs) - min(costs)) or 0.5 * max(costs) or 1.0
    return {"min": float(f"{max(min(costs) - room, 0.0):.2g}"), "max": float(f"{max(costs) + room:.2g}")}


def _scatter(points: Sequence[Point], *, ours: bool) -> dict[str, Any]:
    data = [{"name": each.name, "value": [float(f"{each.cost_usd:.3g}"), round(each.quality, 4)]} for each in points if each.ours == ours]
    return {
        "type": "scatter",
        "name": "scorer versions" if ours else "baselines",
        "data": data,
        "symbolSize": 15 if ours else 11,
        "symbol": "circle" if ours else "diamond",
        "itemStyle": {"color": MARK if ours else FAINT},
        "label": {"show": True, "position": "right" if ours else "bottom", "formatter": "{b}", **WORDS},
    }


def _chart(options: dict[str, Any], label: str, height: int) -> None:
    chart = ui.echart({"animationDuration": 300, "backgroundColor": "transparent", "textStyle": WORDS, **options})
    parts.attribute(chart.classes("w-full").style(f"height: {height}px; min-width: 0").props("role=img"), "aria-label", label)
