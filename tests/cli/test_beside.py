"""`routemoa shadow` and `routemoa canary` on a real MLflow server."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from cli.beside import share
from monitoring.records.store import RecordStore
from registry import promotion, versions
from registry.canary_plan import CanaryPlan, of_tags
from registry.errors import CanaryRefused
from registry.settings import Settings
from registry.sync import Sync
from tests.cli.command_line import output, refusal, usage_error
from tests.cli.test_versions import register, settings  # noqa: F401  a fixture
from tests.monitoring.test_shadow_value import answers, keep


@pytest.fixture
def two(settings: Settings, tmp_path: Path) -> Settings:  # noqa: F811
    """Version 1 is champion, version 2 waits."""
    register(settings, tmp_path, 1)
    register(settings, tmp_path, 2)
    promotion.promote("1", override="a test", settings=settings)
    return settings


def test_a_shadow_by_command_line(two: Settings) -> None:
    """Started by an alias, compared, ended."""
    assert "Version 2 is the shadow" in output("shadow", "challenger")
    assert "There is no shadow on this host." in output("shadow")
    Sync(two).step(0.0)
    assert "Version 2 scored 0 requests of version 1." in output("shadow")
    keep(RecordStore.of(two), [replace(record, created_at=time.time()) for record in answers(60)], scored_at=time.time())
    shown = " ".join(output("shadow").split())
    assert "Version 2 scored 60 requests of version 1; both choose the same on 0%." in shown
    assert "quality in points, by exploration 100.0 (" in shown
    assert "less the champion's -50.0 (" in shown
    assert "By exploration: 60 requests, 18 of them drawn, 60 audited." in shown
    assert "a canary can tell" not in shown
    assert "shadow" in output("list")
    assert "Version 2 is no shadow any more." in output("shadow", "--stop")
    assert "There was no shadow." in output("shadow", "--stop")


def test_a_canary_by_command_line(two: Settings) -> None:
    """Refused without its gate, started with a plan, looked at, ended with a reason that stays with it."""
    assert "its gate was not run" in str(refusal(CanaryRefused, "canary", "2"))
    asked = ("canary", "2", "--share", "20%", "--by", "key", "--floor", "3pt", "--promote", "--override", "a test")
    assert "Version 2 answers 20% of keys" in output(*asked)
    assert of_tags(versions.find("canary", settings=two).tags) == CanaryPlan(share=0.2, by="key", floor=0.03, then="promote")
    Sync(two).step(0.0)
    assert "Version 2 goes on beside version 1: 0 and 0 audits" in output("canary")
    assert "Version 2 is no canary any more." in output("canary", "--stop", "--reason", "seen enough")
    assert "seen enough" in output("show", "2")
    assert "at most 50%" in usage_error("canary", "2", "--share", "60%") or "share" in usage_error("canary", "2", "--share", "60%")


@pytest.mark.parametrize(("text", "value"), [("10%", 0.1), ("0.1", 0.1), ("2pt", 0.02), ("0", 0.0), (" 5 % ", 0.05)])
def test_shares_as_people_write_them(text: str, value: float) -> None:
    """Per cent, points, or a number."""
    assert share(text) == pytest.approx(value)


def test_what_is_no_share_is_refused() -> None:
    """With how to write one."""
    assert "write 10% or 0.1" in usage_error("canary", "2", "--share", "much")
    assert "not between 0 and 1" in usage_error("canary", "2", "--share", "500%")
