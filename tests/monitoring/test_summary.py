"""The first screen answers six questions."""

from dataclasses import replace
from pathlib import Path

from monitoring.drift import named_domains, summary, window
from monitoring.drift.verdict import decide
from monitoring.records.store import RecordStore
from tests.monitoring.test_groups import LAW, strangers


def looked(records, world, rules):
    made = window.measure(records, world.profile(), rules, scorer_version="1", index=0)
    return summary.of(made, decide(made.stats, rules)), made


def test_an_unknown_group_is_named_with_time_certainty_money_and_commands(world, rules) -> None:
    """Where and since when are those of the group's queries; what to do are commands that exist."""
    usual = [replace(record, text="Add two and three.") for record in world.records(60)]
    law = [replace(each, created_at=each.created_at + 1000, outcome=None) for each in strangers(world, 100, 20, LAW, "law")]
    told, made = looked([*usual, *law], world, rules)
    assert "queries are novel" in told.changed
    assert told.where.startswith("Unlike anything labelled: unknown 1: ")
    assert "queries, " in told.where
    assert told.since.startswith("The first such query came 2023-11-14 22:30 UTC; ")
    assert "Nothing is audited, so nothing is known of quality." in told.sure
    assert "for unknown queries" in told.costs
    assert "Have some of 'unknown 1' audited: `routemoa groups audit 'unknown 1'`, then `routemoa grade`." in told.do
    untold, _ = looked([replace(each, text=None) for each in [*usual, *law]], world, rules)
    assert "audited once texts are kept (ROUTEMOA_STORE_TEXT=true)" in untold.do
    assert "`routemoa groups name 'unknown 1' NAME`" in told.do
    assert "`routemoa retrain --plan" in told.do or made.groups
    assert told.markdown().startswith("**What changed.** ")


def test_a_group_that_has_a_name_is_not_to_be_named(world, rules, tmp_path: Path) -> None:
    """Its members that lie apart from it may be, as the group that they are."""
    strange = strangers(world, 100, 20, LAW, "law")
    store = RecordStore(tmp_path / "records.db")
    named_domains.name(store, "contracts", strange, world.profile(), None)
    records, named = [*world.records(60), *strange], named_domains.load(store)
    made = window.measure(records, world.profile(), rules, scorer_version="1", index=0, named=named)
    told = summary.of(made, decide(made.stats, rules))
    assert "contracts" in told.where
    assert "groups name 'contracts'" not in told.do


def test_usual_traffic_asks_for_nothing(world, rules) -> None:
    """Nothing to do; too few queries are waited for; an idle server has a summary too."""
    assert looked(world.records(100, audited=0.5), world, rules)[0].do == "Nothing."
    assert "Wait for more" in looked(world.records(5), world, rules)[0].do
    assert looked([], world, rules)[0].since == "No query was scored yet."


def test_broken_promises_are_named_by_domain(world, rules) -> None:
    """With the gap and the audits that showed it, and the odds."""
    told, _ = looked(world.records(200, audited=1.0, error=0.4), world, rules)
    assert "Worse than promised: " in told.where
    assert "audits: odds of" in told.sure
    assert "Estimated quality" in told.costs
