"""Chance has its share of the choices, as the operator set it, and every record says with which probability each LLM might have been."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World, entry

from mixture.choose.action import Action
from monitoring.policies import logged_actions
from monitoring.policies.logged_traffic import Traffic
from monitoring.records.store import Record, RecordStore
from registry.certificate import Certificate
from serving.access import budgets, keys, shared_keys
from serving.settings import CertificateSettings, ExploreSettings, MixtureSettings

LLMS = {"one": 1.0, "two": 1.5, "three": 20.0}  # USD per million tokens
ANYBODY = 1000.0  # as delta: nobody is too far from the best
ASK: dict[str, Any] = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}


@pytest.fixture
def project(tmp_path: Path, upstream: str) -> World:
    """Three LLMs that always answer."""
    made = World(tmp_path / "project", upstream, roster=tuple(LLMS))
    made.write_pool({name: entry(upstream, "echo", price={"input": price, "output": price}) for name, price in LLMS.items()})
    made.publish("1")
    return made


@contextmanager
def exploring(made: World, seed: int = 1, **chosen: Any) -> Iterator[TestClient]:
    """A server in this process whose chance is known."""
    settings = {name: value for name, value in chosen.items() if name in {"certificate", "mixture"}}
    explore = {"share": 0.5, "delta": ANYBODY, **{name: value for name, value in chosen.items() if name not in settings}}
    for client in ready(made, explore=ExploreSettings(**explore), **settings):
        client.app.state.serving.exploration.random = Random(seed).random  # type: ignore[attr-defined]
        yield client


def asked(client: TestClient | httpx2.Client, count: int = 1, **more: Any) -> None:
    """So many requests, answered."""
    for _ in range(count):
        response = client.post("/v1/chat/completions", json={**ASK, **more})
        assert response.status_code == 200, response.text


def records(made: World) -> list[Record]:
    """Everything served."""
    return RecordStore(made.home / "var" / "records.db").scan(0, 2**40)


def actions(made: World) -> list[Action]:
    """As the records hold them."""
    return [Action.from_dict(record.decision["action"]) for record in records(made)]


def test_records_hold_candidates_propensities_and_the_draw(project: World) -> None:
    """They sum to 1, the drawn LLM answered, and draws are as frequent as said."""
    with exploring(project) as client:
        asked(client, 200)
    found = actions(project)
    assert len(found) == 200
    for record, action in zip(records(project), found, strict=True):
        assert sum(each.propensity for each in action.candidates) == pytest.approx(1)
        assert {each.llm for each in action.candidates} == set(LLMS)
        assert all(0 <= each.quality <= 1 and each.cost_usd > 0 for each in action.candidates)
        assert record.llm == action.first
        assert action.at is not None
        assert action.explored == (action.first != action.usual)
    counts = Counter(action.first for action in found)
    for each in found[0].candidates:
        spread = (200 * each.propensity * (1 - each.propensity)) ** 0.5
        assert abs(counts[each.llm] - 200 * each.propensity) < 4 * spread
    with exploring(project) as client:
        asked(client, 200)
    assert [action.first for action in actions(project)[200:]] == [action.first for action in found]


def test_without_exploration_the_choice_has_propensity_one(project: World) -> None:
    """It is off by default; the record says so."""
    for client in ready(project):
        asked(client)
        asked(client, model="routemoa")
        routed = client.post("/v1/route", json=ASK).json()
    for action in actions(project):
        assert (action.propensity, action.why, action.at) == (1.0, "off", None)
    assert routed["exploration"] == {"share": 0.0, "delta": 0.0, "why_not": "off"}
    assert [each["propensity"] for each in routed["ranked"]] == [1.0, 0.0, 0.0]


def test_the_sequential_strategy_draws_whom_it_asks_first(project: World) -> None:
    """What it asks afterwards is its own."""
    with exploring(project) as client:
        asked(client, 40, model="routemoa")
    for record, action in zip(records(project), actions(project), strict=True):
        assert action.why == ""
        assert record.decision["layers"][0]["runs"][0]["llm"] == action.first
    assert len({action.first for action in actions(project)}) == 3


def test_only_llms_within_delta_are_drawn(project: World) -> None:
    """A delta of nothing leaves the best alone."""
    with exploring(project, delta=0.0) as client:
        asked(client, 20)
    assert {(action.why, action.explored) for action in actions(project)} == {("alone", False)}


def test_a_request_may_narrow_it_and_never_widen_it(project: World) -> None:
    """In the body and in a header; where nothing is explored a wish for it changes nothing."""
    with exploring(project, share=0.5) as client:
        asked(client, 10, routemoa={"explore": False})
        client.post("/v1/chat/completions", json=ASK, headers={"x-routemoa-explore": "false"})
    assert {action.why for action in actions(project)} == {"asked not to"}
    with exploring(project, share=0.0) as client:
        asked(client, 5, routemoa={"explore": True})
    assert {(action.why, action.propensity) for action in actions(project)[11:]} == {("off", 1.0)}


def test_only_for_these_keys(project: World) -> None:
    """Of the keys that the operator names, as the environment writes them; what another asks is not drawn."""
    bot = keys.create(shared_keys.store(project.settings()), "bot", ["chat"])
    with exploring(project, keys="bot,other") as client:
        asked(client, 10)
        client.headers["Authorization"] = f"Bearer {bot}"
        asked(client, 10)
    by_key = {(record.asked_by, action.why) for record, action in zip(records(project), actions(project), strict=True)}
    assert by_key == {("everything", "off"), ("bot", "")}


def test_a_keys_llms_and_the_budget_hold(project: World) -> None:
    """Chance draws among those that the key may use and whose worst case fits."""
    limited = keys.create(shared_keys.store(project.settings()), "limited", ["chat"], llms=("one", "two"))
    with exploring(project) as client:
        asked(client, 30, max_tokens=100, routemoa={"budget_usd": 0.0005})
        client.headers["Authorization"] = f"Bearer {limited}"
        asked(client, 30)
    found = actions(project)
    assert {action.first for action in found[:30]} == {"one", "two"}
    assert {action.usual for action in found[:30]} <= {"one", "two"}
    assert {each.llm for each in found[30].candidates} == {"one", "two"}
    assert {action.first for action in found[30:]} == {"one", "two"}


def test_a_session_keeps_its_llm(project: World) -> None:
    """Only its first request is drawn."""
    with exploring(project) as client:
        for turn in range(12):
            asked(client, routemoa={"session": f"s{turn % 3}"})
    found = actions(project)
    assert {action.why for action in found[:3]} == {""}
    assert {action.why for action in found[3:]} == {"session"}
    assert [action.first for action in found[3:6]] == [action.first for action in found[:3]]


def test_what_it_costs_is_counted_and_capped(project: World) -> None:
    """Metrics, the shared sum of the day, and no draw once the day's money is spent; a restart forgets nothing."""
    with exploring(project, usd_per_day=0.002, mixture=MixtureSettings(value_per_usd=1e5)) as client:
        asked(client, 60)
        metrics = client.get("/metrics").text
    found = actions(project)
    capped = [action.why for action in found].index("cap")
    assert {action.why for action in found[:capped]} == {""}
    assert {(action.why, action.propensity) for action in found[capped:]} == {("cap", 1.0)}
    extra = sum(max(0.0, action.extra_usd) for action in found)
    assert extra >= 0.002
    assert extra - max(action.extra_usd for action in found) < 0.002
    counted = next(line for line in metrics.splitlines() if line.startswith("routemoa_exploration_usd_total"))
    assert float(counted.split()[-1]) == pytest.approx(extra)
    assert sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("routemoa_explored_total")) == sum(
        action.explored for action in found
    )
    with exploring(project, usd_per_day=0.002, mixture=MixtureSettings(value_per_usd=1e5)) as client:
        client.portal.call(client.app.state.serving.exploration.tend)  # type: ignore[union-attr, attr-defined]
        asked(client)
        spent = client.app.state.serving.exploration.spent_usd  # type: ignore[attr-defined]
    assert spent == pytest.approx(extra)
    assert actions(project)[-1].why == "cap"
    assert budgets.read(project.settings(), [("platform", "none")])[0].spent_usd == 0


