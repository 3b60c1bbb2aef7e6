"""What a chat request gets: the virtual models and pass-through, whole."""

import threading

import pytest
from world import World

from monitoring.records.store import RecordStore

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


def ask(client, model, **fields):
    return client.post("/v1/chat/completions", json={"model": model, "messages": ASK, **fields})


def records(world: World) -> set[str]:
    return {record.id for record in RecordStore(world.home / "var" / "records.db").scan(0, 2**40)}


def test_one_llm_answers_routemoa_single(client) -> None:
    """routemoa-single is answered by one LLM, with its usage and the decision that chose it."""
    answer = ask(client, "routemoa-single").json()
    told = answer["routemoa"]
    assert answer["model"] == "routemoa-single"
    assert answer["choices"][0]["message"]["content"].startswith(f"{told['llm']} says:")
    assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert told["scorer_version"] == "1"
    assert told["layers"] == 1
    assert told["cost_usd"] > 0


def test_the_mixture_counts_everything_it_ran(client) -> None:
    """Routemoa runs several LLMs; usage and cost are of all of them, and explain shows the tree."""
    answer = ask(client, "routemoa", routemoa={"explain": True, "k": 2, "max_layers": 1}).json()
    told = answer["routemoa"]
    runs = [run for layer in told["decision"]["layers"] for run in layer["runs"]]
    extra = 1 if told["aggregation"] == "synthesise" else 0
    assert answer["usage"]["total_tokens"] == 15 * (len(runs) + extra)
    assert told["cost_usd"] == pytest.approx(told["decision"]["cost_usd"])
    assert set(told["scores"]) == set(World.roster)
    assert {"retired-one", "recorded-one", "stranger"} <= set(told["excluded"])


def test_pass_through_is_the_endpoints_own_answer(client) -> None:
    """A pool id passes the request through: the endpoint's fields stay, the scorer is not involved."""
    response = ask(client, "echo", seed=7, unknown_field={"kept": True})
    answer = response.json()
    assert answer["system_fingerprint"] == "fp"
    assert answer["model"] == "echo"
    assert answer["routemoa"]["scorer_version"] is None
    assert answer["routemoa"]["llm"] == "echo"
    assert response.headers["x-routemoa-decision"] == answer["routemoa"]["decision_id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]},
    ],
)
def test_what_no_synthesis_survives_goes_to_one_capable_llm(client, fields) -> None:
    """Tools, structured output and images are answered by one LLM that has the capability, even for the mixture."""
    answer = ask(client, "routemoa", **fields).json()
    assert answer["routemoa"]["asked"] == ["tooled"]
    assert answer["routemoa"]["aggregation"] == "single"
    if "tools" in fields:
        assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "add"
        assert answer["choices"][0]["finish_reason"] == "tool_calls"


def test_no_capable_llm_is_an_error(client) -> None:
    """Where no LLM may do what is asked, the request is refused with the reason for each."""
    tools = [{"type": "function", "function": {"name": "add"}}]
    response = ask(client, "routemoa", tools=tools, routemoa={"data_policy": ["local"]})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "no_capable_llm"
    assert "echo: calls no tools" in error["message"]
    assert "tooled: data policy" in error["message"]


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single"])
def test_a_policy_that_no_llm_has_is_an_error(client, model) -> None:
    """A plain question that nobody may be sent is refused, by the mixture too."""
    response = ask(client, model, routemoa={"data_policy": ["mars"]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "no_capable_llm"
    assert "echo: data policy" in response.json()["error"]["message"]


@pytest.mark.parametrize("model", ["routemoa", "routemoa-layers", "routemoa-single"])
def test_chat_and_route_refuse_alike(client, model) -> None:
    """The same words, with the reason of every LLM of the roster: those too that are retired, recorded or in no pool."""
    asked = {"model": model, "messages": ASK, "routemoa": {"data_policy": ["mars"]}}
    answers = [client.post("/v1/chat/completions", json=asked | {"stream": stream}) for stream in (False, True)]
    refused = [each.json() for each in (*answers, client.post("/v1/route", json=asked))]
    assert refused[0] == refused[1] == refused[2]
    message = refused[0]["error"]["message"]
    assert all(f"{llm}: " in message for llm in World.roster)
    assert "retired-one: retired; recorded-one: recorded, not served; stranger: not in the pool" in message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "limits"),
    [
        ("routemoa", {"data_policy": ["mars"]}),
        ("routemoa-single", {"data_policy": ["mars"]}),
        ("echo", {"data_policy": ["mars"]}),
        ("echo", {"budget_usd": 0.0}),
    ],
)
def test_what_is_refused_is_not_recorded(client, shared: World, model, limits, stream) -> None:
    """No LLM was asked, so it is no failed request: no record, and no decision to look up."""
    before = records(shared)
    refused = ask(client, model, routemoa=limits, stream=stream)
    assert (refused.status_code, records(shared)) == (400, before)
    assert "x-routemoa-decision" not in refused.headers


