"""Embeddings and older completions go to the LLM that they name, and are recorded and charged."""

import openai
import pytest
from openai import OpenAI
from starlette.testclient import TestClient
from vendor import Vendor
from vendor_world import PRICES


@pytest.mark.parametrize("texts", ["one text", ["one text", "another"], [[1, 2, 3], [4]]])
@pytest.mark.parametrize("llm", ["plain", "prompted"])
def test_embeddings(official: OpenAI, vendor: Vendor, llm: str, texts) -> None:
    """One vector a text; the endpoint gets what was written. A prompt of the pool entry is for chats."""
    answer = official.embeddings.create(model=llm, input=texts, dimensions=2, encoding_format="float")
    assert len(answer.data) == (len(texts) if isinstance(texts, list) else 1)
    assert answer.data[-1].embedding == [0.5, len(answer.data) - 1]
    assert vendor.last("embeddings")["input"] == texts
    assert vendor.last("embeddings")["dimensions"] == 2


def test_embeddings_are_charged(served: TestClient) -> None:
    """By what was read; nothing is written."""
    response = served.post("/v1/embeddings", json={"model": "plain", "input": "one text of five words"})
    record = served.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert record["cost_usd"] == pytest.approx(5 * PRICES["plain"]["input"] / 1e6)
    assert (record["output_tokens"], record["status"]) == (0, "ok")
    assert float(response.headers["x-routemoa-cost-usd"]) == pytest.approx(record["cost_usd"])


@pytest.mark.parametrize("include_usage", [False, True])
def test_completions(official: OpenAI, vendor: Vendor, include_usage: bool) -> None:
    """Whole and streamed; the usage comes to those who ask for it."""
    whole = official.completions.create(model="plain", prompt="once upon", max_tokens=9)
    assert (whole.choices[0].text, whole.usage.completion_tokens) == ("and once upon", 3)
    assert vendor.last("completions") == {"model": "plain", "prompt": "once upon", "max_tokens": 9, "stream": False}
    chunks = list(
        official.completions.create(model="plain", prompt="once upon", stream=True, stream_options={"include_usage": include_usage})
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "and once upon"
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == ([3] if include_usage else [])


def test_completions_are_charged(served: TestClient) -> None:
    """A stream, too."""
    response = served.post("/v1/completions", json={"model": "plain", "prompt": "two words", "stream": True})
    assert response.text.endswith("data: [DONE]\n\n")
    record = served.get(f"/v1/decisions/{response.headers['x-routemoa-decision']}").json()
    assert record["cost_usd"] == pytest.approx((2 * PRICES["plain"]["input"] + 3 * PRICES["plain"]["output"]) / 1e6)


@pytest.mark.parametrize("model", ["routemoa", "routemoa-single", "nobody"])
def test_nobody_chooses(official: OpenAI, model: str) -> None:
    """Virtual models give none, and unknown names are not found."""
    raised = openai.NotFoundError if model == "nobody" else openai.BadRequestError
    with pytest.raises(raised, match="model"):
        official.embeddings.create(model=model, input="x")
    with pytest.raises(raised, match="model"):
        official.completions.create(model=model, prompt="x")


@pytest.mark.parametrize("what", ["embeddings", "completions"])
def test_an_unknown_name_is_answered_with_llms_alone(served: TestClient, what: str) -> None:
    """Virtual models give none, so they are no advice."""
    response = served.post(f"/v1/{what}", json={"model": "text-embedding-3-small", "input": "x", "prompt": "x"})
    message = response.json()["error"]["message"]
    assert (response.status_code, "routemoa" in message) == (404, False)
    assert message.endswith(f"Add an LLM to the pool whose endpoint offers {what}.")


@pytest.mark.parametrize("body", [{"input": []}, {"input": 3}, {"input": [True]}, {"input": [[]]}, {}, {"input": [{"text": "x"}]}])
def test_what_is_no_text_is_refused(served: TestClient, body: dict) -> None:
    """Before anybody is asked."""
    response = served.post("/v1/embeddings", json={"model": "plain", **body})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")
