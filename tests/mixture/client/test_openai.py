"""The OpenAI client against real HTTP that behaves, misbehaves and hangs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx2
import pytest
import stamina

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.client.httpx_errors import TRANSLATED, translate
from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Call, Chunk, Reply
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused, LLMSetAside, LLMTimedOut, LLMUnreachable
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.client.misbehaving import STREAM, Asked, Handler, completion, delta, event, llm, response, serving, usage

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(autouse=True)
def _short_waits() -> None:
    """Retries wait no time in tests, but do happen."""
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


def sends(*answers: bytes) -> Handler:
    """A handler that sends the n-th of `answers` to the n-th request, the last one from then on, and hangs up after streams."""

    async def handler(writer: asyncio.StreamWriter, number: int) -> None:
        answer = answers[min(number, len(answers) - 1)]
        writer.write(answer)
        await writer.drain()
        if answer.startswith(STREAM) or not answer:
            writer.close()

    return handler


async def hangs(writer: asyncio.StreamWriter, _: int) -> None:
    await asyncio.sleep(30)


def with_server(handler: Handler, scenario: Callable[[Asked, OpenAIClient], Awaitable[None]], **client: float) -> None:
    async def run() -> None:
        async with serving(handler) as asked, OpenAIClient(**client) as asking:
            await asyncio.wait_for(scenario(asked, asking), 20)

    asyncio.run(run())


def ask_once(handler: Handler, **limits: float) -> Reply:
    replies: list[Reply] = []

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        replies.append(await client.ask(Call(llm(asked.url, **limits), QUESTION)))

    with_server(handler, scenario)
    return replies[0]


def stream_once(handler: Handler, **limits: float) -> list[Chunk]:
    chunks: list[Chunk] = []

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        chunks.extend([chunk async for chunk in client.stream(Call(llm(asked.url, **limits), QUESTION))])

    with_server(handler, scenario)
    return chunks


def test_reply_is_priced_and_timed() -> None:
    """A reply carries text, usage, cost by the LLM's price, latency and the mean log-probability."""
    logprobs = {"content": [{"token": "Pa", "logprob": -0.2}, {"token": "ris", "logprob": -0.4}]}
    reply = ask_once(sends(response(completion(logprobs=logprobs))))
    assert (reply.llm, reply.text, reply.finish_reason) == ("tested", "Paris", "stop")
    assert (reply.input_tokens, reply.output_tokens) == (10, 2)
    assert reply.cost_usd == pytest.approx((10 * 1.0 + 2 * 10.0) / 1e6)
    assert reply.mean_logprob == pytest.approx(-0.3)
    assert 0 < reply.latency_s < 5
    assert reply.raw["id"] == "c-1"


def test_prompt_style_and_decoding_are_sent_and_options_override() -> None:
    """The LLM's system text and decoding go out; what the caller asks for wins over decoding, never over the served name."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        await client.ask(Call(llm(asked.url), QUESTION))
        await client.ask(Call(llm(asked.url), QUESTION, {"max_completion_tokens": 99, "temperature": 0.0, "model": "other", "tools": []}))
        first, second = asked.bodies
        assert first["messages"] == [{"role": "system", "content": "Be brief."}, *QUESTION]
        assert (first["model"], first["temperature"], first["max_tokens"], first["seed"], first["stream"]) == ("served", 0.5, 7, 3, False)
        assert (second["model"], second["temperature"], second["max_completion_tokens"], second["tools"]) == ("served", 0.0, 99, [])
        assert "max_tokens" not in second
        await client.ask(Call(llm(asked.url), QUESTION, {"max_completion_tokens": 99, "max_tokens": 5}))
        assert (asked.bodies[2]["max_completion_tokens"], "max_tokens" in asked.bodies[2]) == (99, False)

    with_server(sends(response(completion())), scenario)


def test_key_is_sent_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from the named variable, reaches the endpoint, and is cut out of a refusal that repeats it."""
    monkeypatch.setenv("TESTED_KEY", "sk-very-secret")

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMRefused, match=r"HTTP 401: Incorrect API key: \[key\]") as caught:
            await client.ask(Call(llm(asked.url, api_key_env="TESTED_KEY"), QUESTION))
        assert "secret" not in str(caught.value)
        assert asked.headers[0]["Authorization"] == "Bearer sk-very-secret"

    with_server(sends(response({"error": {"message": "Incorrect API key: sk-very-secret"}}, status=401)), scenario)


