"""Conversations through real servers of two workers: who answers them, when they move, and what that costs."""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import caching_upstream
from biller import bill
from caching_upstream import Upstream
from world import Running, World, entry

from mixture.decision import Decision
from mixture.replay.replay import differences
from serving.access import keys

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
LONG = {"role": "system", "content": "You look after the sums of a shop. " * 300}
RATES = {
    "reads": {"input": 3.0, "output": 15.0, "cache_read": 0.3},
    "writes": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75},
}
STAYS = {"ROUTEMOA_SESSIONS__MARGIN": "1", "ROUTEMOA_MIXTURE__VALUE_PER_USD": "0", "ROUTEMOA_MIXTURE__VALUE_PER_SECOND": "0"}


@pytest.fixture
def caching() -> Iterator[Upstream]:
    with caching_upstream.running() as upstream:
        yield upstream


class Pair(World):
    """Two LLMs whose prompts are cached."""

    rates = RATES

    def pool(self) -> dict[str, Any]:
        return {
            name: entry(self.base_url, name, price=rates, capabilities=["tools"], context_window=100_000)
            for name, rates in self.rates.items()
        }


@pytest.fixture
def pair(tmp_path: Path, caching: Upstream) -> Pair:
    made = Pair(tmp_path / "project", caching.base_url, roster=tuple(RATES))
    made.publish("1")
    return made


@dataclass
class Talk:
    """A conversation; each request comes over a connection of its own, to whichever worker takes it."""

    server: Running
    name: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    key: str = ""
    model: str = "routemoa-single"
    tools: bool = False
    messages: list[dict[str, Any]] = field(default_factory=lambda: [LONG])
    cost_usd: float = 0.0

    def says(self, text: str, **more: Any) -> dict[str, Any]:
        """The facts of the answer to a user's turn."""
        self.messages.append({"role": "user", "content": text})
        return self.goes_on(**more)

    def goes_on(self, **more: Any) -> dict[str, Any]:
        """The facts of the answer to what there is."""
        body = {"model": self.model, "messages": self.messages, **self.name, **more}
        body["routemoa"] = {**self.name.get("routemoa", {}), "explain": True}
        if self.tools:
            body["tools"] = TOOLS
        headers = {"Authorization": f"Bearer {self.key or self.server.key}", **self.headers}
        answer = httpx2.post(f"{self.server.url}/v1/chat/completions", json=body, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        facts, message = answer.json()["routemoa"], answer.json()["choices"][0]["message"]
        self.messages.append({name: value for name, value in message.items() if value is not None or name == "content"})
        self.cost_usd += facts["cost_usd"]
        return facts

    def loop(self, results: Callable[[int], str] = lambda at: f"result {at}") -> list[dict[str, Any]]:
        """The facts of the answers until one calls no tools."""
        told = []
        while calls := self.messages[-1].get("tool_calls"):
            self.messages += [{"role": "tool", "tool_call_id": call["id"], "content": results(len(told))} for call in calls]
            told.append(self.goes_on())
        return told


def liked_by(server: Running, **options: Any) -> dict[str, str]:
    """A text for each LLM, that it ranks first for."""
    liked: dict[str, str] = {}
    texts = (
        f"{one} {two} {three} ?"
        for one in ("sum", "write", "law", "story", "list")
        for two in ("fever", "python", "anna")
        for three in "123"
    )
    with server.client() as client:
        for text in texts:
            body = {"model": "routemoa-single", "messages": [{"role": "user", "content": text}], **options}
            chosen = client.post("/v1/route", json=body).json()["chosen"][0]
            liked.setdefault(chosen, text)
            if len(liked) == len(RATES):
                return liked
    raise AssertionError(f"one LLM is liked for everything: {liked}")


NAMES = {
    "routemoa.session": ({"routemoa": {"session": "one"}}, {}),
    "x-session-id": ({}, {"x-session-id": "two"}),
    "prompt_cache_key": ({"prompt_cache_key": "three"}, {}),
    "metadata.session_id": ({"metadata": {"session_id": "four"}}, {}),
    "metadata.user_id": ({"metadata": {"user_id": "user_1_account__session_01234567-89ab"}}, {}),
    "its beginning": ({}, {}),
}


def test_a_session_stays_however_it_is_named(pair: Pair) -> None:
    """On two workers and through a restart the LLM of the first turn answers all, though the other one likes the later turns better.

    Another key's session of the same name and the same words is another one; a new one takes whom it likes.
    """
    first_of: dict[str, str] = {}
    talks: dict[str, Talk] = {}
    with pair.served(ROUTEMOA_WORKERS="2", **STAYS) as server:
        liked = liked_by(server)
        one, other = liked
        for name, (body, headers) in NAMES.items():
            talk = talks[name] = Talk(server, body, headers, messages=[{"role": "system", "content": f"by {name}"}])
            facts = talk.says(liked[one])
            first_of[name] = facts["llm"]
            assert facts["session"] | {"id": ""} == {**facts["session"], "id": "", "before": None, "why": "new", "stayed": False}
            for _ in range(3):
                facts = talk.says(liked[other])
                assert (facts["llm"], facts["session"]["why"], facts["session"]["stayed"]) == (first_of[name], "worth staying", True), name
        key = keys.create(pair.settings().keys_file, "other", ("chat",))
        server.wait_for("/readyz")
        stranger = Talk(server, *NAMES["x-session-id"], key=key, messages=list(talks["x-session-id"].messages))
        wait_until(lambda: knows(server, key))
        assert stranger.says(liked[other])["session"]["why"] == "new"
        fresh = Talk(server, {"routemoa": {"session": "fresh"}}, messages=[])
        assert fresh.says(liked[other])["llm"] == other
    with pair.served(ROUTEMOA_WORKERS="2", **STAYS) as server:
        for name, talk in talks.items():
            talk.server = server
            assert talk.says(liked[other])["llm"] == first_of[name], name


def knows(server: Running, key: str) -> bool:
    """Whether a new key has reached both workers, as far as a few requests tell."""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"messages": [{"role": "user", "content": "sum"}]}
    return all(
        httpx2.post(f"{server.url}/v1/route", json=body, headers=headers, timeout=60, trust_env=False).status_code == 200 for _ in range(20)
    )


