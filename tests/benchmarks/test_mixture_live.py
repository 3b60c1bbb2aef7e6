"""The live harness: calls are bought once, and each system asks whom its paper says."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import live_record, mixture_live
from benchmarks.bought_calls import COLD, BoughtCalls, CallMissing, EndpointMissing, Live, Speed, key, speeds
from benchmarks.rivals import live_systems
from benchmarks.rivals.live_systems import Answered, Released, Situation, selected
from mixture.choose.posterior import AgreementPosterior, Observation, PaperScore
from mixture.client.protocol import Call, Reply
from mixture.client.scripted import WholeReplies
from mixture.errors import LLMRefused, LLMTimedOut, LLMUnreachable
from mixture.llm import LLM, Endpoint
from mixture.price import Price
from mixture.replay.virtual_time import clock, drive
from pipelines.journal import Journal

QUESTION = [{"role": "user", "content": "What is 6 x 7?"}]


def llm(name: str, port: int = 1, **more: object) -> LLM:
    return replace(LLM(name, name, Price(1.0, 2.0), endpoint=Endpoint(f"http://127.0.0.1:{port}/v1", name)), **more)


class Scripted(WholeReplies):
    """Says what `said` tells by LLM id, after a second; a list is said one by one. Keeps what was asked."""

    def __init__(self, said: Mapping[str, object]) -> None:
        self.said, self.asked = dict(said), list[Call]()

    async def ask(self, call: Call) -> Reply:
        self.asked.append(call)
        await asyncio.sleep(1.0)
        text = self.said[call.llm.id.partition("#")[0]]
        text = text.pop(0) if isinstance(text, list) else text
        if isinstance(text, Exception):
            raise text
        return Reply(call.llm.id, str(text), "stop", 10, 5, call.llm.price.cost(10, 5), 1.0)


def situation(client: Scripted, names: str = "abc", best: str = "a") -> Situation:
    means = {name: 0.5 + 0.1 * (name == best) for name in names}
    return Situation(QUESTION, [llm(name) for name in names], means, means, AgreementPosterior(), client)


class Endpoints(Live):
    """Real LLMs' place taken by a script, to count what is bought."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies, self.asked = list(replies), list[Call]()

    def ask(self, call: Call) -> Reply:
        self.asked.append(call)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def test_a_call_is_bought_once_and_replayed_with_its_seconds(tmp_path: Path) -> None:
    async def timed(calls: BoughtCalls, call: Call) -> tuple[Reply, float]:
        reply = await calls.ask(call)
        return reply, clock()

    asked = Call(llm("a"), QUESTION)
    with Journal(tmp_path / "one.jsonl") as journal:
        calls = BoughtCalls(tmp_path, journal, Endpoints(Reply("a", "42", "stop", 10, 5, 9.9, 3.5, -0.1)))
        bought, _ = drive(timed(calls, asked))
    elsewhere = Call(llm("a", port=2), QUESTION)
    replayed, seconds = drive(timed(BoughtCalls(tmp_path), elsewhere))
    assert (calls.bought, replayed.text, seconds) == (1, "42", 3.5)
    assert bought == replayed
    assert replayed.cost_usd == pytest.approx(20e-6)  # at the pool's prices


def test_what_was_sent_is_the_key() -> None:
    asked = Call(llm("a"), QUESTION)
    assert key(asked) == key(replace(asked, llm=llm("a", port=9)))
    assert key(asked) != key(replace(asked, messages=[{"role": "user", "content": "What is 6 x 8?"}]))
    assert key(asked) != key(replace(asked, options={"temperature": 0.7}))


def test_an_llms_own_failures_are_kept_and_a_missing_server_is_not(tmp_path: Path) -> None:
    late = llm("a")
    with Journal(tmp_path / "one.jsonl") as journal:
        wrong_key, too_long = LLMRefused("b", "no such key"), LLMRefused("c", "too long")
        wrong_key.status, too_long.status = 401, 400
        calls = BoughtCalls(tmp_path, journal, Endpoints(LLMTimedOut("a", "late"), LLMUnreachable("b", "gone"), wrong_key, too_long))
        with pytest.raises(LLMTimedOut):
            drive(calls.ask(Call(late, QUESTION)))
        for _ in range(2):
            with pytest.raises(EndpointMissing):
                drive(calls.ask(Call(llm("b"), QUESTION)))
        with pytest.raises(LLMRefused):
            drive(calls.ask(Call(llm("c"), QUESTION)))
    offline = BoughtCalls(tmp_path)
    with pytest.raises(LLMTimedOut):
        drive(offline.ask(Call(late, QUESTION)))
    with pytest.raises(LLMRefused):
        drive(offline.ask(Call(llm("c"), QUESTION)))
    with pytest.raises(CallMissing, match="b is not on record"):
        drive(offline.ask(Call(llm("b"), QUESTION)))