@pytest.mark.parametrize("model", ["routemoa", "hang"])
def test_what_failed_at_an_llm_is_recorded(client, shared: World, model) -> None:
    """A deadline that passed is a failed request, also where its LLM was named."""
    before = records(shared)
    failed = ask(client, model, routemoa={"deadline_s": 0.05 if model == "hang" else 1e-6})
    assert (failed.status_code, len(records(shared) - before)) == (504, 1)
    assert client.get(f"/v1/decisions/{failed.headers['x-routemoa-decision']}").json()["status"] == "error"


@pytest.mark.parametrize("model", ["retired-one", "recorded-one", "stranger", "routmoa"])
def test_an_llm_that_cannot_be_called_is_unknown(client, model) -> None:
    """Retired and recorded LLMs, and names nobody has, are 404 model_not_found; near names are named."""
    response = ask(client, model)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert response.json()["error"]["param"] == "model"
    if model == "routmoa":
        assert "Did you mean routemoa" in response.json()["error"]["message"]


def test_a_policy_and_a_budget_hold_for_pass_through_too(client) -> None:
    """Naming an LLM does not get around data policy or budget."""
    assert ask(client, "tooled", routemoa={"data_policy": ["local"]}).json()["error"]["code"] == "no_capable_llm"
    assert ask(client, "tooled", routemoa={"budget_usd": 0.0}).json()["error"]["code"] == "budget_exceeded"
    assert ask(client, "routemoa", routemoa={"budget_usd": 0.0}).json()["error"]["code"] == "budget_exceeded"


def test_waiting_for_the_scorer_counts(client) -> None:
    """A request that other queries keep from being scored past its deadline asks no LLM any more."""
    free = threading.Event()
    for _ in range(8):
        client.app.state.serving.scoring.submit(free.wait, 60)
    threading.Timer(0.6, free.set).start()
    late = ask(client, "routemoa-single", routemoa={"deadline_s": 0.5})
    assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")


def test_the_deadline_ends_a_request(client) -> None:
    """A request whose LLM hangs ends at its deadline with 504."""
    response = ask(client, "hang", routemoa={"deadline_s": 0.2})
    assert response.status_code == 504
    assert response.elapsed.total_seconds() < 0.7


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("down", 503, "llm_overloaded"), ("garbled", 502, "llm_garbled"), ("cut", 502, "llm_unreachable"), ("hang", 504, "llm_timed_out")],
)
def test_an_llms_failure_has_its_status(client, model, status, code) -> None:
    """What goes wrong at an LLM is told by status and code, never as a clean answer; the failure is recorded."""
    response = ask(client, model)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    record = client.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert record["status"] == "error"


def test_a_request_an_llm_refuses_is_the_callers_fault(client) -> None:
    """Where the endpoint says 400 to the request, so do we."""
    response = ask(client, "refuse")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "request_refused_by_llm"


def test_a_broken_llm_sinks_nothing(client) -> None:
    """Routed requests go on without LLMs that fail."""
    answers = [ask(client, "routemoa", routemoa={"max_layers": 1}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3


def test_options_narrow_and_never_widen(client) -> None:
    """What a request asks beyond the operator's setting has no effect or is refused, unknown keys of the namespace are refused by name."""
    wide = client.post("/v1/route", json={"messages": ASK, "routemoa": {"k": 99, "max_layers": 99}}).json()
    assert (wide["options"]["k"], wide["options"]["max_layers"]) == (1, 5)
    lighter = client.post("/v1/route", json={"messages": ASK, "routemoa": {"weights": {"usd": 0}}})
    assert (lighter.status_code, lighter.json()["error"]["param"]) == (400, "routemoa.weights.usd")
    narrow = client.post("/v1/route", json={"messages": ASK, "routemoa": {"max_layers": 2, "weights": {"usd": 99}}}).json()
    assert (narrow["options"]["max_layers"], narrow["options"]["weights"]["usd"]) == (2, 99)
    refused = ask(client, "routemoa", routemoa={"budget": 1})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "routemoa.budget"
    assert "budget_usd" in refused.json()["error"]["message"]


def test_route_decides_and_calls_nobody(client, shared: World) -> None:
    """/v1/route tells chosen, excluded and why; only LLMs of both roster and pool are ranked."""
    told = client.post("/v1/route", json={"model": "routemoa-single", "messages": ASK}).json()
    ranked = [each["llm"] for each in told["ranked"]]
    assert set(ranked) == {"echo", "slow", "tooled", "hang-routed", "down-routed"}
    assert len(told["chosen"]) == 1
    assert told["excluded"] == {"retired-one": "retired", "recorded-one": "recorded, not served", "stranger": "not in the pool"}
    assert told["chosen"][0] in told["explanation"]