def test_what_it_costs_is_counted_without_an_answer_too(project: World, upstream: str) -> None:
    """Where the LLM that chance asked breaks off in mid-answer, which it may charge for."""
    llms = {name: entry(upstream, "cut" if name == "three" else "echo", price={"input": usd, "output": usd}) for name, usd in LLMS.items()}
    project.write_pool(llms)
    with exploring(project, mixture=MixtureSettings(value_per_usd=1e5)) as client:
        for _ in range(12):
            client.post("/v1/chat/completions", json={**ASK, "stream": True})
        counted = client.get("/metrics").text
        spent = client.app.state.serving.exploration.spent_usd  # type: ignore[attr-defined]
    failed = [record for record in records(project) if record.decision.get("error")]
    assert failed
    assert f'routemoa_explored_total{{llm="three"}} {len(failed):.1f}' in counted
    assert all(record.explored and Action.from_dict(record.decision["action"]).first == "three" for record in failed)
    assert Traffic.of(failed, None).not_judged == {logged_actions.NO_ANSWER_DRAWN: len(failed)}
    answered = [Action.from_dict(record.decision["action"]) for record in records(project) if "error" not in record.decision]
    assert spent > sum(max(0.0, action.extra_usd) for action in answered)


def test_a_certificate_is_not_explored(project: World) -> None:
    """It says what is served."""
    prices = {name: (price, price) for name, price in LLMS.items()}
    certificate = Certificate("three", 0.01, 0.95, 800, usd=12.0, difference=0.0, cost_share=0.2, prices=prices)
    project.publish("1", certificate=certificate.as_json())
    with exploring(project, certificate=CertificateSettings(use=True)) as client:
        asked(client, 3)
    assert {action.why for action in actions(project)} == {"certificate"}


def test_what_would_be_decided_is_not_drawn(project: World) -> None:
    """POST /v1/route says the usual choice, and the propensities."""
    with exploring(project) as client:
        found = [client.post("/v1/route", json=ASK).json() for _ in range(20)]
    assert len({str(each["chosen"]) for each in found}) == 1
    assert found[0]["exploration"] == {"share": 0.5, "delta": ANYBODY, "why_not": None}
    assert [each["propensity"] for each in found[0]["ranked"]] == pytest.approx([0.5 + 0.5 / 3, 0.5 / 3, 0.5 / 3])


def test_a_server_process_draws_by_itself(project: World) -> None:
    """From the environment, by a chance that nobody seeded."""
    explored = {"ROUTEMOA_EXPLORE__SHARE": "0.5", "ROUTEMOA_EXPLORE__DELTA": str(ANYBODY), "ROUTEMOA_EXPLORE__KEYS": "everything"}
    with project.served(**explored) as running, running.client() as client:
        asked(client, 100)
    found = actions(project)
    assert all(sum(each.propensity for each in action.candidates) == pytest.approx(1) for action in found)
    counts = Counter(action.first for action in found)
    for each in found[0].candidates:
        spread = (100 * each.propensity * (1 - each.propensity)) ** 0.5
        assert abs(counts[each.llm] - 100 * each.propensity) < 5 * spread
    assert len({action.at for action in found}) == 100
