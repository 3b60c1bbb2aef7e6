"""The tables a report is drawn from hold what the window holds."""

from dataclasses import replace

import numpy as np
import pytest

from monitoring.drift import report_tables, window
from monitoring.drift.verdict import decide
from monitoring.records.record import Outcome


@pytest.fixture
def reference(world):
    return world.profile()


def measured(records, reference, rules):
    """Window, novelty and verdict of `records`."""
    judged = window.measure(records, reference, rules, scorer_version="1", index=0)
    return judged, judged.novelty, decide(judged.stats, rules)


def test_a_row_a_record_and_the_windows_figures_in_each(world, reference, rules) -> None:
    """Scores by LLM, novelty, promise and outcome of each record; a figure of the whole window stands in every row."""
    records = world.records(40, audited=0.5)
    judged, novelty, verdict = measured(records, reference, rules)
    table = report_tables.recent(judged, novelty, verdict)
    assert len(table) == 40
    assert table["score large"].tolist() == [record.scores[2] for record in records]
    assert table["promised"].tolist() == [record.predicted for record in records]
    assert table["audited"].sum() == sum(record.outcome is not None for record in records)
    assert table["novel"].mean() == novelty.share
    assert set(table["verdict"]) == {verdict.kind}
    assert set(table[report_tables.QUERY_P]) == {judged.stats.shift.adjusted["queries"]}
    assert "text" not in table


def test_only_audited_records_can_be_mispredicted(world, reference, rules) -> None:
    """Wrong where promise and outcome lie on two sides of ADEQUATE; unknown without an outcome, and left out of the second page."""
    records = world.records(60, audited=0.5)
    judged, novelty, verdict = measured(records, reference, rules)
    table = report_tables.recent(judged, novelty, verdict)
    wrong = [float((record.predicted >= 0.5) != (record.outcome.score >= 0.5)) if record.outcome else np.nan for record in records]
    np.testing.assert_array_equal(table["mispredicted"], wrong)
    pairs = report_tables.audited(table)
    assert len(pairs) == table["audited"].sum()
    assert (pairs["promised adequate"] != pairs["adequate"]).mean() == pytest.approx(judged.stats.mispredictions.share)


def test_text_is_shown_only_where_every_record_keeps_it(world, reference, rules) -> None:
    """Descriptors over half of the traffic would read as those of all."""
    records = [replace(record, text="how many apples?") for record in world.records(20)]
    assert "text" in report_tables.recent(*measured(records, reference, rules))
    assert "text" not in report_tables.recent(*measured([*records[:-1], replace(records[-1], text=None)], reference, rules))


def test_held_out_queries_stand_in_the_same_columns(world, reference, rules) -> None:
    """The reference of a comparison has the scores, novelty and domains of the held-out queries; about 5 % of them are novel."""
    _, novelty, _ = measured(world.records(20), reference, rules)
    table = report_tables.held_out(reference, novelty)
    assert len(table) == len(reference.held_queries_HD)
    assert table["score small"].to_numpy() == pytest.approx(reference.held_scores_HL[:, 0])
    assert table["novel"].mean() == pytest.approx(0.05)


def test_figures_that_do_not_exist_are_left_out(world, reference, rules) -> None:
    """Too few queries: no tests; fewer than five audited: no quality, no calibration; all outcomes alike: no AUROC."""
    few, _, _ = measured(world.records(5), reference, rules)
    assert set(report_tables.figures(few.stats)) == {"failed share"}
    records = [replace(record, outcome=Outcome(1.0, "audit", 0.0)) for record in world.records(40)]
    alike = report_tables.figures(measured(records, reference, rules)[0].stats)
    assert {"mispredicted share", "calibration error (ECE)", "Brier score"} <= set(alike)
    assert "AUROC of promises" not in alike
    four = [*records[:4], *(replace(each, outcome=None) for each in records[4:])]
    untold = report_tables.figures(measured(four, reference, rules)[0].stats)
    assert not {"estimated quality", "mispredicted share"} & set(untold)
    nothing, _, _ = measured([], reference, rules)
    assert report_tables.figures(nothing.stats) == {}
