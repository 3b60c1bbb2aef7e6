"""An endpoint that speaks the caller's dialect gets the request as it was written, and its answer comes back as it is."""

import json

import pytest
from openai import OpenAI
from routing_client import ready
from starlette.testclient import TestClient
from vendor import Vendor
from vendor_world import PRICES, VendorWorld

from serving.access import keys

ODD = {
    "model": "native",
    "input": [{"role": "user", "content": "what is it ?"}, {"type": "web_search_call", "id": "ws_1", "action": {"url": "https://x"}}],
    "tools": [{"type": "web_search", "search_context_size": "low"}],
    "include": ["web_search_call.action.sources"],
    "context_management": [{"type": "compaction"}],
    "truncation": "auto",
    "store": False,
}


def test_the_request_is_unchanged_but_for_the_name(served: TestClient, vendor: Vendor) -> None:
    """Also what nobody here knows; our own options do not leave, and nothing of the pool entry's is added."""
    response = served.post("/v1/responses", json={**ODD, "routemoa": {"domain": "odd"}})
    assert response.status_code == 200, response.text
    assert vendor.last("responses") == {**ODD, "stream": False}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": "https://10.0.0.1/x"}},
        {"type": "something_new", "where": {"url": "file:///etc/passwd"}},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://10.0.0.1/x"}]},
        {"type": "item_reference", "id": "msg_of_somebody"},
    ],
)
def test_no_address_is_passed_on(served: TestClient, vendor: Vendor, item: dict) -> None:
    """However much else is, and no item that lies at the vendor: it may be another caller's."""
    asked = len(vendor.asked)
    response = served.post("/v1/responses", json={"model": "native", "input": [item]})
    assert (response.status_code, response.json()["error"]["param"].split(".")[:2]) == (400, ["input", "0"])
    assert len(vendor.asked) == asked


@pytest.mark.parametrize("tool", [{"type": "mcp", "server_label": "x", "server_url": "https://10.0.0.1/"}])
def test_no_tool_names_one(served: TestClient, tool: dict) -> None:
    """An endpoint is sent nowhere by a caller."""
    response = served.post("/v1/responses", json={"model": "native", "input": "x", "tools": [tool]})
    assert response.status_code == 400, response.text
    assert "address" in response.json()["error"]["message"]


@pytest.mark.parametrize("fields", [{"background": True}, {"conversation": "conv_of_somebody"}])
def test_what_would_be_nobodys_is_refused(served: TestClient, fields: dict) -> None:
    """An answer that no record waits for, and a conversation that lies at the vendor."""
    response = served.post("/v1/responses", json={"model": "native", "input": "x", **fields})
    assert (response.status_code, response.json()["error"]["param"]) == (400, next(iter(fields)))


def test_the_answer_is_unchanged(served: TestClient, vendor: Vendor) -> None:
    """Whole: the vendor's own JSON; who asks for an explanation gets it beside that."""
    body = served.post("/v1/responses", json={"model": "native", "input": "what is it ?"}).json()
    assert body["vendors_own"] == {"kept": True}
    assert body["model"] == "v-2026"
    assert "routemoa" not in body
    explained = served.post("/v1/responses", json={"model": "native", "input": "x", "routemoa": {"explain": True}}).json()
    assert explained["routemoa"]["llm"] == "native"
    assert explained["vendors_own"] == {"kept": True}


def test_the_stream_is_unchanged(served: TestClient, vendor: Vendor) -> None:
    """Event for event, those that nobody here knows too."""
    asked = {"model": "native", "input": [{"role": "user", "content": "what is it ?"}], "stream": True}
    response = served.post("/v1/responses", json=asked)
    got = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if line.startswith("data: ")]
    assert [each["sequence_number"] for each in got] == list(range(len(got)))
    assert "response.vendors_own" in {each["type"] for each in got}
    assert got[-1]["type"] == "response.completed"
    assert got[-1]["response"]["vendors_own"] == {"kept": True}
    assert response.headers["x-routemoa-llm"] == "native"


@pytest.mark.parametrize("stream", [False, True])
def test_its_cost_is_charged_and_its_record_kept(served: TestClient, vendor: Vendor, stream: bool) -> None:
    """By the vendor's count, cached tokens at their price."""
    counted = len(vendor.counted)
    response = served.post("/v1/responses", json={"model": "native", "input": "what is the sum of 1 and 2 ?", "stream": stream})
    assert response.status_code == 200
    ((_, read, cached, written, _),) = vendor.counted[counted:]
    price = PRICES["native"]
    cost = ((read - cached) * price["input"] + cached * price["cache_read"] + written * price["output"]) / 1e6
    record = served.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert record["cost_usd"] == pytest.approx(cost)
    assert (record["status"], record["llm"], record["input_tokens"], record["output_tokens"]) == ("ok", "native", read, written)


def test_a_prompt_of_the_pool_entry_is_kept(served: TestClient, vendor: Vendor) -> None:
    """An LLM that is asked in its own way is asked through chat completions, where that way can be added."""
    assert served.post("/v1/responses", json={"model": "prompted", "input": "hello"}).status_code == 200
    assert vendor.asked[-1][0] == "chat"
    assert vendor.last("chat")["messages"][0] == {"role": "system", "content": "You are terse."}


def test_the_vendor_keeps_what_it_keeps(official: OpenAI, vendor: Vendor) -> None:
    """It gets its own id back; another LLM gets the items, without what was thought at the vendor's."""
    first = official.responses.create(model="native", input="my word is xyzzy")
    official.responses.create(model="native", input="go on", previous_response_id=first.id)
    assert vendor.last("responses")["previous_response_id"] == first.id
    assert vendor.last("responses")["input"] == "go on"
    other = official.responses.create(model="plain", input="my word is quux")
    official.responses.create(model="native", input="go on", previous_response_id=other.id)
    sent = vendor.last("responses")
    assert "previous_response_id" not in sent
    assert [item.get("type", "message") for item in sent["input"]] == ["message", "message", "message"]


