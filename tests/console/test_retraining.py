"""A retraining on a server that cannot tell its plan, and what earlier ones bought; the whole way is a story of its own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitoring.looks import Looks
from registry import gains
from registry.jobs import Jobs
from tests.console.processes import NARROW, WIDE, Person, person
from tests.serving.world import Running, World

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STATS = {
    "scorer_version": "1",
    "index": 0,
    "size": 100,
    "n": 100,
    "novel_share": 0.2,
    "novel_low": 0.12,
    "novel_expected": 0.05,
    "promised": 0.7,
}
DOMAIN = {"name": "tax", "n": 20, "novel": 18, "novel_low": 0.7, "promised": 0.7, "audited": 4, "mispredicted": 0.5}
GROUP = {
    "id": "0123456789ab",
    "name": "unknown 1",
    "queries": 20,
    "share": 0.2,
    "tags": [],
    "nearest": ["reading"],
    "promised": 0.7,
    "audited": [4, 0.25],
    "cost_usd": 0.01,
    "words": ["tax", "income"],
    "growth": [6, 14],
    "members": [],
    "near": [],
    "examples": [{"decision_id": "20138df4882a496dbac314f205695554", "text": "Is cake taxed?", "distance": 0.9}],
}
MEAN = {"value": 0.2, "low": 0.1, "high": 0.3}
GAIN: dict[str, Any] = {
    "group": "unknown 1",
    "queries": 20,
    "kept_out": 9,
    "before": MEAN,
    "after": {"value": 0.9, "low": 0.8, "high": 1.0},
    "difference": {"value": 0.7, "low": 0.5, "high": 0.9},
    "promised_before": 0.7,
    "promised_after": 0.85,
}
UNTOLD = {**dict.fromkeys(GAIN), "group": "scattered", "queries": 3, "kept_out": 0}


@pytest.fixture
def job(world: World) -> Iterator[str]:
    """The monitor looked twice and found a group; a retraining bought something for it, and could not tell of another."""
    var = world.home / "var"
    made = Jobs.of(world.settings()).submit("retrain", {"reason": "a test"})
    gains.keep(world.settings(), made.id, "2", "1", [GAIN, UNTOLD])
    verdict = {"kind": "retrain", "id": "1", "reasons": ["18 of 20 queries of tax are novel."]}
    stats = {**STATS, "distinct": 100, "mispredictions": {"n": 4, "share": 0.5}, "domains": [DOMAIN]}
    (var / "reports").mkdir(exist_ok=True)
    look = {"at": "2026-11-30T14:40:00+00:00", "verdict": verdict | {"stats": stats}, "groups": [GROUP], "report": None, "job": None}
    (var / "reports" / "latest.json").write_text(json.dumps(look))
    looked = Looks.of(world.settings())
    for at, kind, quality in (("14:30", "keep", None), ("14:40", "retrain", MEAN)):
        said = verdict | {"kind": kind, "stats": STATS | {"quality": quality, "cost_usd": 0.1}}
        looked.add({"at": f"2026-11-30T{at}:00+00:00", "verdict": said, "job": made.id})
    yield made.id
    for name in ("latest.json", "looks.db"):
        (var / "reports" / name).unlink()


@pytest.mark.parametrize(("screen", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide", "narrow"])
def test_looks_and_gains_are_read(browser: Any, console: str, server: Running, job: str, screen: dict[str, int], scheme: str) -> None:
    """What the last retraining bought stands on the drift page and on its job's own; looks are told by chart and table."""
    with person(browser, console, screen=screen, scheme=scheme) as somebody:
        page = somebody.sign_in(server.key).open("/drift").page
        bought = page.get_by_role("table", name="What it bought")
        bought.get_by_text("0.90 (0.80 to 1.00)").wait_for()
        bought.get_by_text("+0.70").wait_for()
        bought.get_by_text("3 queries labelled, none kept out of training to tell by").wait_for()
        page.get_by_role("table", name="Looks of the monitor").get_by_text("0.20 (0.10 to 0.30)").wait_for()
        page.get_by_label("Looks of the monitor over time").wait_for()
        assert somebody.overflow <= 0
        somebody.open(f"/jobs/{job}").page.get_by_role("table", name="What it bought").get_by_text("+0.70").wait_for()
        assert somebody.overflow <= 0
        assert somebody.complaints == []


@pytest.fixture
def somebody(browser: Any, console: str, server: Running) -> Iterator[Person]:
    """Signed in with a key that opens everything."""
    with person(browser, console) as made:
        yield made.sign_in(server.key)


def test_a_retraining_is_asked_for_once_more(somebody: Person, job: str, world: World) -> None:
    """A host that does not train says why there is no plan; *Not now* starts nothing, *Start it* starts one for the group."""
    jobs = Jobs.of(world.settings())
    page = somebody.open("/drift").page
    before = len(jobs.list())
    for answer in ("Not now", "Start it"):
        page.get_by_role("button", name="Retrain now").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("What it would do is not known here.").wait_for()
        assert len(jobs.list()) == before
        dialog.get_by_role("button", name=answer).click()
        dialog.wait_for(state="hidden")
    page.get_by_role("heading", name="Job", exact=True).wait_for()
    page.get_by_role("button", name="Cancel it").click()
    page.get_by_text("cancelled", exact=True).first.wait_for()
    (started,) = [each for each in jobs.list()[before:] if each.id != job]
    assert started.arguments["groups"] == [{"name": "unknown 1", "members": []}]
    assert started.arguments["reason"] == "verdict retrain, by a person"
