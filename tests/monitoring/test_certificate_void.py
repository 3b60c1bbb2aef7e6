"""A verdict of drift makes a certificate void, once; a quiet window after it does not make it good again."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from monitoring import certificate_void, watch
from monitoring.certificate_void import NAME, Void, read
from monitoring.drift import window
from monitoring.drift.verdict import Verdict, decide
from registry.settings import Settings
from tests.monitoring.test_watch import home, keep  # noqa: F401  a fixture

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def verdict_on(records, profile, rules, version: str = "1") -> Verdict:
    return decide(window.measure(records, profile, rules, scorer_version=version, index=0).stats, rules)


def noted(folder: Path, verdict: Verdict) -> Void | None:
    void = certificate_void.made_by(verdict, folder, NOW)
    if void is not None:
        certificate_void.write(folder, void)
    return void


def test_drift_voids_and_quiet_does_not_take_it_back(tmp_path: Path, world, rules) -> None:
    """The first verdict that says so is kept, of each version."""
    quiet = verdict_on(world.records(120), world.profile(), rules)
    drifted = verdict_on(world.records(120, novel=0.5), world.profile(), rules)
    assert noted(tmp_path, quiet) is None
    assert not read(tmp_path / NAME).covers("1")
    void = noted(tmp_path, drifted)
    assert void is not None
    assert void == read(tmp_path / NAME)
    assert void.reasons == drifted.reasons
    assert noted(tmp_path, drifted) is None
    assert noted(tmp_path, quiet) is None
    assert read(tmp_path / NAME).covers("1")
    assert not read(tmp_path / NAME).covers("2")
    again = verdict_on(world.records(120, novel=0.5), world.profile(), rules, "2")
    assert noted(tmp_path, again) is not None
    assert read(tmp_path / NAME).covers("2")


def test_another_mix_of_known_domains_voids_although_it_is_kept(world, rules) -> None:
    """A mean over one mix says nothing of the mean over another; too little data says nothing at all."""
    records = [record for record in world.records(600) if record.domain == "coding"][:150]
    verdict = verdict_on(records, world.profile(), rules)
    assert verdict.kind == "keep"
    assert any("mixed otherwise" in reason for reason in certificate_void.reasons(verdict))
    assert certificate_void.reasons(verdict_on(records[:5], world.profile(), rules)) == ()


def test_a_damaged_file_voids_every_certificate(tmp_path: Path) -> None:
    """It was written for a reason."""
    (tmp_path / NAME).write_text('{"version": "1"', encoding="utf-8")
    assert read(tmp_path / NAME).covers("1")
    assert read(tmp_path / NAME).covers("7")


def test_the_monitor_writes_it_at_its_look(home: Path, world, rules) -> None:  # noqa: F811
    """And says so to whoever reads its lines."""
    settings, printed = Settings(home=home), io.StringIO()
    keep(home, world.records(60, novel=1.0, prefix="law"))
    watch.step(settings, rules, Console(file=printed, width=200))
    assert "certified for is void" in printed.getvalue()
    assert json.loads((home / "var" / "reports" / NAME).read_text(encoding="utf-8"))["version"] == "1"