def test_a_failure_before_the_first_word_has_its_status(served: TestClient) -> None:
    """The vendor's complaint, with its code and field."""
    error = served.post("/v1/responses", json={"model": "refusing", "input": "x", "stream": True})
    assert error.status_code == 400
    assert (error.json()["error"]["code"], error.json()["error"]["param"]) == ("odd", "input")


def test_a_failure_inside_the_stream_is_a_failed_response(served: TestClient, vendor: Vendor) -> None:
    """Told as one, an error event after it, no clean end; what the vendor counted is charged."""
    response = served.post("/v1/responses", json={"model": "breaking", "input": "what is it ?", "stream": True})
    got = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if line.startswith("data: ")]
    assert [each["type"] for each in got[-2:]] == ["response.failed", "error"]
    assert got[-2]["response"]["id"] == got[0]["response"]["id"]
    assert [each["sequence_number"] for each in got] == list(range(len(got)))
    record = served.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert record["status"] == "error"
    assert record["cost_usd"] > 0


@pytest.mark.parametrize(("model", "code"), [("cutting", "llm_unreachable"), ("stalling", "llm_timed_out")])
def test_a_stream_that_breaks_off_never_looks_complete(served: TestClient, model: str, code: str) -> None:
    """One that ends too early, one that says nothing more: a failed response, an error event, a record of at most what it may cost."""
    response = served.post("/v1/responses", json={"model": model, "input": "what is it ?", "stream": True})
    got = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if line.startswith("data: ")]
    assert [each["type"] for each in got[-2:]] == ["response.failed", "error"]
    assert got[-1]["code"] == code
    assert not {"response.completed", "response.incomplete"} & {each["type"] for each in got}
    record = served.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert record["status"] == "error"
    assert record["decision"]["unsettled_usd"] > 0


def test_a_deadline_of_the_caller_holds(served: TestClient) -> None:
    """Before anything was sent it is a status."""
    asked = {"model": "native", "input": "x", "routemoa": {"deadline_s": 1e-6}}
    response = served.post("/v1/responses", json=asked)
    assert response.status_code in {400, 504}, response.text
    assert response.json()["error"]["code"] in {"deadline_exceeded", "llm_timed_out", "no_capable_llm"}


@pytest.mark.parametrize("model", ["native", "plain"])
def test_a_stream_whose_record_is_lost_is_not_complete(served: TestClient, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """What is not durable is not acknowledged, whoever wrote the events."""
    with monkeypatch.context() as patched:
        patched.setattr(served.app.state.serving.records._writer, "_closed", True)  # type: ignore[attr-defined]
        response = served.post("/v1/responses", json={"model": model, "input": "what is it ?", "stream": True})
    assert "response.completed" not in response.text
    assert '"code":"record_not_kept"' in response.text


@pytest.fixture
def only_native(served: TestClient, project: VendorWorld) -> dict[str, str]:
    """The header of a key that may use one LLM: then a virtual model chooses that."""
    name = f"native-only-{len(keys.read(project.settings().keys_file).entries)}"
    key = keys.create(project.settings().keys_file, name, ("chat",), llms=("native",))
    header = {"Authorization": f"Bearer {key}"}
    import time

    give_up = time.monotonic() + 20
    while served.get("/v1/models", headers=header).status_code != 200:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return header


@pytest.mark.parametrize("stream", [False, True])
def test_a_virtual_model_passes_on_to_the_llm_it_chooses(
    served: TestClient, vendor: Vendor, only_native: dict[str, str], stream: bool
) -> None:
    """Where one LLM answers alone; chosen by its score, recorded with it."""
    asked = {"model": "routemoa-single", "input": "what is it ?", "stream": stream}
    response = served.post("/v1/responses", json=asked, headers=only_native)
    assert response.status_code == 200, response.text
    assert vendor.last("responses") == {**asked, "model": "native"}
    assert "vendors_own" in response.text
    record = served.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert (record["llm"], record["scorer_version"]) == ("native", "1")


def test_a_mixture_asks_in_its_own_words(served: TestClient, vendor: Vendor, only_native: dict[str, str]) -> None:
    """LLMs that see each other's answers are asked through chat completions."""
    response = served.post("/v1/responses", json={"model": "routemoa-layers", "input": "what is it ?"}, headers=only_native)
    assert response.status_code == 200, response.text
    assert vendor.asked[-1][0] == "chat"


def test_a_budget_counts_what_it_may_write(project: VendorWorld, vendor: Vendor) -> None:
    """Without a limit of the caller's it may write its whole window, and so much is held; with one it is within the budget."""
    key = keys.create(project.settings().keys_file, "poor", ("chat",), usd_per_day=0.1)
    header = {"Authorization": f"Bearer {key}"}
    for client in ready(project):
        assert (
            client.post("/v1/responses", json={"model": "native", "input": "x"}, headers=header).json()["error"]["code"]
            == "insufficient_quota"
        )
        limited = client.post("/v1/responses", json={"model": "native", "input": "x", "max_output_tokens": 50}, headers=header)
        assert limited.status_code == 200, limited.text
        assert vendor.last("responses")["max_output_tokens"] == 50


def test_an_effort_of_the_pool_entry_is_kept(served: TestClient, vendor: Vendor) -> None:
    """An LLM that thinks as hard as its entry says is asked where that can be said."""
    assert served.post("/v1/responses", json={"model": "hard", "input": "hello"}).status_code == 200
    assert vendor.asked[-1][0] == "chat"
    assert vendor.last("chat")["reasoning_effort"] == "high"
