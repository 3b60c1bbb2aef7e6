"""Charts, drawn by ECharts, which NiceGUI ships; their colours read on light and dark ground."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from console import parts

MARK, WARM, FAINT, GOOD, BAD = "#5b7cfa", "#e0873a", "#8a94a6", "#2fa36b", "#d9534f"
ROUND = {"borderRadius": [3, 3, 0, 0]}
VERDICT_COLOURS = {"keep": GOOD, "watch": "#e8b23a", "retrain": BAD, "too-little-data": "#b8bfcc"}
PLACES = ("left", "right", "top", "bottom")  # of the names of points that may lie close together
CURVES = (MARK, WARM, GOOD, "#a46be0")
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
        {**bars, "name": "answered", "data": answered, "itemStyle": {**ROUND, "color": MARK}},
        {
            **bars,
            "name": "failed",
            "data": [each["failed"] for each in spans],
            "itemStyle": {**ROUND, "color": BAD},
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


def savings(rows: Sequence[Mapping[str, Any]]) -> None:
    """USD a day: what was spent on routed requests, and what the baseline would have cost."""
    axis = {"axisLabel": WORDS, "splitLine": LINE, "axisLine": {"show": False}, "axisTick": {"show": False}}
    bars = {"type": "bar", "barMaxWidth": 22}
    told = (("the baseline", "baseline_usd", "#c3c9d5"), ("routed", "routed_usd", MARK))
    series = [
        {
            **bars,
            "name": name,
            "data": [_significant(row[field]) for row in rows],
            "itemStyle": {"color": colour, "borderRadius": [3, 3, 0, 0]},
        }
        for name, field, colour in told
    ]
    _chart(
        {
            "legend": {"right": 0, "top": 0, "textStyle": WORDS, "itemWidth": 12, "itemHeight": 8},
            "tooltip": {"trigger": "axis"},
            "grid": GRID,
            "xAxis": {"type": "category", "data": [str(row["name"])[5:] for row in rows], **axis},
            "yAxis": {"type": "value", "name": "USD", "nameTextStyle": WORDS, **axis},
            "series": series,
        },
        "USD a day, routed and by the baseline",
        220,
    )


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def looks(every: Sequence[Mapping[str, Any]]) -> None:
    """The monitor's looks in order: share of novel queries, promised and estimated quality with its band, the verdict below."""
    times = [f"{datetime.fromtimestamp(each['at'], UTC):%b %d %H:%M}" for each in every]
    figures = [each["figures"] for each in every]
    known = [_banded(each) for each in figures]
    plain = {"type": "line", "smooth": False, "connectNulls": False, "symbolSize": 6}
    hidden = {**plain, "stack": "band", "showSymbol": False, "silent": True, "lineStyle": {"opacity": 0}, "tooltip": {"show": False}}
    series = [
        {**hidden, "name": "low", "data": [each and round(each["low"], 3) for each in known]},
        {
            **hidden,
            "name": "band",
            "data": [each and round(each["high"] - each["low"], 3) for each in known],
            "areaStyle": {"color": MARK, "opacity": 0.16},
        },
        {**plain, "name": "estimated quality", "data": [each and round(each["value"], 3) for each in known], **_coloured(MARK)},
        {**plain, "name": "promised", "data": [_rounded(each.get("promised")) for each in figures], **_coloured(FAINT, dashed=True)},
        {**plain, "name": "novel", "data": [_rounded(each.get("novel_share")) for each in figures], **_coloured(WARM)},
        *(_verdicts(kind, every) for kind in VERDICT_COLOURS if any(each["kind"] == kind for each in every)),
    ]
    axis = {"axisLabel": WORDS, "splitLine": LINE, "axisLine": {"show": False}, "axisTick": {"show": False}}
    names = [each["name"] for each in series[2:]]
    _chart(
        {
            "legend": {"left": 0, "top": 0, "textStyle": WORDS, "itemWidth": 14, "itemHeight": 8, "data": names},
            "tooltip": {"trigger": "axis"},
            "grid": {**GRID, "top": 52},
            "xAxis": {"type": "category", "data": times, "boundaryGap": True, **axis},
            "yAxis": {"type": "value", "min": 0, "max": 1, **axis},
            "series": series,
        },
        "Looks of the monitor over time",
        260,
    )


