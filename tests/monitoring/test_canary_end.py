"""The monitor ends a canary in a real MLflow server: rolled back with a reason, let through, or promoted where its plan says so."""

import asyncio
from typing import Any

import numpy as np
import pytest

from monitoring.audits import audits
from monitoring.policies import canary_end
from monitoring.records.shadow import Choice, Shadow
from monitoring.records.store import RecordStore
from registry import beside, local_store, promotion, versions
from registry.canary_plan import CanaryPlan
from registry.settings import Settings
from registry.sync import Sync
from tests.mlflow_server import MLflow
from tests.monitoring.one_record import record_of
from tests.registry.conftest import register, settings, tiny  # noqa: F401  fixtures

PLAN = CanaryPlan(share=0.5, audited=0.5, floor=0.2)


@pytest.fixture
def running(settings: Settings, register: Any) -> Settings:  # noqa: F811
    """Version 1 is champion, version 2 its canary, both published here."""
    register(0)
    register(1)
    promotion.promote("1", override="a test", settings=settings)
    _start(settings, PLAN)
    return settings


def _start(where: Settings, plan: CanaryPlan) -> None:
    beside.start_canary("2", plan, override="a test", settings=where)
    Sync(where).step(0.0)


def traffic(where: Settings, ours: float, theirs: float, count: int = 250) -> None:
    """Answers of both on which they differ, each of a session of its own, audited: right with these probabilities."""
    store, random = RecordStore.of(where), np.random.default_rng(0)

    async def scenario() -> None:
        for served, right in (("1", ours), ("2", theirs)):
            other = "2" if served == "1" else "1"
            names = [f"{served}-{at}" for at in range(count)]
            made = store.now() + 1
            await asyncio.gather(*(store.append(record_of(name, scorer_version=served, created_at=made)) for name in names))
            choices = Choice("small", 0.6, 0.001), Choice("large", 0.7, 0.001)
            kept = (Shadow(name, other, served, *choices, same=False, alike=False, scored_at=made, unit=name) for name in names)
            await asyncio.gather(*map(store.add_shadow, kept))
            store.decide_draws([audits.Draw(name, 0.5, drawn=True) for name in names])
            await asyncio.gather(*(store.report_outcome(name, float(random.random() < right), "audit") for name in names))
        await store.close()

    asyncio.run(scenario())


def test_a_worse_canary_is_rolled_back_by_itself(running: Settings) -> None:
    """Its alias is gone, the reason with the figures stays with the version, this host takes it back, and it is done once."""
    traffic(running, 0.8, 0.4)
    looked = canary_end.step(running)
    assert looked is not None
    assert looked.state == "worse"
    left = versions.find("2", settings=running)
    assert "canary" not in left.aliases
    assert "rolled back: With 95 % confidence version 2 is worse than version 1 (-37" in left.tags["canary_ended"]
    assert versions.find("champion", settings=running).version == "1"
    Sync(running).step(1.0)
    assert local_store.beside(running.var) == (None, None)
    assert canary_end.step(running) is None


def test_a_canary_that_is_no_worse_waits_for_a_person(running: Settings) -> None:
    """It is told once that it may be promoted, and goes on answering its share."""
    traffic(running, 0.6, 0.7)
    for _ in range(2):
        looked = canary_end.step(running)
        assert looked is not None
        assert looked.state == "not worse"
    kept = versions.find("2", settings=running)
    assert "canary" in kept.aliases
    assert "it may be promoted" in kept.tags["canary_passed"]


def test_a_plan_may_promote_it(running: Settings) -> None:
    """Where its gate has passed; else it waits."""
    _start(running, PLAN.model_copy(update={"then": "promote"}))
    traffic(running, 0.6, 0.7)
    canary_end.step(running)
    assert versions.find("champion", settings=running).version == "1"
    from registry.mlflow_door import Door

    Door.of(running).annotate("2", tags={"gate": "passed"})
    canary_end.step(running)
    assert versions.find("champion", settings=running).version == "2"
    assert versions.find("previous", settings=running).version == "1"


def test_a_registry_that_is_away_is_asked_again(running: Settings, mlflow: MLflow) -> None:
    """The look is taken, nothing is raised, and the next one ends it."""
    traffic(running, 0.8, 0.4)
    away = running.model_copy(update={"mlflow_url": "http://127.0.0.1:9"})
    looked = canary_end.step(away)
    assert looked is not None
    assert looked.state == "worse"
    assert "canary" in versions.find("2", settings=running).aliases
    canary_end.step(running)
    assert "canary" not in versions.find("2", settings=running).aliases
    assert mlflow.url == running.mlflow_url
