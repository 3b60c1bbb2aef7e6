"""The mixture over HTTP against a real llama.cpp server with the smallest weights."""

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from local import llama
from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Chunk
from mixture.decision import Decision
from mixture.errors import NoAnswer
from mixture.llm import LLM, Decoding, Endpoint, Prompt
from mixture.price import Price
from mixture.run.engine import Mixture
from mixture.run.request import Request

pytestmark = pytest.mark.slow
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTEMOA_HOME", str(tmp_path_factory.mktemp("var")))
        with llama.start("smollm2-135m", free_port()) as server:
            yield server.base_url


@pytest.fixture
def pool(base_url: str) -> list[Candidate]:
    """The same weights asked in two ways, and an endpoint where nobody listens."""

    def entry(name: str, url: str, system: str) -> LLM:
        return LLM(name, name, Price(1.0, 2.0), Endpoint(url, "smollm2-135m"), Prompt(system), Decoding(0.0, 24, 0), context_window=2048)

    gone = entry("gone", f"http://127.0.0.1:{free_port()}/v1", "")
    direct, polite = entry("direct", base_url, "Answer in one short sentence."), entry("polite", base_url, "You are polite. Be brief.")
    return [Candidate(gone, 0.9), Candidate(direct, 0.5), Candidate(polite, 0.4)]


def test_a_layer_of_real_llms_goes_on_without_the_broken_one(pool: list[Candidate]) -> None:
    """Two real answers and one dead endpoint: an answer, true token counts, the failure written down, no trailer in the text."""

    async def go() -> None:
        async with OpenAIClient(attempts=1) as client:
            options = Options(max_layers=2, aggregation="best", weights=Weights(usd=0, second=0), deadline=time.monotonic() + 120)
            decision = await Mixture(client).answer(Request(QUESTION, pool, options, Layered(order="value")))
        assert decision.text
        assert "CONFIDENCE:" not in decision.text
        assert [each.llm for each in decision.failures] == ["gone"]
        assert {run.llm for run in decision.layers[0].runs} == {"direct", "polite"}
        runs = [run for layer in decision.layers for run in layer.runs]
        assert all(run.input_tokens > 10 and 0 < run.output_tokens <= 24 for run in runs)
        assert decision.cost_usd == pytest.approx(sum(run.input_tokens + 2 * run.output_tokens for run in runs) / 1e6)

    asyncio.run(go())


def test_a_real_llm_keeps_to_the_form_and_its_answer_comes_out_of_it(pool: list[Candidate]) -> None:
    """The smallest weights judge in structured output: a score within bounds from everybody with room for it, no JSON in the text."""
    roomy = [
        replace(each, llm=replace(each.llm, self_assessment="json_schema", decoding=Decoding(0.0, 200, 0)))
        for each in pool
        if each.llm.id != "gone"
    ]

    async def go() -> Decision:
        async with OpenAIClient(attempts=1) as client:
            options = Options(max_layers=2, aggregation="best", weights=Weights(usd=0, second=0), deadline=time.monotonic() + 240)
            return await Mixture(client).answer(Request(QUESTION, roomy, options, Layered(stop_threshold=1.1)))

    decision = asyncio.run(go())
    runs = [run for layer in decision.layers for run in layer.runs]
    assert len(decision.layers) == 2
    assert all(run.text and '"answer"' not in run.text for run in runs)
    whole = [run for run in runs if run.finish_reason == "stop"]
    assert whole
    assert all(run.self_score is not None and 0 <= run.self_score <= 1 for run in whole)
    assert all(set(run.peer_scores) <= {"direct", "polite"} for run in decision.layers[1].runs)


def test_one_real_llm_streams_after_the_broken_one_is_passed_over(pool: list[Candidate]) -> None:
    """The first in the ranking is dead; the next one's chunks pass through and join to its reply."""
    chunks: list[Chunk] = []

    async def emit(chunk: Chunk) -> None:
        chunks.append(chunk)

    async def go() -> Decision:
        async with OpenAIClient(attempts=1) as client:
            fields = {"max_tokens": 12, "ignore_eos": True}
            return await Mixture(client).answer(Request(QUESTION, pool, Options().as_single(), fields=fields), emit)

    decision = asyncio.run(go())
    assert (decision.llm, decision.output_tokens) == ("direct", 12)
    assert len(chunks) > 5
    assert "".join(chunk.text for chunk in chunks) == decision.text
    assert decision.reply is not None
    assert decision.reply.raw["choices"][0]["message"]["content"] == decision.text


def test_a_deadline_holds_over_a_real_connection(pool: list[Candidate]) -> None:
    """A generation that would take long is left at the deadline."""
    long = {"max_tokens": 1500, "ignore_eos": True}

    async def go() -> float:
        async with OpenAIClient(attempts=1) as client:
            started = time.monotonic()
            with pytest.raises(NoAnswer, match="deadline"):
                await Mixture(client).answer(Request(QUESTION, pool[1:], Options(deadline=started + 0.6), Layered(order="value"), long))
            return time.monotonic() - started

    assert asyncio.run(go()) < 1.6  # two busy cores may delay the loop itself
