"""What the figures of a window mean, and that asking often does not make alarms."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from monitoring.drift import policy, window
from monitoring.drift.verdict import decide
from monitoring.errors import PolicyRefused


def verdict_on(records, profile, rules, **where):
    measured = window.measure(records, profile, rules, **({"scorer_version": "1", "index": 0} | where))
    return decide(measured.stats, rules)


@pytest.mark.parametrize(
    ("n", "traffic", "kind", "reason"),
    [
        (5, {}, "too-little-data", "5 distinct queries; the first look takes 15"),
        (120, {}, "keep", "look like the held-out ones"),
        (120, {"novel": 0.5}, "retrain", r"of queries are novel .*: law \d+ of \d+"),
        (15, {"novel": 1.0}, "retrain", "100% of queries are novel"),
        (180, {"novel": 0.12}, "watch", r"Out of domain: \d+ of \d+ queries of domain law are novel"),
        (270, {"audited": 1.0, "error": 0.3}, "retrain", "below promises on 270 audited answers"),
        (270, {"audited": 0.5}, "keep", "look like the held-out ones"),
        (120, {"audited": 0.2, "error": 0.5}, "retrain", r"Outcomes are 0\.\d+ below promises on \d+ audited answers"),
        (14, {"audited": 1.0, "error": 1.0}, "retrain", r"below promises on 14 audited answers"),
    ],
)
def test_verdicts(world, rules, n, traffic, kind, reason) -> None:
    """Large and certain evidence retrains, certain evidence is watched, too few outcomes or queries decide nothing."""
    verdict = verdict_on(world.records(n, **traffic), world.profile(), rules)
    assert verdict.kind == kind
    assert any(re.search(reason, said) for said in verdict.reasons)


def test_a_mix_of_known_domains_is_named_and_kept(world, rules) -> None:
    """Only coding, which the scorer knows: a change of mix, said with its shares, and nothing to act on."""
    records = [record for record in world.records(600) if record.domain == "coding"][:150]
    verdict = verdict_on(records, world.profile(), rules)
    assert verdict.kind == "keep"
    assert any(
        re.search(r"Known domains are mixed otherwise .*coding \d\d% -> 9\d%|coding \d\d% -> 100%", said) for said in verdict.reasons
    )


def test_the_usual_few_novel_queries_without_a_tag_are_no_alarm(world, rules) -> None:
    """One in twenty is beyond the threshold anyway; that all of those are novel says nothing."""
    measured = window.measure(world.records(405, tag=False), world.profile(), rules, scorer_version="1", index=0)
    assert any(domain.name == window.UNKNOWN and domain.novel > 5 for domain in measured.stats.domains)
    assert decide(measured.stats, rules).kind == "keep"


def test_a_mix_change_hides_no_unknown_domain(world, rules) -> None:
    """Law among nothing but coding is found as law among everything is."""
    coding = [record for record in world.records(300) if record.domain == "coding"][:60]
    law = world.records(40, novel=1.0, prefix="law")
    verdict = verdict_on([*coding, *law], world.profile(), rules)
    assert verdict.kind == "retrain"
    assert "law" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "retrain"),
        ({"status": "error"}, "keep"),
        ({"source": "user"}, "keep"),
    ],
)
def test_only_audits_of_answers_speak_of_promises(world, rules, change, kind) -> None:
    """Answers that audits find bad retrain; an outage and complaints, whose reporters chose themselves, do not."""
    records = [replace(record, status=change.get("status", "ok")) for record in world.records(120, audited=0.5, error=1.0)]
    told = [record.outcome and replace(record.outcome, source=change.get("source", "audit")) for record in records]
    verdict = verdict_on([replace(record, outcome=outcome) for record, outcome in zip(records, told, strict=True)], world.profile(), rules)
    assert verdict.kind == kind
    assert (verdict.stats.complaints is None) == ("source" not in change)


def test_audits_add_up_over_windows(world, rules) -> None:
    """Few audits a window, none of which would say anything: all those of the version count, whenever they were reported."""
    audited = [record for record in world.records(2000, audited=0.03, error=0.4) if record.outcome]
    window_now = [replace(record, outcome=None) for record in world.records(120, prefix="now")]
    measured = window.measure(window_now, world.profile(), rules, scorer_version="1", index=3, audited=audited)
    verdict = decide(measured.stats, rules)
    assert verdict.kind == "retrain"
    assert f"on {len(audited)} audited answers" in verdict.reasons[0]


def test_untagged_queries_are_named_after_the_nearest_domain(world, rules) -> None:
    """Without a tag a query is `near X`, so a reader sees that the name is ours; an unknown one is not called after what it is not."""
    measured = window.measure(world.records(60, tag=False), world.profile(), rules, scorer_version="1", index=0)
    assert {domain.name for domain in measured.stats.domains} - {window.UNKNOWN} == {"near mathematics", "near reading", "near coding"}
    strange = window.measure(world.records(60, novel=1.0, tag=False), world.profile(), rules, scorer_version="1", index=0)
    assert strange.stats.domains[0].name == window.UNKNOWN
    assert strange.stats.domains[0].novel >= 55


def test_every_look_is_taken_in_order(rules) -> None:
    """However fast records come: what was not looked at yet is looked at, once."""
    assert window.looks_after(None, 14, rules) == []
    assert window.looks_after(None, 24, rules) == [(0, 15), (0, 23)]
    assert window.looks_after((0, 270), 1030, rules) == [(0, 405), (0, 500), *((1, size) for size in rules.looks), (2, 15), (2, 23)]
    assert window.looks_after((2, 23), 1030, rules) == []


def test_a_repeated_query_is_not_drift(world, rules) -> None:
    """One query asked 200 times (a health check) among ordinary traffic counts once."""
    records = world.records(60)
    repeated = [replace(records[0], id=f"again-{number}") for number in range(200)]
    measured = window.measure([*records, *repeated], world.profile(), rules, scorer_version="1", index=0)
    assert (measured.stats.n, measured.stats.distinct) == (260, 60)
    assert decide(measured.stats, rules).kind == "keep"
    only = verdict_on(repeated, world.profile(), rules)
    assert only.kind == "too-little-data"
    assert "1 distinct queries (200 with repetitions)" in only.reasons[0]


def test_records_of_another_roster_are_left_out(world, rules, make_record) -> None:
    """A version number used twice (a new registry on an old record file) mixes nothing."""
    measured = window.measure([*world.records(30), make_record("old")], world.profile(), rules, scorer_version="1", index=0)
    assert (measured.stats.n, measured.stats.foreign) == (30, 1)


def test_a_reference_without_held_out_queries_decides_nothing(world, rules) -> None:
    """Tests against three held-out queries could never reject; saying keep would be a lie."""
    verdict = verdict_on(world.records(60), world.profile(held=3), rules)
    assert verdict.kind == "too-little-data"
    assert "3 held-out queries" in verdict.reasons[0]


def test_no_records_at_all(world, rules) -> None:
    """An idle server has too little data."""
    assert verdict_on([], world.profile(), rules).kind == "too-little-data"


def test_a_verdict_id_names_version_window_and_kind(world, rules) -> None:
    """Looks at one window that say the same share the id; another window, version or kind has its own."""
    profile, records = world.profile(), world.records(120, novel=0.8)
    first = verdict_on(records[:80], profile, rules)
    assert first.id == verdict_on(records, profile, rules).id
    others = {
        verdict_on(records, profile, rules, index=1).id,
        verdict_on(records, profile, rules, scorer_version="2").id,
        verdict_on(world.records(80), profile, rules).id,
    }
    assert len(others | {first.id}) == 4


def test_windows_share_no_record_and_are_judged_at_fixed_sizes(rules) -> None:
    """The same records give the same look, however often one asks; every record belongs to one window."""
    assert rules.looks == (15, 23, 35, 53, 80, 120, 180, 270, 405, 500)
    assert window.window_to_judge(0, rules) == (0, 0)
    assert window.window_to_judge(14, rules) == (0, 14)
    assert {window.window_to_judge(scored, rules) for scored in range(15, 23)} == {(0, 15)}
    assert window.window_to_judge(499, rules) == (0, 405)
    assert window.window_to_judge(500, rules) == (0, 500)
    assert window.window_to_judge(514, rules) == (0, 500)
    assert window.window_to_judge(515, rules) == (1, 15)


@pytest.mark.slow
def test_all_looks_of_a_window_together_alarm_rarely(world, rules) -> None:
    """200 replays of a whole window without shift, half of them untagged: at most 5 % ever say anything but keep, none retrains."""
    short = rules.model_copy(update={"window": 35, "permutations": 1000})
    alarms, retrains = 0, 0
    for replay in range(200):
        profile, records = world.profile(training=120, held=100), world.records(35, audited=0.5, tag=replay % 2 == 0)
        kinds = [verdict_on(records[:size], profile, short).kind for size in short.looks]
        alarms += any(kind != "keep" for kind in kinds)
        retrains += "retrain" in kinds
    assert alarms <= 16  # 10 are expected at most; more than 16 has a chance of 2 %
    assert retrains == 0


def test_enough_permutations_for_any_roster(world, rules) -> None:
    """With the permutations a look takes, the smallest p-value possible passes below its alpha."""
    records = world.records(120, novel=1.0)
    found = window.measure(records, world.profile(), rules.model_copy(update={"permutations": 99}), scorer_version="1", index=0).stats
    assert found.shift is not None
    assert found.shift.adjusted["queries"] <= found.alpha


def test_novel_share_bound_is_exact() -> None:
    """Clopper-Pearson by hand: all of n give alpha ** (1 / n), none give 0."""
    assert window.lower_bound(10, 10, 0.05) == pytest.approx(0.05**0.1)
    assert window.lower_bound(0, 10, 0.05) == 0
    assert window.lower_bound(0, 0, 0.05) == 0
    for count, n, alpha in ((1, 10, 0.05), (30, 60, 0.01), (299, 300, 0.0071)):
        assert window.lower_bound(count, n, alpha) == pytest.approx(beta.ppf(alpha, count, n - count + 1), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("  alpha: 2", r"monitor\.alpha: Input should be less than 0\.5 \(found 2\)"),
        ("  colour: red", r"monitor\.colour is not a known key; known are window, first_look, alpha, "),
        ("  novel_share_retrain: 0.01", r"novel_share_watch \(0.1\) is above novel_share_retrain \(0.01\)"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(tmp_path: Path, change, message) -> None:
    """The error names key and value; an unknown key is not ignored."""
    text = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
    key = change.split(":")[0]
    lines = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
    at = lines.index("monitor:")
    path = tmp_path / "params.yaml"
    path.write_text("\n".join([*lines[: at + 1], change, *lines[at + 1 :]]), encoding="utf-8")
    with pytest.raises(PolicyRefused, match=message):
        policy.load(path)


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    """No section, no file, no YAML: each says what to do."""
    path = tmp_path / "params.yaml"
    path.write_text("train: {}\n", encoding="utf-8")
    with pytest.raises(PolicyRefused, match="no section `monitor`"):
        policy.load(path)
    with pytest.raises(PolicyRefused, match="cannot be read"):
        policy.load(tmp_path / "nowhere.yaml")


def test_figures_are_json_ready(world, rules) -> None:
    """A verdict travels as plain numbers and words."""
    said = verdict_on(world.records(60, novel=0.5, audited=0.5), world.profile(), rules).as_dict()
    assert json.loads(json.dumps(said))["stats"]["n"] == 60
    assert not any(isinstance(value, np.generic) for value in said["stats"].values())
