"""The figures that every table rests on, where their values are known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from scorer.metrics import Interval


def test_a_mean_has_the_interval_of_its_queries() -> None:
    """About 1.96 standard errors of a proportion either way; queries without a value do not count."""
    values_Q = np.array([1.0] * 300 + [0.0] * 100 + [np.nan] * 50)
    shown = report.interval(values_Q)
    error = np.sqrt(0.75 * 0.25 / 400)
    assert shown.mean == 0.75
    assert (shown.low, shown.high) == pytest.approx((0.75 - 1.96 * error, 0.75 + 1.96 * error), abs=0.005)
    assert report.interval(values_Q) == shown


def test_a_mean_of_nothing_is_undefined() -> None:
    """Nothing stands in the table."""
    assert np.isnan(report.interval(np.array([np.nan, np.nan])).mean)


def test_a_difference_is_paired() -> None:
    """What makes a query hard cancels: a constant gain on noisy queries leaves no doubt; a query that one lacks is left out."""
    noisy_Q = np.random.default_rng(0).normal(size=200)
    gain = report.difference(np.append(noisy_Q + 0.1, 5.0), np.append(noisy_Q, np.nan))
    assert (gain.mean, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))
    assert report.interval(noisy_Q).high - report.interval(noisy_Q).low > 0.2


def test_a_ratio_is_of_means_and_not_a_mean_of_ratios() -> None:
    """(1 + 9) / (1 + 4), where the mean of 1/1 and 9/4 is not 2; a pair with an unknown side is left out; equal pairs leave no doubt."""
    assert report.ratio(np.array([1.0, 9.0, np.nan]), np.array([1.0, 4.0, 1.0])).mean == 2.0
    assert report.ratio(np.array([4.0, 4.0]), np.array([2.0, 2.0])) == Interval(2.0, 2.0, 2.0)


def test_percentiles_are_in_milliseconds() -> None:
    """Of 1 to 101 ms: the median is 51, the 99th percentile 100."""
    assert report.percentiles([n / 1000 for n in range(1, 102)]) == {"p50_ms": 51.0, "p99_ms": 100.0, "mean_ms": 51.0}


def test_a_table_is_markdown() -> None:
    """Three digits; nothing for what is undefined or does not apply; an interval in brackets."""
    rows = [["a", 0.12345, 3], ["b", float("nan"), None], ["c", Interval(0.5, 0.25, 0.75), "x"]]
    lines = report.table(["system", "quality", "calls"], rows).splitlines()
    assert lines[:2] == ["| system | quality | calls |", "|---|---|---|"]
    assert lines[2:] == ["| a | 0.123 | 3 |", "| b |  |  |", "| c | 0.500 [0.250, 0.750] | x |"]


def test_undefined_figures_are_null() -> None:
    """JSON has no NaN; an interval is a list."""
    assert report.as_json({"a": Interval(1.0, float("nan"), 2.0), "b": float("nan"), "c": {"d": 1}}) == {
        "a": [1.0, None, 2.0],
        "b": None,
        "c": {"d": 1},
    }


def test_results_say_how_they_were_made_and_not_where_folders_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """table.md has the blocks; results.json the command and the machine; a folder outside the project is shown by its name."""
    folder = tmp_path / "mine"
    monkeypatch.setattr(sys, "argv", ["benchmarks/scorer.py", str(folder), "--seeds", "2"])
    assert report.command(folder) == "python -m benchmarks.scorer FOLDER/mine --seeds 2"
    report.write(tmp_path / "out", ["one", "two"], {"figure": 1}, ["numpy"])
    assert (tmp_path / "out" / "table.md").read_text() == "one\n\ntwo\n"
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["figure"] == 1
    assert results["machine"]["packages"] == {"numpy": np.__version__}
