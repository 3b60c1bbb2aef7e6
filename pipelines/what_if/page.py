"""The what-if as one HTML file: no script, nothing fetched, its pictures inside."""

import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pipelines.logs.money import usd
from pipelines.what_if.compare import Compared, Part
from pipelines.what_if.report import ASSUMED, ELSEWHERE, Report, elsewhere_rows, in_points, percent, spent_lines, verdict_lines
from scorer.atomic_write import replacing

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;margin:1rem 0;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd}
tr.best{font-weight:600}svg{max-width:100%;height:auto}h2{margin-top:2rem}footer{color:#555}"""
ALONE = "What one LLM alone would have cost on the same tokens"
INK = "#1f4e79"


def write(path: Path, report: Report) -> None:
    """Writes it to `path`."""
    with replacing(path) as partial:
        partial.write_text(html(report), encoding="utf-8")


def html(report: Report) -> str:
    """The whole page."""
    parts = [f"<h1>What would routing have saved?</h1><p>{escape(report.log)}</p>"]
    parts += [f"<p>{escape(line)}</p>" for line in verdict_lines(report)]
    if report.settings:
        parts += [_picture(report.settings), "<h2>By the value of a dollar</h2>", _settings(report)]
    if report.best is not None:
        for kind, some in report.best.parts.items():
            parts += [f"<h2>By {escape(kind)}</h2>", _parts(some)]
    parts += ["<h2>What it cost</h2>", *(f"<p>{escape(line)}</p>" for line in spent_lines(report.spent))]
    parts += [_table(("LLM", "calls", "USD"), ((name, f"{count:,}", usd(spent)) for name, (count, spent) in report.spent.by_llm.items()))]
    if report.spent.elsewhere:
        parts += [f"<h2>{escape(ALONE)}</h2>", _table(ELSEWHERE, elsewhere_rows(report.spent))]
    said = [*report.notes, *(f"Assumed: {line}" for line in ASSUMED if report.settings)]
    parts.append("<footer>" + "".join(f"<p>{escape(line)}</p>" for line in said) + "</footer>")
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>What if</title><style>{STYLE}</style>{"".join(parts)}</html>\n'


def _picture(settings: Sequence[Compared]) -> str:
    """Quality against money, with both intervals."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.axhline(0, color="#999", linewidth=0.8)
    for each in settings:
        quality, saved = each.quality, each.saved
        down_up = [[100 * max(quality.mean - quality.low, 0)], [100 * max(quality.high - quality.mean, 0)]]
        known = saved.low == saved.low
        sideways = [[100 * max(saved.mean - saved.low, 0)], [100 * max(saved.high - saved.mean, 0)]] if known else None
        axes.errorbar(100 * saved.mean, 100 * quality.mean, yerr=down_up, xerr=sideways, fmt="o", color=INK, elinewidth=0.8)
    axes.set(xlabel="money saved, %", ylabel="quality, points beside the baseline, 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "routemoa"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def _settings(report: Report) -> str:
    rows = (
        (f"{each.value_of_a_dollar:g}", f"{each.moved:.0%}", usd(each.usd.mean), percent(each.saved), in_points(each.quality))
        for each in report.settings
    )
    return _table(("a dollar is worth", "calls moved", "USD", "saved", "quality, points"), rows, best=_place(report))


def _place(report: Report) -> int | None:
    return next((at for at, each in enumerate(report.settings) if each == report.best), None)


def _parts(parts: Sequence[Part]) -> str:
    ordered = sorted(parts, key=lambda part: -part.calls)
    rows = ((each.name, f"{each.calls:,}", usd(each.baseline_usd), usd(each.usd), in_points(each.quality)) for each in ordered)
    return _table(("", "calls", "USD then", "USD ours", "quality, points"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], best: int | None = None) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = (
        f"<tr{' class=best' if at == best else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for at, row in enumerate(rows)
    )
    return f"<table><tr>{cells}</tr>{''.join(lines)}</table>"
