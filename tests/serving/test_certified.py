"""The certified value of a dollar is served while the certificate is in force, and what the operator chose once it is not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World

from monitoring import certificate_void
from monitoring.certificate_void import Void
from registry.certificate import Certificate
from scorer.atomic_write import replacing
from serving.settings import CertificateSettings

ASK = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}
PRICES = {"echo": (0.5, 1.0), "slow": (1.0, 2.0), "tooled": (9.0, 9.0)}
CERTIFICATE = Certificate("tooled", 0.01, 0.95, 800, usd=123.0, difference=-0.002, cost_share=0.2, prices=PRICES)
USED = CertificateSettings(use=True)


@contextmanager
def serving(world: World, certificate: Certificate | None, chosen: CertificateSettings) -> Iterator[TestClient]:
    """A server in this process on a version with that certificate."""
    world.publish("1", certificate=certificate.as_json() if certificate else "")
    yield from ready(world, certificate=chosen)


def routed(client: TestClient, **more: Any) -> dict[str, Any]:
    """What would be decided."""
    response = client.post("/v1/route", json={**ASK, **more})
    assert response.status_code == 200, response.text
    return response.json()


def stands(client: TestClient) -> dict[str, Any]:
    """The certificate as the console sees it."""
    return client.get("/admin/scorer").json()["certificate"]


def until(true: Callable[[], bool]) -> None:
    """Waits for what follows a file."""
    give_up = time.monotonic() + 30
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def write_void(
    world: World, content: str = '{"version": "1", "at": "now", "verdict": "v", "reasons": ["12% of queries are novel."]}'
) -> None:
    """What the monitor writes."""
    path = world.settings().certificate_void_file
    with replacing(path) as partial:
        partial.write_text(content)


def test_the_certified_value_of_a_dollar_is_served(world: World) -> None:
    """In place of the operator's, with nothing for a second; a request may ask for a dearer dollar and for no cheaper one."""
    with serving(world, CERTIFICATE, USED) as client:
        assert routed(client)["options"]["weights"] == {"quality": 1.0, "usd": 123.0, "second": 0.0, "kwh": 0.0}
        assert stands(client)["stands"]
        assert "at most 1 point below always asking tooled" in stands(client)["sentence"]
        assert routed(client, routemoa={"weights": {"usd": 200}})["options"]["weights"]["usd"] == 200
        refused = client.post("/v1/route", json={**ASK, "routemoa": {"weights": {"usd": 50}}})
        assert refused.status_code == 400
        assert "123" in refused.text


def test_it_is_served_only_where_the_operator_chose_so(world: World) -> None:
    """Without the setting the certificate is shown, and nothing else changes."""
    with serving(world, CERTIFICATE, CertificateSettings()) as client:
        assert routed(client)["options"]["weights"]["usd"] == 10
        assert stands(client)["stands"]


def test_drift_voids_it_and_the_settings_are_served(world: World) -> None:
    """Within a moment of the monitor's file; another version's void is none of this one's; a deleted file is no void."""
    with serving(world, CERTIFICATE, USED) as client:
        write_void(world)
        until(lambda: routed(client)["options"]["weights"]["usd"] == 10)
        assert stands(client)["why_not_in_force"] == ["12% of queries are novel."]
        assert any(event["event"] == "CertificateVoid" for event in client.get("/admin/scorer").json()["events"])
        write_void(world, '{"version": "2", "at": "now", "verdict": "v", "reasons": ["else"]}')
        until(lambda: routed(client)["options"]["weights"]["usd"] == 123)
        write_void(world, "{")
        until(lambda: "cannot be read" in str(stands(client)["why_not_in_force"]))
        assert client.delete("/admin/scorer/void").json() == {"was_void": True}
        until(lambda: routed(client)["options"]["weights"]["usd"] == 123)
        assert client.delete("/admin/scorer/void").json() == {"was_void": False}


def test_the_best_llm_answers_meanwhile_where_the_operator_chose_so(world: World) -> None:
    """Alone, and the others say why they do not."""
    with serving(world, CERTIFICATE, CertificateSettings(use=True, otherwise="best")) as client:
        write_void(world)
        until(lambda: routed(client)["chosen"] == ["tooled"])
        found = routed(client)
        assert [each["llm"] for each in found["ranked"]] == ["tooled"]
        assert "the certificate is not in force" in str(found["excluded"])


def test_a_best_llm_that_cannot_answer_leaves_the_others(world: World) -> None:
    """A retired one is no reason to answer nobody."""
    gone = replace(CERTIFICATE, baseline="retired-one")
    with serving(world, gone, CertificateSettings(use=True, otherwise="best")) as client:
        write_void(world)
        until(lambda: bool(stands(client)["why_not_in_force"]))
        assert len(routed(client)["ranked"]) > 1


@pytest.mark.parametrize(
    ("prices", "why"),
    [({**PRICES, "slow": (1.0, 3.0)}, "slow: of another price now"), ({**PRICES, "lost": (1.0, 1.0)}, "lost: no longer in the pool")],
)
def test_another_pool_is_another_choice(world: World, prices: dict[str, tuple[float, float]], why: str) -> None:
    """The certificate was measured on the choices of its LLMs and prices."""
    with serving(world, replace(CERTIFICATE, prices=prices), USED) as client:
        assert routed(client)["options"]["weights"]["usd"] == 10
        assert why in str(stands(client)["why_not_in_force"])


def test_what_was_not_certified_changes_nothing(world: World) -> None:
    """It says how many labels would do; a version without one says nothing."""
    few = replace(CERTIFICATE, usd=None, needed=4_000)
    with serving(world, few, USED) as client:
        assert routed(client)["options"]["weights"]["usd"] == 10
        assert "about 4,000 would do" in str(stands(client)["why_not_in_force"])
    with serving(world, None, USED) as client:
        assert stands(client) is None
        assert routed(client)["options"]["weights"]["usd"] == 10


def test_a_void_is_written_once_and_read_as_written(world: World) -> None:
    """The file is whole at any time, and none is no void."""
    path = world.settings().certificate_void_file
    assert certificate_void.read(path) == Void()
    assert not certificate_void.read(path).covers("1")
    write_void(world)
    assert certificate_void.read(path).covers("1")
    assert not certificate_void.read(path).covers("2")