def test_seconds_are_those_of_the_tokens_in_cold_calls(tmp_path: Path) -> None:
    sizes = [(10, 5), (200, 5), (40, 60), (300, 80), (90, 20)]
    replies = [Reply("a", str(at), "stop", *size, 0.0, 0.5 + 0.01 * size[0] + 0.1 * size[1], None) for at, size in enumerate(sizes)]
    endpoints = Endpoints(*replies, LLMTimedOut("a", "late"))
    with Journal(tmp_path / "cold" / "one.jsonl") as journal:
        calls = BoughtCalls(tmp_path / "cold", journal, endpoints, cold=True)
        for at in range(5):
            drive(calls.ask(Call(llm(f"a#{at}"), QUESTION, {"seed": at})))
        with pytest.raises(LLMTimedOut):
            drive(calls.ask(Call(llm("a"), QUESTION, {"seed": 5})))
    assert all(COLD.items() <= call.options.items() for call in endpoints.asked)
    with pytest.raises(CallMissing, match=r"colt: 0 calls of tiny on record"):
        speeds(tmp_path / "colt", {"a": "tiny"})
    found = speeds(tmp_path / "cold", {"a": "tiny", "a-prompted-otherwise": "tiny"})
    assert list(found) == ["tiny"]
    assert (found["tiny"].start_s, found["tiny"].input_s, found["tiny"].output_s) == pytest.approx((0.5, 0.01, 0.1))
    assert (found["tiny"].error, found["tiny"].calls) == pytest.approx((0.0, 5), abs=1e-6)
    paces = {"a": found["tiny"]}  # the weights that this endpoint serves
    with Journal(tmp_path / "warm" / "one.jsonl") as journal:
        busy = BoughtCalls(tmp_path / "warm", journal, Endpoints(Reply("a", "42", "stop", 100, 10, 0.0, 99.0, None)), paces=paces)
        reply = drive(busy.ask(Call(llm("a"), QUESTION)))
    assert reply.latency_s == pytest.approx(0.5 + 1.0 + 1.0)
    assert Speed(0.5, 0.01, 0.1, 0.0, 4).seconds(100, 10) == pytest.approx(2.5)


def test_moa_asks_all_in_each_layer_and_the_best_writes() -> None:
    client = Scripted({"a": ["41", "42", "It is 42."], "b": "40", "c": "39"})
    made = drive(live_systems.moa(situation(client)))
    assert [call.llm.id for call in client.asked] == ["a", "b", "c", "a", "b", "c", "a"]
    assert (made.text, made.calls, made.layers, made.latency_s) == ("It is 42.", 7, 2, 3.0)
    assert "> 40" in str(client.asked[3].messages)
    assert "> 42" in str(client.asked[-1].messages)


def test_self_moa_samples_the_best_and_lets_it_write() -> None:
    client = Scripted({"a": "42", "b": "40", "c": "39"})
    made = drive(live_systems.self_moa(situation(client)))
    assert (made.text, made.calls, made.layers) == ("42", live_systems.SAMPLES + 1, 1)
    assert len({call.llm.decoding.seed for call in client.asked[:-1]}) == live_systems.SAMPLES


def test_smoa_ends_where_its_judge_says_so_and_shows_what_it_kept() -> None:
    client = Scripted({"a": ["42", "BEST: A1\nDONE: yes", "42!"], "b": "40", "c": "39"})
    made = drive(live_systems.smoa(situation(client)))
    assert (made.text, made.calls, made.layers, made.unread) == ("42!", 5, 1, 0)
    assert client.asked[3].llm.prompt == live_systems.JUDGE
    assert "What is" in str(client.asked[3].messages)
    assert str(client.asked[-1].messages).count("[A") == 1


def test_smoas_judge_is_never_guessed() -> None:
    client = Scripted({"a": ["42", "They are all fine.", "42", "BEST: A9\nDONE: no", "42!"], "b": "40", "c": "39"})
    made = drive(live_systems.smoa(situation(client)))
    assert (made.layers, made.unread) == (2, 2)  # no line of the first reply, an unknown name in the second
    assert str(client.asked[-1].messages).count("[A") == 3


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("BEST: A2 A1\nDONE: yes", (["A2", "A1"], True)),
        ("**BEST:** A2, A1\n**DONE:** No.", (["A2", "A1"], False)),
        ("BEST: A2\nI am done: yes", (["A2"], None)),
        ("BEST: [A1], [A2]\nDONE: yes", (["A1", "A2"], True)),
        ("BEST: one, two\nDONE: yes", (None, True)),
        ("BEST: A7\nDONE: no", (None, False)),
        ("", (None, None)),
    ],
)
def test_a_judges_selection(reply: str, found: tuple[object, object]) -> None:
    assert selected(reply, {"A1": "x", "A2": "y"}) == found