def _verdicts(kind: str, every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Marks on the axis where the verdict was of this kind."""
    data = [0 if each["kind"] == kind else None for each in every]
    colour = VERDICT_COLOURS[kind]
    return {
        "type": "scatter",
        "name": kind,
        "data": data,
        "symbol": "roundRect",
        "symbolSize": [14, 9],
        "itemStyle": {"color": colour},
        "z": 5,
    }


def _banded(figures: Mapping[str, Any]) -> Mapping[str, float] | None:
    quality = figures.get("quality")
    return quality if quality and quality["low"] is not None else None


def _coloured(colour: str, *, dashed: bool = False) -> dict[str, Any]:
    return {"lineStyle": {"color": colour, "width": 2, "type": "dashed" if dashed else "solid"}, "itemStyle": {"color": colour}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def quality_cost(
    points: Sequence[Point], lines: Sequence[tuple[str, float]], curves: Mapping[str, Sequence[tuple[float, float]]] | None = None
) -> None:
    """Points, and dashed lines at qualities whose cost is not known. curves: name -> cost and quality, along which a version could go."""
    axis = {"type": "value", "scale": True, "axisLabel": WORDS, "splitLine": LINE, "nameTextStyle": WORDS, "nameLocation": "middle"}
    marks = [{"yAxis": round(quality, 4), "name": name, "label": {"formatter": "{b}", **WORDS}} for name, quality in lines]
    dashed = {"silent": True, "symbol": "none", "lineStyle": {"type": "dashed", "color": FAINT, "opacity": 0.7}, "data": marks}
    drawn = [_curve(name, curve, CURVES[at % len(CURVES)]) for at, (name, curve) in enumerate((curves or {}).items())]
    along = [point for curve in (curves or {}).values() for point in curve]
    qualities = [*(point.quality for point in points), *(quality for _, quality in lines), *(quality for _, quality in along)]
    bounds = {"min": math.floor(20 * min(qualities) - 0.5) / 20, "max": math.ceil(20 * max(qualities) + 0.5) / 20}
    _chart(
        {
            "tooltip": {"trigger": "item", "formatter": "{b}: {c}"},
            "grid": {**GRID, "left": 30, "right": 90, "bottom": 26, "top": 16},
            "xAxis": {
                **axis,
                **_around([*(point.cost_usd for point in points), *(usd for usd, _ in along)]),
                "name": "USD per 1,000 queries",
                "nameGap": 28,
                "splitNumber": 3,
                "axisLabel": {**WORDS, "hideOverlap": True, "showMinLabel": False, "showMaxLabel": False},
            },
            "yAxis": {**axis, **bounds, "name": "quality", "nameGap": 44},
            "series": [*drawn, _scatter(points, ours=True), {**_scatter(points, ours=False), "markLine": dashed}],
        },
        "Quality against cost of scorer versions and baselines",
        320,
    )


def _curve(name: str, curve: Sequence[tuple[float, float]], colour: str) -> dict[str, Any]:
    data = [[float(f"{usd:.3g}"), round(quality, 4)] for usd, quality in sorted(set(curve))]
    line = {"color": colour, "width": 1.5, "opacity": 0.75}
    return {"type": "line", "name": name, "data": data, "showSymbol": False, "lineStyle": line, "itemStyle": {"color": colour}}


def _around(costs: Sequence[float]) -> dict[str, float]:
    """Bounds of an axis that leave room for labels beside the outermost; three digits."""
    room = max(0.2 * (max(costs) - min(costs)), 0.3 * max(costs)) or 1.0
    return {"min": float(f"{max(min(costs) - room, 0.0):.3g}"), "max": float(f"{max(costs) + room:.3g}")}


def _scatter(points: Sequence[Point], *, ours: bool) -> dict[str, Any]:
    """Versions in the colours of their curves, in their order."""
    data = [
        {
            "name": each.name,
            "value": [float(f"{each.cost_usd:.3g}"), round(each.quality, 4)],
            "itemStyle": {"color": CURVES[at % len(CURVES)] if ours else FAINT},
            "label": {"position": PLACES[at % len(PLACES)] if ours else "bottom"},
        }
        for at, each in enumerate(each for each in points if each.ours == ours)
    ]
    return {
        "type": "scatter",
        "name": "scorer versions" if ours else "baselines",
        "data": data,
        "symbolSize": 15 if ours else 11,
        "symbol": "circle" if ours else "diamond",
        "label": {"show": True, "formatter": "{b}", **WORDS},
    }


def _chart(options: dict[str, Any], label: str, height: int) -> None:
    chart = ui.echart({"animationDuration": 300, "backgroundColor": "transparent", "textStyle": WORDS, **options})
    parts.attribute(chart.classes("w-full").style(f"height: {height}px; min-width: 0").props("role=img"), "aria-label", label)