def test_unset_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its key variable an LLM is refused before anything is sent, and the message names the variable."""
    monkeypatch.delenv("TESTED_KEY", raising=False)

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMRefused, match="TESTED_KEY is not set"):
            await client.ask(Call(llm(asked.url, api_key_env="TESTED_KEY"), QUESTION))
        assert asked.bodies == []

    with_server(sends(response(completion())), scenario)


@pytest.mark.parametrize(
    ("answer", "error", "says", "calls"),
    [
        (response({"error": {"message": "slow down"}}, status=429), LLMOverloaded, "slow down", 3),
        (response(b"upstream", status=503), LLMOverloaded, "HTTP 503: 'upstream'", 3),
        (response({"error": {"message": "context too long"}}, status=400), LLMRefused, "context too long", 1),
        (response({"error": {"message": "no such model"}}, status=404), LLMRefused, "no such model", 1),
        (response(b"", status=302, Location="http://elsewhere/"), LLMRefused, "redirects are not followed", 1),
        (response(b"<html>hello</html>"), LLMGarbled, "no JSON: '<html>", 1),
        (response(b"[]"), LLMGarbled, "no JSON object", 1),
        (response(b""), LLMGarbled, "an empty body", 1),
        (response({"choices": []}), LLMGarbled, "no chat completion", 1),
        (response({"choices": [{"index": 0, "finish_reason": "stop"}]}), LLMGarbled, "no chat completion", 1),
        (response(completion(usage={"prompt_tokens": "many"})), LLMGarbled, "no chat completion", 1),
        (response({"error": {"message": "quota", "code": 429}}), LLMOverloaded, "quota", 3),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", LLMUnreachable, "before the reply was complete", 3),
        (b"", LLMUnreachable, "before the reply was complete", 3),
        (b"not HTTP at all\r\n\r\n", LLMUnreachable, "before the reply was complete", 3),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", LLMGarbled, "cannot be decoded", 1),
    ],
)
def test_bad_answers_become_our_errors(answer: bytes, error: type[LLMFailed], says: str, calls: int) -> None:
    """Each kind of bad answer is one of our errors, says what came, and is tried again only where that can help."""

    async def close_after(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMFailed, match=r".") as caught:
            await client.ask(Call(llm(asked.url), QUESTION))
        assert type(caught.value) is error
        assert says in str(caught.value)
        assert len(asked.bodies) == calls

    with_server(close_after, scenario, failures=50)


def test_a_retry_that_succeeds_hides_the_failure() -> None:
    """Two overloaded answers and a good one are one good reply."""
    busy = response({"error": {"message": "busy"}}, status=503)
    assert ask_once(sends(busy, busy, response(completion("Rome")))).text == "Rome"


def test_nobody_listens() -> None:
    """A closed port is LLMUnreachable and names the URL."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMUnreachable, match=r"http://127\.0\.0\.1:9/v1 does not take connections") as caught:
            await client.ask(Call(llm("http://127.0.0.1:9/v1"), QUESTION))
        assert not caught.value.billable  # nothing was sent

    with_server(hangs, scenario)


@pytest.mark.parametrize(("allows", "calls", "asked_for"), [(0, 1, 1), (1, 2, 2), (9, 3, 2)])
def test_the_caller_may_forbid_another_attempt(allows: int, calls: int, asked_for: int) -> None:
    """Before each further attempt the call's `again` is asked, with what went wrong; after the last attempt it is not."""
    failures: list[LLMFailed] = []

    def again(failed: LLMFailed) -> bool:
        failures.append(failed)
        return len(failures) <= allows

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMOverloaded):
            await client.ask(Call(llm(asked.url), QUESTION, may_retry=again))
        assert (len(asked.bodies), len(failures)) == (calls, asked_for)

    with_server(sends(response({"error": {"message": "busy"}}, status=503)), scenario)