def test_routemoa_asks_three_layers_where_nobody_is_sure() -> None:
    client = Scripted(dict.fromkeys("abcd", "42\n\nCONFIDENCE: 0.30"))
    made = drive(live_systems.route_moa(mended=True)(situation(client, "abcd")))
    assert (made.layers, made.calls, made.unread) == (3, 10, 0)


def test_the_released_posterior_has_its_faults() -> None:
    heard = {"a": Observation(0.6, self_score=None), "b": Observation(0.5, self_score=0.1, cross_score=0.2)}
    released = Released(priors={"a": 0.6, "b": 0.5, "c": 0.2}).scores(heard)
    mended = PaperScore().scores(heard)
    assert released["a"] == pytest.approx(0.9 * 0.6 + 0.1 * 0.8)
    assert mended["a"] == pytest.approx(0.6)
    assert released["c"] == pytest.approx((0.25 * 0.2 + 0.45) / 0.70)
    assert "c" not in mended


def test_a_time_out_is_no_wrong_answer() -> None:
    late = drive(live_systems.alone(lambda each: each.means)(situation(Scripted({"a": LLMTimedOut("a", "late")}), "a")))
    refused = drive(live_systems.alone(lambda each: each.means)(situation(Scripted({"a": LLMRefused("a", "no")}), "a")))
    assert (late.text, late.time_outs) == (None, 1)
    assert (refused.text, refused.time_outs) == ("", 0)
    silent = drive(live_systems.self_moa(situation(Scripted({"a": ""}), "a")))
    assert (silent.text, silent.time_outs) == ("", 0)


def test_grades_leave_time_outs_out() -> None:
    from pipelines.graders.query import Query

    asked = [
        live_record.LiveQuery(Query("q", "What is 6 x 7?", "number", reference=json.dumps("42")), "mathematics", inside=True, priors={})
    ]
    one = Answered("42", 0.0, 1.0, 1, 1, 15)
    grades = mixture_live.graded(asked, [{"right": one, "late": replace(one, text=None), "wrong": replace(one, text="41")}])
    assert grades[0]["right"] == 1.0
    assert grades[0]["wrong"] == 0.0
    assert grades[0]["late"] != grades[0]["late"]  # NaN


def test_a_replay_ends_at_the_first_query_that_lacks_a_call(tmp_path: Path) -> None:
    """One missing among calls made at once included; those complete beyond it would be the quick ones."""
    from pipelines.graders.query import Query

    llms = [llm(name) for name in "abc"]
    asked = [
        live_record.LiveQuery(Query(name, f"What is 6 x {name}?", "number"), "mathematics", inside=True, priors=dict.fromkeys("abc", 0.5))
        for name in "123"
    ]
    bench = live_record.Bench(asked, llms, dict.fromkeys("abc", 0.5), AgreementPosterior(), "a hash")
    said, rows = "42\n\nCONFIDENCE: 0.50", mixture_live.compared()
    with Journal(tmp_path / "one.jsonl") as journal:
        always = Endpoints()
        always.ask = lambda call: Reply(call.llm.id, said, "stop", 10, 5, 0.0, 1.0)  # type: ignore[method-assign]
        bought = BoughtCalls(tmp_path, journal, always)
        first, _ = mixture_live.answers(replace(bench, queries=[asked[0], asked[2]]), bought, rows)
    found = list(mixture_live.answers(bench, BoughtCalls(tmp_path), rows))
    assert [one.query.query_id for one, _ in found] == ["1"]
    assert found[0][1] == first[1]
    assert set(first[1]) == set(rows)


def test_an_endpoint_that_is_gone_ends_the_run_and_is_no_wrong_answer(tmp_path: Path) -> None:
    """Wherever in a system it is found missing, calls made at once included."""
    for system in (live_systems.moa, live_systems.smoa, live_systems.alone(lambda each: each.means)):
        with Journal(tmp_path / "one.jsonl") as journal:
            gone = BoughtCalls(tmp_path, journal, Endpoints(*[LLMUnreachable("a", "gone") for _ in range(9)]))
            with pytest.raises((EndpointMissing, ExceptionGroup)):
                drive(system(replace(situation(Scripted({})), client=gone)))


def test_a_late_aggregator_leaves_the_best_answer() -> None:
    client = Scripted({"a": ["42", "42", "42", LLMTimedOut("a", "late")], "b": "40", "c": "39"})
    made = drive(live_systems.self_moa(situation(client)))
    assert (made.text, made.time_outs) == ("42", 1)