def wait_until(true: Callable[[], bool], seconds: float = 90.0) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_loop_of_tools_is_never_handed_over(pair: Pair) -> None:
    """Its LLM becomes 300 times as dear in the middle: a new conversation goes elsewhere, the loop does not, its next user turn does.

    No turn inside of it runs the encoder, and a decision of it is decided again from its record.
    """
    with pair.served(ROUTEMOA_WORKERS="2") as server:
        talk = Talk(server, tools=True)
        first = talk.says("sum of the list ? tools: 5")
        own = first["llm"]
        dear = {name: dict(rates) for name, rates in RATES.items()}
        dear[own] = {"input": 900.0, "output": 900.0}
        pair.rates = dear
        pair.write_pool(pair.pool())
        wait_until(lambda: all(Talk(server, tools=True).says("sum of the list ?")["llm"] != own for _ in range(6)))
        runs = scorings(server)
        told = talk.loop()
        assert scorings(server) == runs
        assert [each["llm"] for each in told] == [own] * 5
        assert {each["session"]["why"] for each in told} == {"tool loop"}
        assert all(differences(replayable(each)) == [] for each in told)
        moved = talk.says("and now the sum of the other list ?")
        assert (moved["llm"] != own, moved["session"]["why"], moved["session"]["stayed"]) == (True, "worth switching", False)
        assert differences(replayable(moved)) == []


def replayable(facts: dict[str, Any]) -> Decision:
    """The decision of an explained answer; a call of tools has no text, which a replay needs."""
    tree = facts["decision"]
    tree["text"] = tree["text"] or "called"
    for layer in tree["layers"]:
        for run in layer["runs"]:
            run["text"] = run["text"] or "called"
    return Decision.from_dict(tree)


