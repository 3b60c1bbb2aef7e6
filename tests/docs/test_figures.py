"""The README's figures are those of the results' tables."""

import re

import pytest
from pages import ROOT

from benchmarks.quality_cost import rows

RESULTS = ROOT / "docs" / "results"
POOLS = [
    ("10 LLMs", "mixture.md", "mixture-b", "| system |"),
    ("15 LLMs", "mixture.md", "mixture-15", "| system |"),
    ("27 LLMs", "mixture.md", "mixture-27", "| system |"),
    ("28 LLMs", "mixture.md", "mixture-zeroeval", "| system |"),
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


def test_the_picture_has_every_baseline() -> None:
    """The picture is drawn again when a table changes: its labels are those of the systems in the tables."""
    drawn = (RESULTS / "quality-cost.svg").read_text(encoding="utf-8")
    for label in ("ours", "best single LLM", "one routed LLM", "cascade", "vote of all ten", "MoA", "SMoA", "Self-MoA", "RouteMoA"):
        assert f">{label}<" in drawn
