"""The OpenAI client against real HTTP that behaves, misbehaves and hangs."""

import asyncio
import json
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
from mixture.client.protocol import LOGPROBS, Call, Chunk, Reply
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused, LLMSetAside, LLMTimedOut, LLMUnreachable
from mixture.llm import RequestFields
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


PARIS_EN_FRANCE = '{"choices": [{"delta": {"content": "Paris, évidemment"}, "finish_reason": "stop"}]}\n\n'.encode()
KEY = "sk-0123456789abcdefghijklmnopqrstuvwxyz"
REQUEST = f"POST /v1/chat/completions\r\nAuthorization: Bearer {KEY}\r\n\r\nmy prompt"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        response(REQUEST.encode()),
        response({"choices": REQUEST}),
        response({"choices": [], REQUEST: REQUEST}),
        response(REQUEST.encode(), kind="text/event-stream"),
        response(b"no JSON", kind=f"text/{KEY}"),
        STREAM + event(REQUEST.replace("\r\n", " ")),
        STREAM + event({"error": {"message": "x" * 280 + KEY, "code": KEY, "param": KEY}}),
        response({"error": {"message": "x" * 280 + KEY}}, status=401),
        response(REQUEST.encode(), status=500),
        REQUEST.encode(),
        b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\n",
    ],
)
def test_no_answer_brings_our_key_or_a_prompt_to_the_caller(monkeypatch: pytest.MonkeyPatch, answer: bytes, stream: bool) -> None:
    """Whatever an endpoint repeats, in whatever status and form; what it says with a 200 is never quoted."""
    monkeypatch.setenv("TESTED_KEY", KEY)

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        call = Call(llm(asked.url, api_key_env="TESTED_KEY"), QUESTION)
        with pytest.raises(LLMFailed, match=r".") as caught:
            _ = [chunk async for chunk in client.stream(call)] if stream else await client.ask(call)
        said = f"{caught.value} {caught.value.code} {caught.value.param}"
        assert not any(KEY[at : at + 8] in said for at in range(len(KEY) - 7))
        assert "my prompt" not in said or caught.value.status == 500

    async def close_after(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    with_server(close_after, scenario)


def test_a_key_with_a_line_break_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be sent, and the HTTP client's own complaint would repeat it."""
    monkeypatch.setenv("TESTED_KEY", f"{KEY}\n")

    async def scenario(asked: Asked, client: OpenAIClient) -> None:
        with pytest.raises(LLMRefused, match="TESTED_KEY holds a line break") as caught:
            await client.ask(Call(llm(asked.url, api_key_env="TESTED_KEY"), QUESTION))
        assert KEY not in str(caught.value)

    with_server(hangs, scenario)


def test_retries_log_nothing(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """An endpoint's words may be the prompt; what was tried again is in the decision."""
    busy = response({"error": {"message": f"cannot parse: {QUESTION[0]['content']}"}}, status=503)
    caplog.set_level(0)
    assert ask_once(sends(busy, response(completion("Rome")))).text == "Rome"
    assert "capital" not in caplog.text + "".join(capfd.readouterr())


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
        (response(b"<html>hello</html>"), LLMGarbled, "no JSON: 18 bytes of application/json", 1),
        (response(b"[]"), LLMGarbled, "no JSON object", 1),
        (response(b""), LLMGarbled, "an empty body", 1),
        (response({"choices": []}), LLMGarbled, "no chat completion", 1),
        (response({"choices": [{"index": 0, "finish_reason": "stop"}]}), LLMGarbled, "no chat completion", 1),
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


def refusing(*refused: str, say: str = "Unsupported parameter: '{name}' is not supported with this model.") -> Callable[[Asked], Handler]:
    """A handler that takes no request with one of these fields, and says so."""

    def watching(asked: Asked) -> Handler:
        async def handler(writer: asyncio.StreamWriter, number: int) -> None:
            names = [name for name in refused if name in asked.bodies[number]]
            error = {"error": {"message": say.format(name=names[0]), "type": "invalid_request_error"}} if names else None
            writer.write(response(completion()) if error is None else response(error, status=400))

        return handler

    return watching


def asked_of(refusing: Callable[[Asked], Handler], *calls: Callable[[str], Call]) -> tuple[list[Reply | LLMFailed], Asked]:
    """What calls in a row come to, by the URL each gets."""
    outcomes: list[Reply | LLMFailed] = []

    async def run() -> Asked:
        async def handler(writer: asyncio.StreamWriter, number: int) -> None:
            await refusing(asked)(writer, number)

        async with serving(handler) as asked, OpenAIClient() as client:
            for call in calls:
                try:
                    outcomes.append(await client.ask(call(asked.url)))
                except LLMFailed as failed:
                    outcomes.append(failed)
        return asked

    return outcomes, asyncio.run(run())


def plain(url: str) -> Call:
    return Call(llm(url), QUESTION, LOGPROBS)


def test_a_field_that_an_endpoint_refuses_by_name_is_left_out_from_then_on() -> None:
    """Of those that only we send: the next call does not send them again; logprobs takes its alternatives along."""
    outcomes, asked = asked_of(refusing("seed", "logprobs", "temperature"), plain, plain)
    assert [outcome.text for outcome in outcomes if isinstance(outcome, Reply)] == ["Paris", "Paris"]
    assert len(asked.bodies) == 3 + 1 + 1
    assert asked.bodies[-1].keys() == {"max_tokens", "model", "messages", "stream"}


def test_a_limit_is_sent_under_its_other_name_and_never_left_out() -> None:
    """Budgets rest on it: an endpoint that takes neither has to be described in its pool entry."""
    say = "Unsupported parameter: '{name}'. Use 'max_completion_tokens' instead."
    outcomes, asked = asked_of(refusing("max_tokens", say=say), plain, plain)
    assert isinstance(outcomes[1], Reply)
    assert [("max_tokens" in body, body.get("max_completion_tokens")) for body in asked.bodies] == [(True, None), (False, 7), (False, 7)]
    outcomes, asked = asked_of(refusing("max_tokens", "max_completion_tokens"), plain)
    assert isinstance(outcomes[0], LLMRefused)
    assert len(asked.bodies) == 2


@pytest.mark.parametrize("field", ["logprobs", "tools", "temperature"])
def test_what_the_caller_asked_for_is_not_left_out(field: str) -> None:
    """He hears that the endpoint refuses it."""
    options = {"logprobs": True, "tools": [{"type": "function"}], "temperature": 1.0}
    outcomes, asked = asked_of(refusing(field), lambda url: Call(llm(url), QUESTION, options, optional=frozenset()))
    assert isinstance(outcomes[0], LLMRefused)
    assert len(asked.bodies) == 1


def test_a_refusal_of_the_text_is_no_refusal_of_a_field() -> None:
    """A context that is too long names max_tokens too; an LLM may be called like a field."""
    too_long = {"error": {"message": "at most 4096 tokens, in max_tokens and seed", "code": "context_length_exceeded"}}
    for answer in (response(too_long, status=400), response({"error": {"message": "no model seed-oss"}}, status=400)):
        outcomes, asked = asked_of(lambda _, answer=answer: sends(answer), plain)
        assert isinstance(outcomes[0], LLMRefused)
        assert len(asked.bodies) == 1


def test_a_pool_entry_says_how_fields_are_sent() -> None:
    """Renamed or left out, whoever set them, without asking twice."""
    fields = RequestFields({"max_tokens": "max_output"}, frozenset({"seed", "logprobs", "top_logprobs"}))
    outcomes, asked = asked_of(refusing("max_tokens"), lambda url: replace(plain(url), llm=replace(llm(url), request_fields=fields)))
    assert isinstance(outcomes[0], Reply)
    assert asked.bodies[0].keys() == {"temperature", "max_output", "model", "messages", "stream"}
    assert asked.bodies[0]["max_output"] == 7


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


@pytest.mark.parametrize(
    "nothing", [b"id: 7\n\n", b"retry: 3000\n\n", b"event: ping\n\n", b"data:\n\n", b"data: \n\n", b": wait\n\n", b"\n\n"]
)
def test_lines_without_data_are_no_events(nothing: bytes) -> None:
    """As the standard says, before, between and after those that have some."""
    parts = nothing + delta("Pa") + nothing + delta("ris", "stop") + nothing + event("[DONE]")
    assert [chunk.text for chunk in stream_once(sends(STREAM + parts))] == ["Pa", "ris", ""]


@pytest.mark.parametrize(
    "parts",
    [
        delta("Paris", "stop").replace(b"\n", b"\r\n"),
        delta("Pa") + delta("ris") + event("[done]"),
        delta("Paris", "") + event("[DONE]"),
        event(
            json.dumps({"choices": [{"delta": {"content": "Pa"}}]}) + "\ndata: " + json.dumps({"choices": [{"delta": {"content": "ris"}}]})
        )
        + event("[DONE]"),
    ],
)
def test_ends_and_lines_of_streams_as_endpoints_write_them(parts: bytes) -> None:
    """Other line ends, no finish reason but the mark of the end, two objects in one event."""
    reply = stream_once(sends(STREAM + parts))[-1].reply
    assert reply is not None
    assert (reply.text, reply.finish_reason) == ("Paris", "stop")


@pytest.mark.parametrize("kind", [b"text/plain", b"text/event-stream; charset=latin-1", b""])
def test_a_stream_is_one_whatever_it_is_called(kind: bytes) -> None:
    """Its events are; they are UTF-8 by the standard."""
    reply = stream_once(sends(STREAM.replace(b"text/event-stream", kind) + b"data: " + PARIS_EN_FRANCE + event("[DONE]")))[-1].reply
    assert reply is not None
    assert reply.text == "Paris, évidemment"


def test_a_whole_reply_to_a_streamed_call_is_one_chunk() -> None:
    """An endpoint that knows no streams can still be asked for one."""
    chunks = stream_once(sends(response(completion())))
    assert [chunk.text for chunk in chunks] == ["Paris", ""]
    assert chunks[-1].reply is not None
    assert chunks[-1].reply.output_tokens == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_of_too_many_bytes_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    """Twenty megabytes cost the caller seconds and the server its memory."""
    monkeypatch.setattr("mixture.client.http_bodies.MOST_BYTES", 10_000)
    answer = STREAM + delta("x" * 100_000, "stop") + event("[DONE]") if stream else response(completion("x" * 100_000))
    with pytest.raises(LLMGarbled, match="SSEError" if stream else "longer than 10,000 bytes"):
        (stream_once if stream else ask_once)(sends(answer))


def test_what_nobody_foresaw_is_a_failure_of_that_llm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in our own reading costs one LLM's answer, not the request."""
    monkeypatch.setattr("mixture.client.stream_assembly.Completion.of", lambda *_, **__: 1 / 0)
    with pytest.raises(LLMGarbled, match=r"made the client fail \(ZeroDivisionError\)"):
        ask_once(sends(response(completion())))


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
        (delta("") + event("[DONE]"), LLMUnreachable, "ended before the reply did"),
        (delta("Pa") + event({"error": {"message": "out of memory", "code": 500}}), LLMOverloaded, "out of memory"),
        (delta("Pa") + event("{broken"), LLMGarbled, "no JSON"),
        (delta("Pa") + event({"choices": "none"}), LLMGarbled, "no chat completion: its choices are a text"),
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
