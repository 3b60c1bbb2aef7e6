"""A scorer version's description in MLflow: what it is good for, what it was made from, what the gate says, how to promote it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixture.llm import LLM
from registry.lineage import Lineage
from registry.version import GateState

LIMIT = 5_000  # characters; the width of the column in MLflow
MOST_COLUMNS = 6
BOUNDS = (("low", "high"), ("lower", "upper"))
PROMOTE = """## Promote
Set the alias `champion` on this version (the pencil beside *Aliases*), or run `routemoa promote {number}`.
Servers follow within 5 seconds; `routemoa rollback` returns to the champion before."""


def write(
    *, number: str, metrics: Mapping[str, Any], roster: Sequence[LLM], lineage: Lineage, gate: GateState, reasons: Sequence[str]
) -> str:
    """The card of version `number` as Markdown of at most LIMIT characters; tables that do not fit are left out, the test split's last."""
    head = [f"Scores a query for {len(roster)} LLMs, without asking any of them."]
    tail = [
        section_of_gate(gate, reasons),
        _roster(roster),
        _lineage(lineage),
        PROMOTE.format(number=number),
    ]
    room = LIMIT - sum(len(part) + 2 for part in [*head, *tail])
    figures = ""
    for table in sorted(tables(metrics), key=lambda table: not table.startswith("## test")):  # what a reader asks for first
        if len(figures) + len(table) + 2 > room:
            break
        figures += f"{table}\n\n"
    return "\n\n".join([*head, *filter(None, [figures.strip()]), *tail])[:LIMIT]


def with_gate(card: str, gate: GateState, reasons: Sequence[str]) -> str:
    """`card` with its gate section replaced."""
    section = section_of_gate(gate, reasons)
    replaced, count = re.subn(r"## Gate\n.*?(?=\n\n## |\Z)", lambda _: section, card, count=1, flags=re.DOTALL)
    return (replaced if count else f"{card}\n\n{section}".strip())[:LIMIT]


def section_of_gate(gate: GateState, reasons: Sequence[str]) -> str:
    """The gate's state, and its reasons as a list."""
    return "\n".join(["## Gate", f"**{gate.capitalize()}**", "", *(f"- {reason}" for reason in reasons)]).rstrip()


def tables(metrics: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """A Markdown table for each group of rows in `metrics`, and one for the figures beside them; groups within groups have their own.

    A figure is a number, or a mapping with `value` (or `mean`) and its interval (`low`/`high` or `lower`/`upper`). A row is a mapping of
    figures only. Flat names with dots (`test.ours.quality`, `test.ours.quality.low`) are the same thing nested.
    """
    title, metrics = " / ".join(path) or "Figures", nested(metrics)
    groups, figures = _groups(metrics), _figures(metrics)
    rows = {name: _figures(group) for name, group in groups.items() if _figures(group) and not _groups(group)}
    if path and len(rows) < 2:  # a row that stands alone reads better as a list
        rows = {}
    if rows:
        yield _table_of_rows(title, rows)
    if figures:
        yield _table_of_figures(f"{title}, overall" if rows else title, figures)
    for name, group in groups.items():
        if name not in rows:
            yield from tables(group, (*path, name))


def _table_of_rows(title: str, rows: Mapping[str, Mapping[str, str]]) -> str:
    """A line a row, a column a figure: at most MOST_COLUMNS, empty where a row lacks it."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))[:MOST_COLUMNS]
    head = [f"## {title}", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*head, *(f"| {name} | {' | '.join(row.get(column, '') for column in columns)} |" for name, row in rows.items())])


def _table_of_figures(title: str, figures: Mapping[str, str]) -> str:
    """A line a figure."""
    return "\n".join([f"## {title}", "| | |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in figures.items())])


def nested(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1, "a.b.low": 0}` as `{"a": {"b": {"value": 1, "low": 0}}}`."""
    tree: dict[str, Any] = {}
    for name, value in metrics.items():
        *path, last = name.split(".")
        branch = tree
        for step in path:
            if not isinstance(branch.get(step), dict):
                branch[step] = {"value": branch[step]} if step in branch else {}
            branch = branch[step]
        if isinstance(branch.get(last), dict) and not isinstance(value, Mapping):
            branch[last]["value"] = value
        else:
            branch[last] = nested(value) if isinstance(value, Mapping) else value
    return tree


def _groups(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: value for name, value in metrics.items() if isinstance(value, Mapping) and _figure(value) is None}


def _figures(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: text for name, value in row.items() if (text := _figure(value)) is not None}


def _figure(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return f"{value:.4g}"
    if not isinstance(value, Mapping):
        return None
    middle = value.get("value", value.get("mean"))
    for low, high in BOUNDS:
        if isinstance(middle, int | float) and low in value and high in value:
            return f"{middle:.3g} [{value[low]:.3g}, {value[high]:.3g}]"
    return None


def _roster(roster: Sequence[LLM]) -> str:
    lines = ["## Roster", "| LLM | name | USD per 1M tokens, in / out |", "|---|---|---|"]
    lines += [f"| `{llm.id}` | {llm.name} | {llm.price.input:g} / {llm.price.output:g} |" for llm in roster[:20]]
    return "\n".join([*lines, *([f"and {len(roster) - 20} more"] if len(roster) > 20 else [])])


def _lineage(lineage: Lineage) -> str:
    commit = (
        f"`{lineage.git_commit[:12]}`{' with uncommitted changes' if lineage.git_dirty else ''}" if lineage.git_commit else "not under git"
    )
    return "\n".join(
        [
            "## Made from",
            f"- data `{lineage.query_pool_md5 or 'not under DVC'}` (data.dvc)",
            f"- dataset `{lineage.dataset_md5 or 'not under DVC'}` (dvc.lock, assemble)",
            f"- code {commit}",
            f"- pool `{lineage.pool_hash[:12]}`",
        ]
    )