def scorings(server: Running) -> float:
    """How often an encoder ran."""
    with server.client() as client:
        return float(client.get("/metrics").text.split("\nroutemoa_scoring_seconds_count ")[1].split()[0])


def test_a_broken_loop_of_tools_may_move(pair: Pair) -> None:
    """After three errors in a row the switch is weighed, without a margin."""
    with pair.served(**STAYS) as server:
        talk = Talk(server, tools=True)
        talk.says("sum of the list ? tools: 5")
        told = talk.loop(lambda _: "Error: no such file")
        assert [each["session"]["why"] == "tool loop" for each in told] == [True, True, False, False, False]


def test_a_failure_moves_the_session_and_says_what_that_cost(pair: Pair, caching: Upstream) -> None:
    """Even inside a loop; the other LLM reads everything anew, is charged for it, and has the session from then on."""
    with pair.served(ROUTEMOA_WORKERS="2", **STAYS) as server:
        talk = Talk(server, tools=True)
        own = talk.says("sum of the list ? tools: 2")["llm"]
        talk.messages.append({"role": "tool", "tool_call_id": talk.messages[-1]["tool_calls"][0]["id"], "content": "result"})
        caching.down.add(own)
        facts = talk.goes_on()
        session, other = facts["session"], facts["llm"]
        assert (other != own, session["before"], session["stayed"], session["why"]) == (True, own, False, "failed")
        assert session["rebilled_tokens"] > 1024
        assert session["rebilled_usd"] > 0.003
        assert facts["decision"]["failures"][0]["llm"] == own
        caching.down.clear()
        after = [*talk.loop(), talk.says("thank you")]
        assert {each["llm"] for each in after} == {other}
        assert {each["session"]["before"] for each in after} == {other}
        with server.client() as client:
            kept = client.get(f"/v1/decisions/{facts['decision_id']}").json()
        assert kept["decision"]["session"] == session


def test_what_is_reckoned_is_what_the_vendors_bill(pair: Pair, caching: Upstream) -> None:
    """Conversations with tools, moves and a failure: the costs told add up to an independent biller's, cached tokens included."""
    with pair.served(ROUTEMOA_WORKERS="2", ROUTEMOA_MIXTURE__VALUE_PER_USD="1", ROUTEMOA_SESSIONS__MARGIN="0") as server:
        liked = liked_by(server)
        talks = [Talk(server, {"routemoa": {"session": f"s{at}"}}, tools=bool(at % 2)) for at in range(4)]
        for talk in talks:
            talk.messages[0] = {"role": "system", "content": f"{talk.name} " * 300}
        for turn in range(4):
            for at, talk in enumerate(talks):
                text = list(liked.values())[(turn + at) % 2]
                caching.down = {1: {"writes"}, 2: {"reads"}}.get(turn, set()) if at in {0, 1} else set()
                talk.says(f"{text} tools: {turn}")
                caching.down = set()
                talk.loop()
        spent = sum(talk.cost_usd for talk in talks)
    assert spent == pytest.approx(float(bill(caching.calls, RATES)), abs=1e-9)
    assert len({name for name, *_ in caching.calls}) == 2


def test_an_llm_that_cannot_answer_is_left(tmp_path: Path, caching: Upstream) -> None:
    """A picture comes, and the session's LLM sees none."""

    class Seeing(Pair):
        def pool(self) -> dict[str, Any]:
            pool = super().pool()
            dear = {"input": 900.0, "output": 900.0}
            return {"reads": pool["reads"], "writes": {**pool["writes"], "price": dear, "capabilities": ["tools", "vision"]}}

    made = Seeing(tmp_path / "project", caching.base_url, roster=tuple(RATES))
    made.publish("1")
    with made.served() as server:
        talk = Talk(server)
        assert talk.says("sum")["llm"] == "reads"
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
        talk.messages.append({"role": "user", "content": [{"type": "text", "text": "and of this ?"}, picture]})
        facts = talk.goes_on()
        assert (facts["llm"], facts["session"]["why"], facts["session"]["before"]) == ("writes", "cannot", "reads")


