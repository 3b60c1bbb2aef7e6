"""What goes on beside requests does not end in silence."""

import time

import pytest
from routing_client import ready
from world import World

from serving.access import gate
from serving.access.budgets import SqliteBudgets


def test_one_that_breaks_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an event with its reason; requests are answered on."""

    async def broken(_: SqliteBudgets) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(gate, "FLUSH_S", 0.01)
    monkeypatch.setattr(SqliteBudgets, "tend", broken)
    for client in ready(world):
        give_up = time.monotonic() + 60
        while not (lost := [each for each in client.get("/admin/scorer").json()["events"] if each["event"] == "FollowerLost"]):
            assert time.monotonic() < give_up
            time.sleep(0.02)
        assert [(each["what"], each["reason"]) for each in lost] == [("Gate.follow", "RuntimeError: nobody thought of this")]
        assert client.get("/readyz").status_code == 200