def test_a_straggler_that_is_cut_off_is_hung_up_on() -> None:
    """The mixture's patience reaches the wire: the endpoint of a late LLM sees its connection close, and its place is free."""

    async def drips(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def scenario(late: Asked, client: OpenAIClient) -> None:
        async with serving(sends(response(completion("Paris")))) as prompt:
            pool = [Candidate(llm(late.url, llm_id="late"), 0.9, latency_s=0.1), Candidate(llm(prompt.url, llm_id="prompt"), 0.5)]
            options = Options(k=1, max_layers=2, weights=Weights(usd=0, second=0))
            decision = await Mixture(client).answer(Request(QUESTION, pool, options, Layered(order="value")))
            assert (decision.text, [each.llm for each in decision.failures]) == ("Paris", ["late"])
        await asyncio.sleep(0.2)
        assert (late.running, late.hung_up) == (0, 1)

    with_server(drips, scenario)


def test_missing_usage_is_estimated() -> None:
    """An endpoint that counts no tokens still costs something: budgets hold."""
    content = completion("four")
    del content["usage"]
    reply = ask_once(sends(response(content)))
    assert reply.input_tokens >= len("What is the capital of France?") // 4
    assert reply.cost_usd > 0


def test_text_that_is_no_unicode_is_the_callers_fault() -> None:
    """Half a surrogate pair has no JSON form: refused as a 400 before anything is sent."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMRefused, match="cannot be written as JSON") as caught:
            await client.ask(Call(llm(asked.url), [{"role": "user", "content": "\ud800"}]))
        assert caught.value.status == 400
        assert asked.bodies == []

    with_server(hangs, scenario)


def test_recorded_llm_is_not_asked() -> None:
    """An LLM without an endpoint is refused, streamed or not."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        recorded = replace(llm(asked.url), endpoint=None)
        with pytest.raises(LLMRefused, match="recorded LLM"):
            await client.ask(Call(recorded, QUESTION))
        with pytest.raises(LLMRefused, match="recorded LLM"):
            await anext(client.stream(Call(recorded, QUESTION)))

    with_server(hangs, scenario)


def test_total_limit_and_deadline_end_a_call_that_hangs() -> None:
    """total_s and the absolute deadline both hold within half a second, whichever comes first."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        started = time.monotonic()
        with pytest.raises(LLMTimedOut, match=r"limits\.total_s"):
            await client.ask(Call(llm(asked.url, total_s=0.3), QUESTION))
        assert time.monotonic() - started < 0.8
        started = time.monotonic()
        with pytest.raises(LLMTimedOut, match="deadline"):
            await client.ask(Call(llm(asked.url), QUESTION, deadline=time.monotonic() + 0.3))
        assert time.monotonic() - started < 0.8

    with_server(hangs, scenario)


def test_deadline_bounds_retries() -> None:
    """Retrying ends at the deadline, and the error tells what was wrong, not only that time ran out."""
    stamina.set_testing(False)

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        started = time.monotonic()
        with pytest.raises(LLMOverloaded, match="busy"):
            await client.ask(Call(llm(asked.url), QUESTION, deadline=time.monotonic() + 0.7))
        assert time.monotonic() - started < 1.2

    busy = response({"error": {"message": "busy"}}, status=429, Retry_After="60")
    with_server(sends(busy), scenario)


def test_concurrency_limit_holds() -> None:
    """Never more than limits.concurrency requests of one LLM run at once; the others wait their turn and are answered."""

    async def slow(writer: asyncio.StreamWriter, _: int) -> None:
        await asyncio.sleep(0.05)
        writer.write(response(completion()))

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        replies = await asyncio.gather(*(client.ask(Call(llm(asked.url, concurrency=3), QUESTION)) for _ in range(12)))
        assert len(replies) == 12
        assert asked.most_at_once == 3

    with_server(slow, scenario)


def test_waiting_for_a_turn_ends_at_the_deadline() -> None:
    """A call that never gets its turn fails at its deadline instead of waiting behind a hanging one."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        tested = llm(asked.url, concurrency=1)
        first = asyncio.create_task(client.ask(Call(tested, QUESTION)))
        await asyncio.sleep(0.05)
        with pytest.raises(LLMTimedOut, match="deadline"):
            await client.ask(Call(tested, QUESTION, deadline=time.monotonic() + 0.2))
        first.cancel()
        assert len(asked.bodies) == 1

    with_server(hangs, scenario)


def test_breaker_spares_a_failing_endpoint_and_tries_it_again() -> None:
    """After failures in a row the endpoint is not asked until the cool-down has passed; one good reply closes the breaker."""
    bad = response({"error": {"message": "boom"}}, status=500)
    good = response(completion())

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        tested = llm(asked.url)
        for _ in range(2):
            with pytest.raises(LLMOverloaded):
                await client.ask(Call(tested, QUESTION))
        with pytest.raises(LLMSetAside, match="2 of its last 2 calls"):
            await client.ask(Call(tested, QUESTION))
        assert len(asked.bodies) == 2
        await asyncio.sleep(0.25)
        assert (await client.ask(Call(tested, QUESTION))).text == "Paris"
        assert (await client.ask(Call(tested, QUESTION))).text == "Paris"

    with_server(sends(bad, bad, good), scenario, attempts=1, failures=2, cool_down_s=0.2)


def test_breaker_opens_for_streams_that_break() -> None:
    """A stream that begins and breaks is a failure like any other; only one that ends well closes the breaker."""
    broken = STREAM + delta("Pa")
    good = STREAM + delta("Paris", "stop") + event("[DONE]")

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        async def stream() -> str:
            return "".join([chunk.text async for chunk in client.stream(Call(llm(asked.url), QUESTION))])

        for _ in range(2):
            with pytest.raises(LLMUnreachable):
                await stream()
        with pytest.raises(LLMSetAside, match="2 of its last 2 calls"):
            await stream()
        await asyncio.sleep(0.25)
        assert await stream() == "Paris"
        with pytest.raises(LLMUnreachable):
            await stream()
        assert await stream() == "Paris"
        assert len(asked.bodies) == 5

    with_server(sends(broken, broken, good, broken, good), scenario, attempts=1, failures=2, cool_down_s=0.2)


@pytest.mark.parametrize("way", ["client", "pass through"])
@pytest.mark.parametrize(("limit", "opens"), [("deadline", False), ("between_chunks_s", True)])
def test_breaker_counts_the_endpoints_limits_and_no_callers_deadline(way: str, limit: str, opens: bool) -> None:
    """Impatient callers cannot set an LLM aside for everybody; it makes no difference whose timer ends a stream at the deadline."""

    async def stops(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(STREAM + delta("Pa"))
        await writer.drain()
        await asyncio.sleep(30)

    async def emit(_: Chunk) -> None:
        pass

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        tested = llm(asked.url, **({"between_chunks_s": 0.1} if limit == "between_chunks_s" else {}))

        async def stream() -> None:
            deadline = time.monotonic() + 0.1 if limit == "deadline" else None
            if way == "client":
                _ = [chunk async for chunk in client.stream(Call(tested, QUESTION, deadline=deadline))]
            else:
                await Mixture(client).pass_through(Request(QUESTION, [Candidate(tested, 0.0)], Options(deadline=deadline)), emit)

        for _ in range(2):
            with pytest.raises(LLMTimedOut):
                await stream()
        with pytest.raises(LLMSetAside if opens else LLMTimedOut):
            await stream()
        assert len(asked.bodies) == (2 if opens else 3)

    with_server(stops, scenario, attempts=1, failures=2, cool_down_s=10)


def test_retry_after_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that asks for an hour is tried again after our own bound."""
    stamina.set_testing(False)
    monkeypatch.setattr("mixture.client.retry.MOST_RETRY_AFTER_S", 0.1)
    busy = response({"error": {"message": "busy"}}, status=429, Retry_After="3600")
    started = time.monotonic()
    assert ask_once(sends(busy, response(completion("Rome")))).text == "Rome"
    assert 0.1 <= time.monotonic() - started < 5


def test_stream_gives_pieces_and_a_whole_reply() -> None:
    """The pieces join to the reply's text; the last chunk carries usage, cost, log-probabilities and a completion for pass-through."""
    logprobs = {"content": [{"token": "Pa", "logprob": -0.5}]}
    parts = delta("Pa", logprobs=logprobs) + b": a comment\n\n" + delta("ris") + delta(finish_reason="stop") + usage(9, 2) + event("[DONE]")
    chunks = stream_once(sends(STREAM + parts))
    assert [chunk.text for chunk in chunks] == ["Pa", "ris", "", ""]
    reply = chunks[-1].reply
    assert reply is not None
    assert all(chunk.reply is None for chunk in chunks[:-1])
    assert (reply.text, reply.finish_reason, reply.input_tokens, reply.output_tokens) == ("Paris", "stop", 9, 2)
    assert reply.mean_logprob == pytest.approx(-0.5)
    assert reply.raw["choices"][0]["message"] == {"role": "assistant", "content": "Paris"}
    assert reply.raw["usage"]["total_tokens"] == 11


def test_streamed_tool_calls_are_put_together() -> None:
    """Arguments that come in pieces are one tool call in the finished reply."""
    first = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"ci'}}
    second = {"index": 0, "function": {"arguments": 'ty": "Rome"}'}}
    parts = b"".join(delta(None, delta={"tool_calls": [part]}) for part in (first, second)) + delta(finish_reason="tool_calls")
    reply = stream_once(sends(STREAM + parts + event("[DONE]")))[-1].reply
    assert reply is not None
    call = reply.raw["choices"][0]["message"]["tool_calls"][0]
    assert call == {"type": "function", "id": "call-1", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        (delta("Pa"), LLMUnreachable, "ended before the reply did"),
        (delta("Pa") + event("[DONE]"), LLMUnreachable, "ended before the reply did"),
        (delta("Pa") + event({"error": {"message": "out of memory", "code": 500}}), LLMOverloaded, "out of memory"),
        (delta("Pa") + event("{broken"), LLMGarbled, "no JSON"),
        (delta("Pa") + event({"choices": "none"}), LLMGarbled, "no completion chunk"),
        (b"", LLMGarbled, "without an event"),
    ],
)
def test_a_broken_stream_never_ends_cleanly(sent: bytes, error: type[LLMFailed], says: str) -> None:
    """Whatever breaks after the first byte is an error of ours, and is never tried again."""

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(error, match=says):
            async for _ in client.stream(Call(llm(asked.url), QUESTION)):
                pass
        assert len(asked.bodies) == 1

    with_server(sends(STREAM + sent), scenario)


def test_stream_is_retried_until_its_first_byte() -> None:
    """A refused start is tried again; then the stream runs as if nothing had been."""
    good = STREAM + delta("Oslo", "stop") + event("[DONE]")
    chunks = stream_once(sends(response({"error": "busy"}, status=503), good))
    assert "".join(chunk.text for chunk in chunks) == "Oslo"


def test_stream_limits() -> None:
    """The first token, the gap between chunks and the total each have their own limit, and each is named."""

    async def stalls(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(STREAM)
        if number > 0:
            writer.write(delta("Pa"))
        await writer.drain()
        for _ in range(40 if number == 2 else 0):
            await asyncio.sleep(0.05)
            writer.write(delta("."))
            await writer.drain()
        await asyncio.sleep(30)

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        limits = {"first_token_s": 0.3, "between_chunks_s": 0.3, "total_s": 0.6}
        for name in ("first_token_s", "between_chunks_s", "total_s"):
            started = time.monotonic()
            with pytest.raises(LLMTimedOut, match=f"limits.{name}"):
                async for _ in client.stream(Call(llm(asked.url, **limits), QUESTION)):
                    pass
            assert time.monotonic() - started < 1.1

    with_server(stalls, scenario)


def test_leaving_a_stream_closes_its_connection() -> None:
    """A caller that goes away ends the work at the endpoint and frees its place."""

    async def endless(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(STREAM)
        for _ in range(1000):
            writer.write(delta("x"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        for _ in range(3):  # more often than there are places
            stream = client.stream(Call(llm(asked.url), QUESTION))
            assert (await anext(stream)).text == "x"
            await stream.aclose()
        await asyncio.sleep(0.2)
        assert asked.running == 0
        assert asked.hung_up == 3

    with_server(endless, scenario)


def test_every_vendor_exception_is_translated() -> None:
    """No exception type of httpx2 can leave the client untranslated: a new one fails here until it has its row."""
    kinds = [kind for name in dir(httpx2) if isinstance(kind := getattr(httpx2, name), type) and issubclass(kind, Exception)]
    abstract = {httpx2.HTTPError, httpx2.RequestError, httpx2.TransportError, httpx2.ProtocolError}
    assert len(kinds) > 20
    for kind in kinds:
        if kind not in abstract:
            assert any(issubclass(kind, row[0]) for row in TRANSLATED), kind
            exc = kind.__new__(kind)
            assert isinstance(translate(exc, llm("http://127.0.0.1/v1")), LLMFailed)
