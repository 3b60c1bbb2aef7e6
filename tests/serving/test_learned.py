"""Learning between retrainings in a server: feedback moves who is chosen, and by default nothing changes by a bit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World

from monitoring.learning import table
from monitoring.learning.learner import Learner
from registry.settings import Settings
from serving.settings import ExploreSettings
from tests.cpu import at_most

MESSAGES = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]
ASK = {"model": "routemoa-single", "messages": MESSAGES, "max_tokens": 5}


@contextmanager
def serving(world: World, learning: str) -> Iterator[TestClient]:
    """A server in this process, whose pool has `echo`, `slow` and `tooled` alone, which answer."""
    pool = world.pool()
    world.write_pool({name: pool[name] for name in ("echo", "slow", "tooled")})
    yield from ready(world, learning=learning)


def routed(client: TestClient) -> dict[str, Any]:
    """What would be decided."""
    response = client.post("/v1/route", json=ASK)
    assert response.status_code == 200, response.text
    return response.json()


def until(true: Callable[[], bool]) -> None:
    """Waits for what follows a file."""
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def learner(world: World, learning: str = "bandit") -> Learner:
    """The monitor's part, on the world's records."""
    return Learner(Settings(_env_file=None, home=world.home, database_url=world.database_url, learning=learning))


def values(route: dict[str, Any]) -> dict[str, float]:
    """By LLM."""
    return {each["llm"]: each["value"] for each in route["ranked"]}


def test_feedback_moves_choices_after_an_update(world: World) -> None:
    """An LLM that answers badly is asked no more once the monitor has learnt it; records keep the scorer's own scores."""
    with serving(world, "bandit") as client:
        before = routed(client)
        first = before["chosen"][0]
        for _ in range(30):
            answer = client.post("/v1/chat/completions", json=ASK).json()["routemoa"]
            assert answer["llm"] == first
            report = client.post("/v1/feedback", json={"decision_id": answer["decision_id"], "score": 0.0})
            assert report.status_code < 300, report.text
        assert values(routed(client)) == pytest.approx(values(before), abs=0.01)  # nothing is learnt on a request's way
        made = learner(world).step()
        assert made is not None
        assert made.outcomes_L[made.roster.index(first)] == 30
        until(lambda: client.get("/admin/scorer").json()["learned"] is not None)
        after = routed(client)
        assert after["chosen"][0] != first
        assert after["scores"] == before["scores"]
        assert values(after)[first] < values(before)[first] - 0.1
        shown = client.get("/admin/scorer").json()["learned"]["llms"][first]
        assert shown["outcomes"] == 30
        assert shown["changed"] > 0.05  # a report counts a quarter of an audit
        answer = client.post("/v1/chat/completions", json=ASK).json()["routemoa"]
        assert answer["llm"] == after["chosen"][0]
        kept = client.get(f"/v1/decisions/{answer['decision_id']}").json()
        assert kept["scores"] == pytest.approx(before["scores"])


def test_by_default_nothing_changes_by_a_bit(world: World) -> None:
    """Whatever file lies there: it is not read."""
    with serving(world, "off") as client:
        plain = routed(client)
    with serving(world, "bandit") as client:
        assert values(routed(client)) == values(plain)  # nothing learnt yet
        made = learner(world).step()
        assert made is not None
        until(lambda: client.get("/admin/scorer").json()["learned"] is not None)
        assert values(routed(client)) == values(plain)  # learnt from nothing
    worse = replace(made.learned, mean_CLF=made.learned.mean_CLF - 2.0)
    table.write(world.settings().var / table.NAME, replace(made, learned=worse))
    with serving(world, "off") as client:
        assert values(routed(client)) == values(plain)
        assert client.get("/admin/scorer").json()["learned"] is None
    with serving(world, "bandit") as client:
        assert values(routed(client)) != values(plain)


