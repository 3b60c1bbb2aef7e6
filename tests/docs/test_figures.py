"""The README's figures are those of the results' tables."""

import re
from pathlib import Path

import pytest
from pages import ROOT

from benchmarks.quality_cost import rows

RESULTS = ROOT / "docs" / "results"
POOLS = [
    ("10 LLMs, choice questions, none leads (2,443)", "mixture.md", "mixture-b", "| system |"),
    ("27 LLMs", "mixture.md", "mixture-27", "| system |"),
    ("the demo's 5", "mixture_live.md", "mixture-live-efforts", "Together, 400 queries:"),
]


@pytest.mark.parametrize(("pool", "page", "marker", "after"), POOLS)
def test_the_readmes_table(pool: str, page: str, marker: str, after: str) -> None:
    """Quality of the best single LLM and of ours, and what ours costs, rounded as they are shown."""
    line = next(line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith(f"| {pool}"))
    shown = [float(number) for number in re.findall(r"[-+]?\d*\.\d+", line)]
    measured = {row.system: row for row in rows((RESULTS / page).read_text(encoding="utf-8"), marker, after)}
    single, ours = measured["best single"], measured["ours"]
    assert shown[:2] == [single.quality, ours.quality]
    assert shown[2] == pytest.approx(ours.quality - single.quality, abs=0.0011)
    assert shown[5] == pytest.approx(ours.usd, rel=0.02)
    assert shown[6] == pytest.approx(ours.usd / single.usd, abs=0.05)


@pytest.mark.parametrize(("pool", "name"), [("10 LLMs", "mmlu_pro"), ("9 LLMs", "llmrouter_dc"), ("29 LLMs", "zeroeval")])
def test_the_readmes_savings(pool: str, name: str) -> None:
    """Saved at one, two and five points: what is left of the best LLM's cost under a certificate."""
    shown = [cell.strip() for cell in _row(ROOT / "README.md", f"| {pool}").split("|")[2:5]]
    page = RESULTS / "promises.md"
    costs = [float(_row(page, f"| {name} | {pool.split(maxsplit=1)[0]} |", at).split("|")[7].strip(" %")) for at in range(3)]
    assert shown == [f"{100 - cost:.0f} %" if cost < 100 else "nothing" for cost in costs]


def _row(page: Path, start: str, at: int = 0) -> str:
    """The line number `at` of those that start so."""
    return [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(start)][at]


def test_the_picture_has_every_baseline() -> None:
    """The picture is drawn again when a table changes: its labels are those of the systems in the tables."""
    drawn = (RESULTS / "quality-cost.svg").read_text(encoding="utf-8")
    for label in ("ours", "best single LLM", "one routed LLM", "cascade", "vote of all ten", "MoA", "SMoA", "Self-MoA", "RouteMoA"):
        assert f">{label}<" in drawn
