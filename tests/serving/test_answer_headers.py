"""An answer's headers say who served it, what it cost and how it was chosen."""

import pytest

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]


@pytest.mark.parametrize(("model", "chosen_by"), [("echo", "name"), ("routemoa-single", "single")])
def test_a_whole_answer_says_it_all(client, model: str, chosen_by: str) -> None:
    """As the answer's own facts do."""
    response = client.post("/v1/chat/completions", json={"model": model, "messages": ASK})
    headers, facts = response.headers, response.json()["routemoa"]
    assert headers["x-routemoa-decision"] == facts["decision_id"]
    assert headers["x-routemoa-llm"] == facts["llm"]
    assert headers["x-routemoa-asked"] == ",".join(facts["asked"])
    assert float(headers["x-routemoa-cost-usd"]) == pytest.approx(facts["cost_usd"], abs=1e-9)
    assert headers["x-routemoa-chosen-by"] == chosen_by
    assert headers.get("x-routemoa-scorer") == facts["scorer_version"]


@pytest.mark.parametrize(("model", "said"), [("echo", {"x-routemoa-llm": "echo"}), ("routemoa", {"x-routemoa-scorer": "1"})])
def test_a_stream_says_at_its_head_what_is_known(client, model: str, said: dict[str, str]) -> None:
    """The rest is in its last event."""
    response = client.post("/v1/chat/completions", json={"model": model, "messages": ASK, "stream": True})
    assert said.items() <= dict(response.headers).items()
    assert "x-routemoa-cost-usd" not in response.headers
    assert '"cost_usd":' in response.text
