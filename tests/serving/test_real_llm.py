"""The whole way on real weights: a llama.cpp server, the server process, the official client."""

import socket
from collections.abc import Iterator

import pytest
from anthropic import Anthropic
from openai import OpenAI
from world import World, entry

from local import llama
from pipelines.errors import PipelineError

ASK = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project whose LLMs are SmolLM2 135M, asked in two ways."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("real")
    try:
        with llama.start("smollm2-135m", port) as server:
            roster = ("smol-direct", "smol-sentence")
            made = World(home / "project", server.base_url, roster=roster)
            patient = {"concurrency": 2, "connect_s": 5, "first_token_s": 60, "between_chunks_s": 30, "total_s": 90}
            ways = {"smol-direct": "Answer with the final answer only.", "smol-sentence": "Answer in one short sentence."}
            pool = {
                name: entry(server.base_url, "smollm2-135m", prompt={"system": system}, decoding={"max_tokens": 16}, limits=patient)
                for name, system in ways.items()
            }
            own = entry(server.base_url, "smollm2-135m", limits=patient)
            own["endpoint"]["dialects"] = ["chat", "messages"]  # llama.cpp speaks both
            made.write_pool({**pool, "smol-native": own})
            made.publish("1")
            yield made
    except PipelineError as exc:
        pytest.skip(f"the 135M weights cannot be fetched here: {exc}")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_real_llms_answer_through_every_model(real: World) -> None:
    """Whole and streamed, by mixture, single and pass-through, with usage, cost and a record each."""
    with real.served() as server:
        official = OpenAI(api_key=real.key, base_url=f"{server.url}/v1", max_retries=0)
        passed = official.chat.completions.create(model="smol-direct", messages=ASK, temperature=0)
        assert "Paris" in (passed.choices[0].message.content or "")
        chunks = list(
            official.chat.completions.create(
                model="routemoa-single", messages=ASK, stream=True, stream_options={"include_usage": True}, temperature=0
            )
        )
        assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens > 0
        mixed = official.chat.completions.create(model="routemoa", messages=ASK, extra_body={"routemoa": {"k": 2, "max_layers": 1}})
        told = mixed.model_extra["routemoa"]
        assert mixed.choices[0].message.content
        assert told["cost_usd"] > 0
        with server.client() as client:
            record = client.get(f"/v1/decisions/{told['decision_id']}").json()
        assert (record["status"], record["scorer_version"]) == ("ok", "1")
        assert record["decision"]["layers"][0]["runs"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_real_llms_answer_in_anthropics_dialect(real: World) -> None:
    """Translated for endpoints that speak chat, passed on to the one that speaks the dialect; usage and cost are there either way."""
    with real.served() as server:
        official = Anthropic(api_key=real.key, base_url=server.url, max_retries=0)
        for model in ("smol-direct", "routemoa-single", "smol-native"):
            asked = {"model": model, "max_tokens": 16, "messages": ASK, "extra_body": {"temperature": 0}}
            whole = official.messages.with_raw_response.create(**asked)
            answer = whole.parse()
            assert answer.content[0].text
            assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) > 10
            assert float(whole.headers["x-routemoa-cost-usd"]) > 0
            with official.messages.stream(**asked) as stream:
                streamed = stream.get_final_message()
            assert streamed.content[0].text
            assert streamed.usage.output_tokens > 0
            assert 5 < official.messages.count_tokens(model=model, messages=ASK).input_tokens < 100
            assert answer.model == ("smollm2-135m" if model == "smol-native" else model)
