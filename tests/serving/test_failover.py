"""An LLM that says nothing, first in the ranking of a fresh server whose other LLMs are well."""

import time

import pytest
from routing_client import ready
from world import World, entry

ASK = {"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], "routemoa": {"deadline_s": 2.0}}
DEAR = {"input": 5000.0, "output": 5000.0}  # so that the silent one ranks first, whatever the scores are


class SilentFirst(World):
    def pool(self):
        limits = {"concurrency": 64}
        up = self.base_url
        pool = {name: entry(up, name, price=DEAR, limits=limits) for name in ("echo", "slow")}
        return {"mute": entry(up, "hang", price={"input": 0, "output": 0}, limits=limits), **pool}


@pytest.fixture
def fresh(tmp_path, upstream):
    made = SilentFirst(tmp_path / "project", upstream, roster=("mute", "echo", "slow"))
    made.publish("1")
    yield from ready(made)


@pytest.mark.parametrize("model", ["routemoa-single", "routemoa"])
def test_a_silent_llm_costs_one_request_its_patience(fresh, model) -> None:
    """The first request is answered by another LLM in time; the next ones step over the silent one, and /v1/route says so."""
    assert fresh.post("/v1/route", json={**ASK, "model": model}).json()["chosen"] == ["mute"]
    took_s = []
    for _ in range(4):
        started = time.perf_counter()
        answered = fresh.post("/v1/chat/completions", json={**ASK, "model": model})
        took_s.append(time.perf_counter() - started)
        assert answered.status_code == 200, answered.text
        assert answered.json()["routemoa"]["llm"] in {"echo", "slow"}
    assert 1.2 <= took_s[0] < 2.5  # 0.6 of the deadline
    assert max(took_s[1:]) < 1.2
    told = fresh.post("/v1/route", json={**ASK, "model": model}).json()
    assert [each["llm"] for each in told["ranked"] if each["stepped_over"]] == ["mute"]
    assert told["ranked"][-1]["llm"] == "mute"
    assert "mute" in told["explanation"]


def test_an_impatient_caller_makes_no_llm_silent(fresh) -> None:
    """A deadline shorter than a second says more about its caller than about an LLM that has not answered yet."""
    ask = {**ASK, "model": "routemoa-single", "routemoa": {"deadline_s": 0.3}}
    assert fresh.post("/v1/chat/completions", json=ask).status_code in {200, 504}
    assert fresh.post("/v1/route", json={**ASK, "model": "routemoa-single"}).json()["chosen"] == ["mute"]


def test_a_silent_llm_that_is_named_is_set_aside_in_the_end(tmp_path, upstream) -> None:
    """Time-outs at the operator's deadline open the breaker: callers hear at once that it is of no use to wait."""
    made = SilentFirst(tmp_path / "project", upstream, roster=("mute", "echo", "slow"))
    made.publish("1")
    ask = {"model": "mute", "messages": ASK["messages"]}
    for client in ready(made, mixture={"deadline_s": 1.1}):
        answers = [client.post("/v1/chat/completions", json={**ask, "stream": at % 2 == 0}).json() for at in range(6)]
    assert [each["error"]["code"] for each in answers] == ["llm_timed_out"] * 5 + ["llm_set_aside"]


def test_an_impatient_caller_sets_no_llm_aside(fresh) -> None:
    """Nor does it close one for those who name it."""
    ask = {**ASK, "model": "slow", "routemoa": {"deadline_s": 0.1}}
    for stream in (False, True):
        for _ in range(6):
            fresh.post("/v1/chat/completions", json={**ask, "stream": stream})
    assert fresh.post("/v1/chat/completions", json={**ASK, "model": "slow"}).status_code == 200