def test_streams_and_strategies_keep_sessions(pair: Pair) -> None:
    """A stream's next turn finds its session; `routemoa` asks the session's LLM first; layers are asked anew."""
    with pair.served(ROUTEMOA_WORKERS="2", ROUTEMOA_MIXTURE__MAX_LAYERS="1", **STAYS) as server:
        liked = liked_by(server)
        one, other = liked
        messages = [LONG, {"role": "user", "content": liked[one]}]
        body = {"model": "routemoa-single", "messages": messages, "stream": True}
        headers = {"Authorization": f"Bearer {server.key}"}
        streamed = httpx2.post(f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60, trust_env=False)
        assert streamed.text.endswith("data: [DONE]\n\n")
        talk = Talk(server, messages=[*messages, {"role": "assistant", "content": "as streamed"}], model="routemoa")
        facts = talk.says(liked[other])
        assert (facts["llm"], facts["session"]["before"], facts["session"]["stayed"]) == (one, one, True)
        talk.model = "routemoa-layers"
        assert talk.says(liked[other])["session"]["why"] == "layers"


def test_sessions_are_bounded_and_broken_ones_stop_nobody(pair: Pair) -> None:
    """No more rows than allowed once they are tended; a file that is no database is an event, and requests are answered."""
    path = pair.home / "var" / "sessions.db"
    with pair.served(ROUTEMOA_WORKERS="2", ROUTEMOA_SESSIONS__MOST="30") as server:
        for at in range(60):
            Talk(server, {"routemoa": {"session": f"s{at}"}}, messages=[]).says("sum")
        wait_until(lambda: rows(path) <= 30)
        server.stop()
    for left in pair.home.glob("var/sessions.db*"):
        left.unlink()
    path.write_bytes(b"no database at all, but as long as one " * 200)
    with pair.served() as server:
        assert Talk(server, {"routemoa": {"session": "s"}}, messages=[]).says("sum")["session"] is None
        with server.client() as client:
            assert "SessionsInterrupted" in {each["event"] for each in client.get("/admin/scorer").json()["events"]}


def rows(path: Path) -> int:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM sessions").fetchone()[0])
    finally:
        connection.close()


RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
OTHER_DIALECTS = {
    "a response that follows another": (RESPONSES, {}, {}),
    "Responses, by its cache key": (RESPONSES, {"prompt_cache_key": "k"}, {"prompt_cache_key": "k"}),
    "Messages, by metadata": (MESSAGES, {"metadata": {"session_id": "m"}}, {"metadata": {"session_id": "m"}}),
    "Messages, by a coding agent's user": (
        MESSAGES,
        {"metadata": {"user_id": "user_1_account__session_01234567-89ab"}},
        {"metadata": {"user_id": "user_1_account__session_01234567-89ab"}},
    ),
}


@pytest.mark.parametrize("how", OTHER_DIALECTS)
def test_other_dialects_have_sessions_too(pair: Pair, how: str) -> None:
    """The second turn knows who answered the first: by what the caller says, or because it follows a kept response."""
    path, first_more, second_more = OTHER_DIALECTS[how]
    with pair.served(**STAYS) as server, server.client() as client:
        common = {"model": "routemoa-single"} | ({"max_tokens": 50} if path == MESSAGES else {})
        said = {"messages": [{"role": "user", "content": "sum anna 1 ?"}]} if path == MESSAGES else {"input": "sum anna 1 ?"}
        first = client.post(path, json=common | said | first_more)
        assert first.status_code == 200, first.text
        if path == RESPONSES:
            following: dict[str, Any] = {"input": "law python 2 ?"}
            following |= {"previous_response_id": first.json()["id"]} if not second_more else {}
        else:
            following = {"messages": [{"role": "user", "content": "law python 2 ?"}]}
        second = client.post(path, json=common | following | second_more)
        assert second.status_code == 200, second.text
        decision = client.get(f"/v1/decisions/{second.headers['x-routemoa-decision']}").json()["decision"]
        assert decision["session"]["before"] == first.headers["x-routemoa-llm"]
