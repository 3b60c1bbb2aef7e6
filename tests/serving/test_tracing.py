"""Spans of real requests, as a real OTLP collector gets them; a collector that is dead or slow costs no request."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from collector import Collector, Taken, collecting
from faulty_upstream import traces
from routing_client import ready
from starlette.testclient import TestClient
from world import ROOT, World

from serving.app import create_app
from serving.errors import ServingError

TEXT = "what is the sum of 1 and 2 ?"
ASK = [{"role": "user", "content": TEXT}]
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ONE = {"max_layers": 1, "k": 1, "aggregation": "best"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches leave at once."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


@pytest.fixture
def traced(shared: World, collector: Collector) -> Iterator[TestClient]:
    """A server that sends its spans to `collector`."""
    yield from ready(shared)


def ask(client: TestClient, model: str, *, headers: dict[str, str] | None = None, **fields: object):
    return client.post("/v1/chat/completions", json={"model": model, "messages": ASK, **fields}, headers=headers)


def by_kind(spans: list[Taken]) -> tuple[Taken, dict[str, list[Taken]]]:
    """The gateway's span, and the others by the first word of their names."""
    (gateway,) = [each for each in spans if each.attributes.get("gen_ai.provider.name") == "routemoa"]
    others: dict[str, list[Taken]] = {}
    for each in spans:
        if each is not gateway:
            others.setdefault(each.name.split()[0], []).append(each)
    return gateway, others


def test_a_request_is_a_tree(traced: TestClient, collector: Collector) -> None:
    """The gateway, how it was routed, and a child for each call with tokens, cost and why it ended, each within its parent's time."""
    answer = ask(traced, "routemoa-single").json()
    spans = collector.wait_for(3)
    gateway, others = by_kind(spans)
    facts = answer["routemoa"]
    assert collector.resource["service.name"] == "routemoa"
    assert {each.trace for each in spans} == {gateway.trace}
    assert gateway.parent == ""
    assert gateway.attributes["gen_ai.request.model"] == "routemoa-single"
    assert gateway.attributes["gen_ai.response.model"] == facts["llm"]
    assert gateway.attributes["gen_ai.response.id"] == answer["id"]
    assert gateway.attributes["routemoa.decision_id"] == facts["decision_id"]
    assert gateway.attributes["routemoa.cost_usd"] == facts["cost_usd"]
    answered = [each for each in others["chat"] if each.attributes["routemoa.ended_because"] == "answered"]
    (call,) = answered
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "127.0.0.1",
        "gen_ai.request.model": facts["llm"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.id": "up-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "routemoa.llm": facts["llm"],
        "routemoa.layer": 1,
    }
    assert expected.items() <= call.attributes.items()
    assert call.attributes["routemoa.cost_usd"] > 0
    (route,) = others["route"]
    assert route.attributes["routemoa.scorer_version"] == "1"
    for each in (call, route):
        assert each.parent == gateway.id
        assert gateway.start_ns <= each.start_ns <= each.end_ns <= gateway.end_ns
    assert call.start_ns >= route.end_ns - 1_000_000


def test_layers_judges_and_aggregation_are_spans(traced: TestClient, collector: Collector) -> None:
    """Each call is in its layer; what made one answer of several has its own span, with the aggregator's call below it."""
    answer = ask(traced, "routemoa-layers", routemoa={"max_layers": 2, "aggregation": "synthesise", "explain": True}).json()
    decision = answer["routemoa"]["decision"]
    runs = [run for layer in decision["layers"] for run in layer["runs"]]
    gateway, others = by_kind(collector.wait_for(3 + len(runs)))
    called = [each for each in others["chat"] if each.attributes["routemoa.ended_because"] == "answered"]
    layers = sorted(each.attributes["routemoa.layer"] for each in called)
    assert layers == sorted(
        [at for at, layer in enumerate(decision["layers"], start=1) for _ in layer["runs"]] + [0] * bool(decision["synthesis"])
    )
    (aggregation,) = others["aggregate"]
    assert aggregation.attributes["routemoa.aggregation"] == answer["routemoa"]["aggregation"]
    assert [each.parent for each in called if each.attributes["routemoa.layer"] == 0] == [aggregation.id] * bool(decision["synthesis"])
    assert gateway.attributes["gen_ai.usage.output_tokens"] == 5 * len(called)


def test_a_failed_call_says_why_it_ended(traced: TestClient, collector: Collector) -> None:
    """The request fails with the LLM it names: both spans are errors, with the class; the endpoint's words are in neither."""
    assert ask(traced, "down").status_code == 503
    spans = collector.wait_for(2)
    gateway, others = by_kind(spans)
    last = max(others["chat"], key=lambda each: each.end_ns)
    assert gateway.error
    assert last.error
    assert gateway.attributes["error.type"] == last.attributes["routemoa.ended_because"] == "LLMOverloaded"
    assert last.attributes["http.response.status_code"] == 500
    assert "on fire" not in str(spans)
    assert len(others["chat"]) == 3  # attempts
    in_order = sorted(others["chat"], key=lambda each: each.end_ns)
    assert all(one.end_ns <= other.start_ns + 1_000_000 for one, other in pairwise(in_order))


