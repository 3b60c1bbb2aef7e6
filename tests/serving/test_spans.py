"""The spans of a decision that a real mixture made: judges, layers, and ids that endpoints were told."""

import json

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.client.protocol import Call
from mixture.client.scripted import Script, ScriptedClient
from mixture.replay.virtual_time import drive
from mixture.run.account import Account
from mixture.run.engine import Mixture
from mixture.run.request import Request
from serving.tracing.finished import Finished
from serving.tracing.request_trace import Parent, RequestTrace
from serving.tracing.spans import Span, spans
from tests.mixture.makers import candidate, last_words, user


def judges(call: Call) -> str:
    """Scores what it is shown, the first answer high."""
    return "better\nSCORES: A1=0.90 A2=0.20" if "[A2]" in last_words(call) else f"answer of {call.llm.id}"


def test_a_judge_stands_below_the_call_in_which_it_judged() -> None:
    """In the layer after the answers that it scored, with the scores that counted; its time is the call's."""
    account, candidates = Account(), [candidate("a", 0.5), candidate("b", 0.4)]
    options = Options(k=2, max_layers=2, weights=Weights(usd=0, second=0), aggregation="best")
    request = Request(user(), candidates, options, Layered(self_assessment=False))
    mixture = Mixture(ScriptedClient({"a": Script(judges, takes=1.0), "b": Script(judges, takes=2.0)}), lambda: 0.0)
    decision = drive(mixture.answer(request, None, account))
    trace = RequestTrace(7, None, sampled=True, began_ns=10**18, began_at=0.0)
    for llm in ("a", "b", "a", "b"):
        trace.call_begins(llm)
    llms = {each.llm.id: each.llm for each in candidates}
    finished = Finished("d" * 32, "routemoa-layers", False, "key", "1", request.messages, llms, account, decision, None, 9.0)
    made = spans(trace, finished, texts=False)
    assert decision.layers[1].judge == "a"
    (judge,) = [each for each in made if each.name.startswith("judge")]
    (call,) = [each for each in made if each.id == judge.parent]
    assert (call.attributes["routemoa.llm"], call.attributes["routemoa.layer"]) == ("a", 2)
    assert json.loads(str(judge.attributes["routemoa.scores"])) == decision.layers[1].cross
    assert (judge.start_ns, judge.end_ns) == (call.start_ns, call.end_ns)
    assert [each.id for each in called(made, "a")] == trace.calls["a"]
    assert [each.id for each in called(made, "b")] == trace.calls["b"]


def called(made: list[Span], llm: str) -> list[Span]:
    """The spans of calls to `llm`, by layer."""
    calls = [each for each in made if each.kind == "client" and each.attributes["routemoa.llm"] == llm]
    return sorted(calls, key=lambda each: int(str(each.attributes["routemoa.layer"])))


def test_a_traceparent_is_read_as_the_standard_has_it() -> None:
    """Later versions may say more after the flags; ids of zeros and version ff are none."""
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    read = Parent(int(trace, 16), int(span, 16), sampled=True)
    assert Parent.of(f"00-{trace}-{span}-01") == read
    assert Parent.of(f"cc-{trace}-{span}-01-more") == read
    assert Parent.of(f"00-{trace}-{span}-02") == Parent(read.trace_id, read.span_id, sampled=False)
    for malformed in (
        None,
        f"00-{trace}-{span}",
        f"00-{trace.upper()}-{span}-01",
        f"00-{'0' * 32}-{span}-01",
        f"ff-{trace}-{span}-01",
        f"00-{trace}-{span}-01-more",
    ):
        assert Parent.of(malformed) is None