def test_what_was_learnt_of_another_version_or_is_broken_is_not_used(world: World) -> None:
    """A broken file leaves in force what was read before, with an event."""
    with serving(world, "bandit") as client:
        plain = values(routed(client))
        made = learner(world).step()
        assert made is not None
        path = world.settings().var / table.NAME
        worse = replace(made.learned, mean_CLF=made.learned.mean_CLF - 2.0)
        table.write(path, replace(made, learned=worse, version="another"))
        until(lambda: any(each["event"] == "LearnedReloaded" for each in client.get("/admin/scorer").json()["events"]))
        assert values(routed(client)) == plain
        table.write(path, replace(made, learned=worse))
        until(lambda: values(routed(client)) != plain)
        path.write_bytes(b"broken")
        until(lambda: any(each["event"] == "LearnedFileRefused" for each in client.get("/admin/scorer").json()["events"]))
        assert values(routed(client)) != plain


def test_what_was_learnt_with_another_encoder_is_not_used(world: World) -> None:
    """Of a version of the same number from another registry: requests are answered by the scorer alone."""
    with serving(world, "bandit") as client:
        plain = values(routed(client))
        made = learner(world).step()
        assert made is not None
        features = made.learned.features
        projection_DP = np.vstack([features.projection_DP, features.projection_DP[:1]])
        longer = replace(features, centre_D=np.append(features.centre_D, 0.0), projection_DP=projection_DP)
        worse = replace(made.learned, features=longer, mean_CLF=made.learned.mean_CLF - 2.0)
        table.write(world.settings().var / table.NAME, replace(made, learned=worse))
        until(lambda: client.get("/admin/scorer").json()["learned"] is not None)
        assert values(routed(client)) == plain


def test_chance_is_divided_by_what_is_known_and_recorded_so(world: World) -> None:
    """Where the operator explores: of an LLM about which little is known much, of one that is surely worse nothing; the record says it."""
    pool = world.pool()
    world.write_pool({name: pool[name] for name in ("echo", "slow", "tooled")})
    made = learner(world).step()
    assert made is not None
    root_CLFF = made.learned.root_CLFF.copy()
    root_CLFF[:] = 1e-9 * np.eye(root_CLFF.shape[-1])
    root_CLFF[:, made.roster.index("slow"), 0, 0] = 5.0
    table.write(world.settings().var / table.NAME, replace(made, learned=replace(made.learned, root_CLFF=root_CLFF)))
    for client in ready(world, learning="bandit", explore=ExploreSettings(share=0.5, delta=1000.0)):
        route = routed(client)
        propensities = {each["llm"]: each["propensity"] for each in route["ranked"]}
        usual = route["chosen"][0]
        assert sum(propensities.values()) == pytest.approx(1.0)
        assert propensities[usual] >= 0.5
        assert 0.02 < propensities["slow"] < 0.98
        assert sum(value for llm, value in propensities.items() if llm not in {usual, "slow"}) == 0.0
        answer = client.post("/v1/chat/completions", json=ASK).json()["routemoa"]
        action = client.get(f"/v1/decisions/{answer['decision_id']}").json()["decision"]["action"]
        recorded = {each["llm"]: each["propensity"] for each in action["candidates"]}
        assert recorded["slow"] == pytest.approx(propensities["slow"], abs=0.03)
        assert action["first"] == answer["llm"]


def test_correcting_scores_takes_little(world: World) -> None:
    """Less than a quarter of a millisecond of CPU a request, with fifteen LLMs and 384 dims, as the packaged encoder has them."""
    from monitoring.learning.features import Features
    from monitoring.learning.learned import Learned
    from monitoring.learning.residual import Prior, Residual

    random = np.random.default_rng(0)
    features = Features(random.normal(size=384), random.normal(size=(384, 128)), np.zeros(16), random.normal(size=(128, 16)))
    learned = Learned.of(features, [Residual.nothing_seen(Prior(), 16, 1_000)] * 15)
    scores_QL, query_QD = random.random((1, 15)), random.normal(size=(1, 384)).astype(np.float32)
    with at_most(0.5):
        for _ in range(2_000):
            learned.seen(scores_QL, learned.features(query_QD))