def test_a_stream_that_breaks_is_an_error(traced: TestClient, collector: Collector) -> None:
    """Also where its status was 200 already."""
    assert "llm_unreachable" in ask(traced, "cut", stream=True).text
    gateway, others = by_kind(collector.wait_for(2))
    assert gateway.error
    assert gateway.attributes["gen_ai.request.stream"] is True
    assert others["chat"][-1].attributes["routemoa.ended_because"] == "LLMUnreachable"


@pytest.mark.parametrize("stream", [False, True])
def test_the_callers_trace_goes_on_and_out_to_endpoints(traced: TestClient, collector: Collector, stream: bool) -> None:
    """`traceparent` in: the same trace, below the caller's span. Out: each call names its own span as the parent."""
    traces.clear()
    ask(traced, "echo", headers={"traceparent": CALLER}, stream=stream)
    gateway, others = by_kind(collector.wait_for(2))
    assert (gateway.trace, gateway.parent) == (CALLER.split("-")[1], CALLER.split("-")[2])
    (call,) = others["chat"]
    assert traces == [f"00-{call.trace}-{call.id}-01"]


@pytest.mark.parametrize("header", ["", "garbage", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + CALLER[2:]])
def test_a_malformed_traceparent_begins_a_trace_of_ours(traced: TestClient, collector: Collector, header: str) -> None:
    """As the standard has it."""
    assert ask(traced, "echo", headers={"traceparent": header}).status_code == 200
    gateway, _ = by_kind(collector.wait_for(2))
    assert gateway.parent == ""
    assert re.fullmatch("[0-9a-f]{32}", gateway.trace)


def test_a_trace_that_its_caller_does_not_keep_is_not_sent(traced: TestClient, collector: Collector) -> None:
    """The flag goes out as it came in; the next request is sent as ever."""
    traces.clear()
    ask(traced, "echo", headers={"traceparent": f"{CALLER[:-2]}00"})
    assert traces[0].endswith("-00")
    ask(traced, "echo")
    spans = collector.wait_for(2)
    assert CALLER.split("-")[1] not in {each.trace for each in spans}


def test_no_words_unless_asked_for(traced: TestClient, collector: Collector) -> None:
    """By default neither prompt nor answer is in a span."""
    ask(traced, "routemoa-single")
    assert TEXT not in str(collector.wait_for(3))


def test_words_where_they_are_asked_for(shared: World, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variable puts them in, redacted, in the conventions' form."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    for client in ready(shared):
        client.post(
            "/v1/chat/completions", json={"model": "echo", "messages": [{"role": "user", "content": f"{TEXT} Ask ann@example.org"}]}
        )
        gateway, others = by_kind(collector.wait_for(2))
        (turn,) = json.loads(gateway.attributes["gen_ai.input.messages"])
        assert turn == {"role": "user", "parts": [{"type": "text", "content": f"{TEXT} Ask [email]"}]}
        for each in (gateway, *others["chat"]):
            (said,) = json.loads(each.attributes["gen_ai.output.messages"])
            assert said["parts"][0]["content"].startswith(f"echo says: {TEXT}")
            assert "ann@" not in str(each)


@pytest.mark.parametrize(("status", "takes_s"), [(503, 0.0), (200, 0.5)])
def test_a_collector_that_is_down_or_slow_costs_no_request(
    shared: World, collector: Collector, monkeypatch: pytest.MonkeyPatch, status: int, takes_s: float
) -> None:
    """Answers come as ever, what cannot wait is dropped and counted, and the worker stops in time."""
    collector.status, collector.takes_s = status, takes_s
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    for client in ready(shared):
        assert {ask(client, "echo").status_code for _ in range(40)} == {200}
        counted = dict(re.findall(r'routemoa_spans_total{result="(\w+)"} ([\d.]+)', client.get("/metrics").text))
        assert float(counted["dropped"]) > 0
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 30


def test_nobody_listens(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that is not there is no reason not to start, answer or stop."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    for client in ready(shared):
        assert ask(client, "echo").status_code == 200


def test_a_worker_that_sends_nothing_has_no_sdk(world: World, tmp_path) -> None:
    """Without an endpoint the SDK is not imported, nor the exporter; starlette's own API package aside."""
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import sys\nfrom serving.app import create_app\nfrom serving.settings import ServingSettings\n"
        "create_app(ServingSettings(_env_file=None))\n"
        "print(sorted(each for each in sys.modules if each.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": str(world.home)}
    environment.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    done = subprocess.run([sys.executable, str(probe)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_the_standard_variables_turn_it_off(
    shared: World, collector: Collector, monkeypatch: pytest.MonkeyPatch, off: dict[str, str]
) -> None:
    """Whatever the endpoint is."""
    for name, value in off.items():
        monkeypatch.setenv(name, value)
    for client in ready(shared):
        ask(client, "echo")
    assert collector.spans == []


def test_another_protocol_is_refused_at_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than sent to where nobody reads it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ServingError, match="not grpc"):
        create_app(world.settings())
