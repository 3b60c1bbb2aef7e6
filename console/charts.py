"""Charts, drawn by ECharts, which NiceGUI ships; their colours read on light and dark ground."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

MARK, WARM, FAINT, GOOD = "#5b7cfa", "#e0873a", "#8a94a6", "#2fa36b"
GRID = {"left": 8, "right": 8, "top": 34, "bottom": 4, "containLabel": True}
LINE = {"lineStyle": {"color": "rgba(138,148,166,.22)"}}
WORDS = {"color": FAINT, "fontFamily": "Inter, system-ui, sans-serif", "fontSize": 12}


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


def quality_cost(points: Sequence[tuple[str, float, float, bool]]) -> None:
    """name, USD per 1,000 queries, quality, whether it is a scorer version; the others are what it is measured against."""

    def drawn(ours: bool) -> dict[str, Any]:
        data = [{"name": name, "value": [cost, quality]} for name, cost, quality, version in points if version == ours]
        label = {"show": True, "position": "top", "formatter": "{b}", **WORDS}
        return {
            "type": "scatter",
            "name": "scorer versions" if ours else "baselines",
            "data": data,
            "symbolSize": 15 if ours else 10,
            "symbol": "circle" if ours else "diamond",
            "itemStyle": {"color": MARK if ours else FAINT},
            "label": label,
            "labelLayout": {"moveOverlap": "shiftY"},
        }

    axis = {"type": "value", "scale": True, "axisLabel": WORDS, "splitLine": LINE, "nameTextStyle": WORDS, "nameLocation": "middle"}
    _chart(
        {
            "legend": {"right": 0, "top": 0, "textStyle": WORDS},
            "tooltip": {"trigger": "item", "formatter": "{b}: {c}"},
            "grid": {**GRID, "left": 30, "right": 40, "bottom": 26, "top": 44},
            "xAxis": {**axis, "name": "USD per 1,000 queries", "nameGap": 28},
            "yAxis": {**axis, "name": "quality", "nameGap": 44},
            "series": [drawn(True), drawn(False)],
        },
        "Quality against cost of scorer versions and baselines",
        320,
    )


def _chart(options: dict[str, Any], label: str, height: int) -> None:
    chart = ui.echart({"animationDuration": 300, "backgroundColor": "transparent", "textStyle": WORDS, **options})
    chart.classes("w-full").style(f"height: {height}px; min-width: 0").props(f'role=img aria-label="{label}"')
