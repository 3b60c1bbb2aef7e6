"""A decision stands as a tree of spans in a real MLflow server, which takes them by its own OTLP address."""

import time

import pytest
from mlflow import MlflowClient
from mlflow.entities import Trace
from world import World

from tests.mlflow_server import MLflow

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


@pytest.fixture
def experiment(mlflow: MLflow) -> tuple[MlflowClient, str]:
    """A client, and where traces go."""
    client = MlflowClient(tracking_uri=mlflow.url)
    return client, client.create_experiment(f"traffic-{time.time_ns()}")


def kept(client: MlflowClient, experiment: str) -> Trace:
    """The one trace, once MLflow has it."""
    give_up = time.monotonic() + 120
    while not (found := client.search_traces(locations=[experiment])):
        assert time.monotonic() < give_up, "MLflow has no trace"
        time.sleep(0.2)
    (trace,) = found
    return trace


@pytest.mark.slow
def test_a_decision_stands_as_a_tree_in_mlflow(world: World, mlflow: MLflow, experiment: tuple[MlflowClient, str]) -> None:
    """Read back by MLflow's client: the gateway at the root, its calls below with tokens, chat spans by type, no token counted twice."""
    client, where = experiment
    environment = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{mlflow.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-mlflow-experiment-id={where}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with world.served(**environment) as server:
        asked = {"model": "routemoa-layers", "messages": ASK, "routemoa": {"max_layers": 1, "aggregation": "synthesise"}}
        with server.client() as http:
            answer = http.post("/v1/chat/completions", json=asked).json()
        trace = kept(client, where)
    spans = {span.span_id: span for span in trace.data.spans}
    (root,) = [span for span in spans.values() if span.parent_id is None]
    calls = [span for span in spans.values() if span.attributes.get("routemoa.ended_because") == "answered"]
    assert root.name == "chat routemoa-layers"
    assert root.attributes["routemoa.decision_id"] == answer["routemoa"]["decision_id"]
    assert len(calls) == len(answer["routemoa"]["asked"]) + (answer["routemoa"]["aggregation"] == "synthesise")
    assert {span.span_type for span in calls} == {"CHAT_MODEL"}
    assert all(span.parent_id in spans for span in spans.values() if span is not root)
    assert all(spans[span.parent_id].name.startswith("aggregate") or spans[span.parent_id] is root for span in calls)
    assert trace.info.token_usage["total_tokens"] == answer["usage"]["total_tokens"]
    assert trace.info.execution_duration > 0
    assert not any(ASK[0]["content"] in str(span.attributes) for span in spans.values())
