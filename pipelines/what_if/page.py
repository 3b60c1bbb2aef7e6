"""The what-if as one HTML file: no script, nothing fetched, its pictures inside."""

import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pipelines.what_if import words
from pipelines.what_if.compare import Compared
from pipelines.what_if.report import Report
from scorer.atomic_write import replacing

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{font-size:1.1rem;color:#555}h2{margin-top:2rem;font-size:1.2rem}svg{max-width:100%;height:auto}footer{color:#555}
.headline{background:#eef4fa;border-left:.4rem solid #1f4e79;padding:.8rem 1.2rem}.headline p:first-child{font-size:1.35rem;margin:.2rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#fff;padding:.6rem;font-size:.85rem}
table{border-collapse:collapse;margin:1rem 0;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd}
td{font-variant-numeric:tabular-nums}tr.marked{font-weight:600;background:#eef4fa}"""
HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light">'
INK = "#1f4e79"


def write(path: Path, report: Report) -> None:
    """Writes it to `path`."""
    with replacing(path) as partial:
        partial.write_text(html(report), encoding="utf-8")


def html(report: Report) -> str:
    """The whole page: the headline, when and how much, who else, by whom, and at the end what was assumed and not counted."""
    spent = report.spent
    parts = [f"<h1>{escape(report.log)}: what LLMs cost, and what they could</h1>", _headline(report)]
    parts += [_list(words.period_lines(spent)), _said(words.verdict_lines(report))]
    if report.settings:
        places = {at for at, each in enumerate(report.settings) if each == report.best}
        table = _table(words.SETTINGS, words.setting_rows(report), places)
        parts += [_picture(report.settings), "<h2>By the value of a dollar</h2>", table]
    if spent.elsewhere:
        places = {at for at, name in enumerate(spent.elsewhere) if name in spent.logged}
        table = _table(words.ELSEWHERE, words.elsewhere_rows(spent), places)
        parts += [f"<h2>{escape(words.ALONE)}</h2>", _said([words.QUALITY_UNKNOWN]), table]
    for head, sums in ((words.BY_LLM, spent.by_llm), (words.BY_KEY, spent.by_key)):
        if sums:
            parts += [f"<h2>By {escape(head[0])}</h2>", _table(head, words.sum_rows(sums, spent.usd))]
    for kind, some in report.best.parts.items() if report.best is not None else ():
        parts += [f"<h2>Routed, by {escape(kind)}</h2>", _table((kind, *words.PARTS), words.part_rows(some))]
    parts += ["<footer><h2>What was counted</h2>", _list((*words.log_lines(report), *words.spent_lines(spent), *report.notes))]
    parts += ["<h2>What was assumed</h2>", _list(report.assumed)] if report.assumed else []
    title = f"{escape(report.log)}: what LLMs cost"
    return f'<!doctype html><html lang="en">{HEAD}<title>{title}</title><style>{STYLE}</style>{"".join(parts)}</footer></html>\n'


def _headline(report: Report) -> str:
    commands = report.next_steps.commands if report.next_steps is not None else ()
    typed = f"<pre>{escape(chr(10).join(commands))}</pre>" if commands else ""
    return f'<div class="headline"><p>{escape(words.headline(report))}</p>{typed}</div>'


def _said(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], marked: Iterable[int] = ()) -> str:
    places = set(marked)
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = (
        f"<tr{' class=marked' if at in places else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for at, row in enumerate(rows)
    )
    return f"<table><tr>{cells}</tr>{''.join(lines)}</table>"
