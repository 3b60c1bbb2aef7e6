"""A stream ends cleanly only when the answer is whole and recorded; whoever hangs up ends the work upstream."""

import json
import time

import faulty_upstream
import httpx2
import pytest
from world import Running, World

from mixture.decision import Decision
from mixture.replay.replay import differences
from serving.events import RecordLost

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


def events(client, model, **fields):
    response = client.post("/v1/chat/completions", json={"model": model, "messages": ASK, "stream": True, **fields})
    lines = [line.removeprefix("data: ") for line in response.text.split("\n") if line]
    return response, [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("model", ["echo", "routemoa-single", "routemoa"])
def test_a_stream_is_chunks_then_facts_then_usage_then_done(client, model) -> None:
    """Chunks carry one id; the one with the finish reason carries our facts; include_usage adds one without choices; [DONE] is last."""
    response, got = events(client, model, stream_options={"include_usage": True}, routemoa={"k": 2, "max_layers": 1})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert got[-1] == "[DONE]"
    chunks = got[:-1]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {model}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] >= 15
    assert all("usage" not in chunk for chunk in chunks[:-1])
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-2]["routemoa"]["decision_id"] == response.headers["x-routemoa-decision"]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1])
    assert "the sum of 1 and 2" in text
    record = client.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert (record["status"], record["virtual_model"]) == ("ok", model)


def test_without_include_usage_no_chunk_is_without_choices(client) -> None:
    """The usage chunk comes only to those who ask for it."""
    _, got = events(client, "echo")
    assert all(chunk["choices"] for chunk in got[:-1])


@pytest.mark.parametrize("model", ["routemoa-single", "routemoa"])
def test_the_trace_comes_in_the_last_event_for_those_who_ask(client, model) -> None:
    """With explain the final chunk holds the whole decision, which decides the same again; without it there is none."""
    _, got = events(client, model, routemoa={"explain": True, "k": 2, "max_layers": 2})
    decision = Decision.from_dict(got[-2]["routemoa"]["decision"])
    assert decision.text == "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in got[:-1])
    assert differences(decision) == []
    assert not any("decision" in chunk.get("routemoa", {}) for chunk in events(client, model)[1][:-1])


@pytest.mark.parametrize("model", ["cut", "error-inside"])
def test_a_stream_that_fails_ends_in_an_error_event(client, model) -> None:
    """After the first piece a failure is an error event and no [DONE]; the record says error."""
    response, got = events(client, model)
    assert response.status_code == 200
    assert "[DONE]" not in got
    assert got[-1]["error"]["type"] in {"server_error", "rate_limit_error"}
    assert not any(choice.get("finish_reason") for chunk in got[:-1] for choice in chunk["choices"])
    assert client.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()["status"] == "error"


@pytest.mark.parametrize(("model", "status"), [("garbled", 502), ("hang", 504), ("refuse", 400)])
def test_a_failure_before_the_first_piece_has_its_status(client, model, status) -> None:
    """As long as nothing was sent, a stream fails as a whole answer does."""
    response = client.post("/v1/chat/completions", json={"model": model, "messages": ASK, "stream": True})
    assert response.status_code == status
    assert response.json()["error"]["code"]


@pytest.mark.parametrize("stream", [True, False])
def test_hanging_up_ends_the_work_upstream(world: World, stream: bool) -> None:
    """When the caller disconnects, the call to the LLM is closed; the record says error, and at most what the LLM may charge."""
    model = "slow" if stream else "hang"
    entries = world.pool()
    entries["hang"]["limits"] = entries["echo"]["limits"]  # it would hang for 5 s
    world.write_pool(entries)
    long = [{"role": "user", "content": "word " * 200}]
    with world.served() as server:
        left = faulty_upstream.counts[f"left {model}"]
        finished = faulty_upstream.counts[f"finished {model}"]
        decision = _hang_up(server, {"model": model, "messages": long, "stream": stream})
        give_up = time.monotonic() + 3
        while faulty_upstream.counts[f"left {model}"] == left:
            assert time.monotonic() < give_up, "the upstream call goes on"
            time.sleep(0.02)
        assert faulty_upstream.counts[f"finished {model}"] == finished
        if stream:
            with server.client() as client:
                kept = client.get(f"/v1/decisions/{decision}").json()
            assert kept["status"] == "error"
            assert kept["decision"]["unsettled_usd"] > 0


def _hang_up(server: Running, body: dict) -> str | None:
    """Asks, reads a little of a stream or waits a little, and disconnects; the decision's id where one was told."""
    address = f"{server.url}/v1/chat/completions"
    with httpx2.Client(timeout=0.7, trust_env=False, headers=server.headers) as client:
        if not body["stream"]:
            with pytest.raises(httpx2.TimeoutException):
                client.post(address, json=body)
            return None
        with client.stream("POST", address, json=body) as got:
            next(got.iter_lines())
            return got.headers["x-routemoa-decision"]


def test_a_stream_whose_record_is_lost_does_not_end_cleanly(client, monkeypatch) -> None:
    """[DONE] acknowledges; what is not durable is not acknowledged."""
    state = client.app.state.serving
    lost = []
    monkeypatch.setattr(state.events, "emit", lost.append)
    monkeypatch.setattr(state.records._writer, "_closed", True)
    _, got = events(client, "echo")
    assert "[DONE]" not in got
    assert got[-1]["error"]["code"] == "record_not_kept"
    assert isinstance(lost[0], RecordLost)
