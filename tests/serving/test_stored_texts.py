"""Where texts are stored they are redacted first, and records go when the operator keeps them no longer."""

import asyncio
import time

from routing_client import ready
from world import World

from monitoring.records.store import RecordStore
from serving.events import Events, RecordsForgotten
from serving.worker.retention import DAY_S, forget_old

MAIL, CARD = "jane.doe@example.com", "4111 1111 1111 1111"
ASK = {"messages": [{"role": "user", "content": f"write to {MAIL} about card {CARD}"}]}


def test_a_stored_text_is_redacted_when_it_is_stored(world: World) -> None:
    """The query, the answers that repeat it, and an endpoint's complaint; the caller's own answer is as it was."""
    for client in ready(world, store_text=True):
        for model in ("routemoa-single", "routemoa", "echo", "garbled"):
            answer = client.post("/v1/chat/completions", json={**ASK, "model": model})
            if answer.status_code == 200:
                assert MAIL in answer.json()["choices"][0]["message"]["content"]
    kept = RecordStore(world.home / "var" / "records.db").scan(0, 2**40)
    assert len(kept) == 4
    for record in kept:
        assert record.text == "write to [email] about card [card]"
        assert MAIL not in str(record.decision)
        assert CARD not in str(record.decision)
    assert any("[email]" in str(record.decision) for record in kept)


def test_a_reference_is_redacted_when_it_is_stored(world: World) -> None:
    """Whatever is stored of texts; what a grader cannot read any more is refused, and nothing of it is kept."""
    for client in ready(world):
        decision = client.post("/v1/chat/completions", json={**ASK, "model": "echo"}).json()["routemoa"]["decision_id"]
        report = {"decision_id": decision, "score": 1.0, "grader": "choice", "reference": "B", "choices": [MAIL, f"the card {CARD}"]}
        kept = {"grader": "choice", "text": "B", "choices": ["[email]", "the card [card]"]}
        assert client.post("/v1/feedback", json=report).json()["reference"] == kept
        assert client.get(f"/v1/decisions/{decision}").json()["outcome"]["reference"] == kept
        refused = client.post("/v1/feedback", json={"decision_id": decision, "score": 0.5, "grader": "number", "reference": CARD})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "reference")
        assert client.get(f"/v1/decisions/{decision}").json()["outcome"]["score"] == 1.0
    for path in (world.home / "var").glob("records.db*"):
        assert MAIL.encode() not in path.read_bytes()
        assert CARD.encode() not in path.read_bytes()


def test_records_go_after_the_days_the_operator_keeps_them(world: World) -> None:
    """What is older is removed when the server starts, with an event; without the setting nothing is."""
    for client in ready(world):
        client.post("/v1/chat/completions", json={**ASK, "model": "echo"})
    for client in ready(world, keep_records_days=1.0):
        assert len(client.app.state.serving.records.scan(0, 2**40)) == 1

    async def later() -> list[dict]:
        records, events = RecordStore(world.home / "var" / "records.db"), Events()
        task = asyncio.create_task(forget_old(records, list, 1e-9 / DAY_S, events))
        give_up = time.monotonic() + 10
        while not events.recent():
            assert time.monotonic() < give_up
            await asyncio.sleep(0.01)
        task.cancel()
        assert records.scan(0, 2**40) == []
        return events.recent()

    (event,) = asyncio.run(later())
    assert (event["event"], event["records"]) == (RecordsForgotten.__name__, 1)
