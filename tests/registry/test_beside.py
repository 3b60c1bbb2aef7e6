"""Versions beside the champion, against a real MLflow server: who may be one, how a canary ends, and who publishes them."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from registry import beside, canary_plan, local_store, promotion, versions
from registry.canary_plan import CanaryPlan
from registry.child_process import Child
from registry.errors import CanaryRefused, ShadowRefused
from registry.jobs import Jobs
from registry.mlflow_door import Door
from registry.settings import Settings
from registry.sync import Sync
from registry.version import Version
from registry.worker import Worker

Register = Callable[..., Version]


@pytest.fixture
def two(settings: Settings, register: Register) -> Iterator[Settings]:
    """Version 1 is champion, version 2 waits."""
    register(0)
    register(1)
    promotion.promote("1", override="a test", settings=settings)
    return settings


def by_hand(settings: Settings, alias: str, version: str) -> None:
    """What a person does in the MLflow UI."""
    MlflowClient(tracking_uri=settings.mlflow_url).set_registered_model_alias(settings.scorer_name, alias, version)


def events(settings: Settings) -> list[dict[str, Any]]:
    """What happened on this host."""
    path = settings.var / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_shadow_starts_and_ends(two: Settings) -> None:
    """Any version but the champion, whatever its gate says; ended, the alias is gone."""
    with pytest.raises(ShadowRefused, match="is the champion"):
        beside.start_shadow("1", settings=two)
    assert "shadow" in beside.start_shadow("2", settings=two).aliases
    stopped = beside.stop_shadow(settings=two)
    assert stopped is not None
    assert stopped.version == "2"
    assert beside.stop_shadow(settings=two) is None
    Door.of(two).annotate("2", tags={"refused": "broken"})
    with pytest.raises(ShadowRefused, match="broken"):
        beside.start_shadow("2", settings=two)


def test_a_canary_needs_its_gate_or_a_reason(two: Settings) -> None:
    """Its plan and since when it answers are kept with it; its end, with the reason, stays."""
    with pytest.raises(CanaryRefused, match="its gate was not run"):
        beside.start_canary("2", CanaryPlan(), settings=two)
    with pytest.raises(CanaryRefused, match="is the champion"):
        beside.start_canary("1", CanaryPlan(), settings=two)
    plan = CanaryPlan(share=0.2, by="key", floor=0.05)
    started = beside.start_canary("2", plan, override="a test", settings=two)
    assert canary_plan.of_tags(started.tags) == plan
    assert (started.aliases, started.tags["canary_override"]) == (("canary", "challenger"), "a test")
    again = beside.start_canary("2", CanaryPlan(share=0.4), override="a test", settings=two)
    assert again.tags["canary_since"] == started.tags["canary_since"]
    assert beside.end_canary("another", version="1", settings=two) is None
    assert beside.end_canary("rolled back: worse", version="2", settings=two) is not None
    left = versions.find("2", settings=two)
    assert left.tags["canary_ended"].endswith("rolled back: worse")
    assert "canary_since" not in left.tags
    assert "canary" not in left.aliases
    assert "canary_ended" not in beside.start_canary("2", plan, override="a test", settings=two).tags


def test_a_plan_that_is_none_is_refused() -> None:
    """With its tag and value; what tags leave out is as it is usually."""
    assert canary_plan.of_tags({"gate": "passed", "canary_share": "0.25", "canary_since": "now"}) == CanaryPlan(share=0.25)
    with pytest.raises(CanaryRefused, match="share"):
        canary_plan.of_tags({"canary_share": "0.9"})
    assert CanaryPlan(share=0.1, audited=0.9).champion_audited == pytest.approx(0.1)


def test_aliases_set_by_hand_are_published_and_taken_back(two: Settings) -> None:
    """In any case they are written; a canary set by hand has the usual plan from then on; a promoted one is beside nothing."""
    sync = Sync(two)
    by_hand(two, "Shadow", "2")
    by_hand(two, "canary", "2")
    for now in (0.0, 1.0):
        sync.step(now)
    shadow, canary = local_store.beside(two.var)
    assert shadow is not None
    assert canary is not None
    assert (shadow.version, canary.version, canary.plan) == ("2", "2", CanaryPlan())
    assert versions.find("2", settings=two).tags["canary_since"] == canary.since
    promotion.promote("2", override="a test", settings=two)
    sync.step(2.0)
    assert local_store.beside(two.var) == (None, None)
    assert {alias.casefold() for alias in Door.of(two).aliases()} == {"champion", "previous"}
    assert [each["event"] for each in events(two)][-2:] == ["shadow_left", "canary_left"]


@pytest.mark.parametrize(("tag", "value"), [("canary_share", "much"), ("canary_since", "yesterday"), ("canary_since", "2026-01-31")])
def test_a_broken_plan_keeps_nobody_from_anything(two: Settings, tag: str, value: str) -> None:
    """It is told once, nothing is published in its place, and the champion and the shadow go on."""
    sync = Sync(two)
    by_hand(two, "canary", "2")
    by_hand(two, "shadow", "2")
    Door.of(two).annotate("2", tags={tag: value})
    for now in (0.0, 1.0, 2.0):
        sync.step(now)
    shadow, canary = local_store.beside(two.var)
    assert (shadow is not None, canary) == (True, None)
    refused = [each for each in events(two) if each["event"] == "canary_refused"]
    assert [each["version"] for each in refused] == ["2"]
    assert value in refused[0]["reason"]
    current = local_store.current(two.var)
    assert current is not None
    assert current.version == "1"


def test_jobs_start_and_end_both(two: Settings) -> None:
    """As an admin asks for them by HTTP."""
    jobs = Jobs.of(two)
    worker = Worker(two, jobs)

    def done(kind: Any, arguments: dict[str, Any]) -> str:
        job = jobs.claim(jobs.submit(kind, arguments).id)
        assert job is not None
        worker.perform(job)
        ended = jobs.require(job.id)
        return ended.step if ended.state == "done" else str(ended.error)

    assert done("shadow", {"version": "2"}) == "scorer version 2 is the shadow"
    plan = {"share": 0.2, "by": "key"}
    assert "its gate was not run" in done("canary", {"version": "2", "plan": plan})
    assert done("canary", {"version": "2", "plan": plan, "override": "a test"}) == "scorer version 2 answers 20% of keys"
    assert done("canary", {"version": None, "reason": "enough"}) == "scorer version 2 is no canary any more"
    assert done("shadow", {"version": None}) == "scorer version 2 is no shadow any more"
    assert done("shadow", {"version": None}) == "there was no shadow"


def test_they_do_not_wait_for_a_retraining(two: Settings) -> None:
    """While one runs, a shadow is started, and a rollback would be done: nobody waits hours for a second's work."""
    jobs = Jobs.of(two)
    worker = Worker(two, jobs)
    retraining = jobs.claim(jobs.submit("retrain", {}).id)
    assert retraining is not None
    other = jobs.submit("retrain", {})
    with worker._stopped_if_cancelled(retraining, Child()):
        started = jobs.submit("shadow", {"version": "2"})
        give_up = time.monotonic() + 120
        while jobs.require(started.id).state != "done":
            assert time.monotonic() < give_up
            time.sleep(0.05)
    assert [jobs.require(each.id).state for each in (retraining, other)] == ["running", "queued"]
    assert "shadow" in versions.find("2", settings=two).aliases
