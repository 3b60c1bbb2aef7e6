"""The OpenAI chat protocol as bytes: what is sent, what comes back, and which of our errors a bad answer is."""

import os
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from mixture.client.protocol import Call, Reply
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused
from mixture.llm import LLM, Endpoint

LONGEST_COMPLAINT = 300  # characters of an endpoint's own words that are worth repeating
CHARACTERS_PER_TOKEN = 4  # of English text; only for endpoints that report no usage


class Usage(BaseModel):
    """Tokens read and written, as the endpoint counts them."""

    prompt_tokens: int
    completion_tokens: int


class _Token(BaseModel):
    logprob: float


class Logprobs(BaseModel):
    """Log-probabilities of a reply's tokens; endpoints that know none send null."""

    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    index: int = 0
    message: _Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: Usage | None = None


def endpoint(llm: LLM) -> Endpoint:
    """Where `llm` is asked.

    Raises LLMRefused for a recorded LLM, which has no endpoint.
    """
    if llm.endpoint is None:
        raise LLMRefused(
            llm.id, "is a recorded LLM; it has no endpoint to ask.", next_step="Give it an endpoint in pool.yaml, or leave it out."
        )
    return llm.endpoint


def encoded(llm: LLM, sent: Mapping[str, Any]) -> bytes:
    """The request's bytes.

    Raises LLMRefused where something in it has no JSON form, such as half a surrogate pair.
    """
    try:
        return orjson.dumps(sent)
    except orjson.JSONEncodeError as exc:
        refused = LLMRefused(llm.id, f"the request cannot be written as JSON ({exc}).", next_step="Send valid Unicode text.")
        refused.status = 400
        raise refused from exc


def body(call: Call, *, stream: bool) -> dict[str, Any]:
    """The request's JSON: the LLM's prompt style and decoding, overridden by the caller's options.

    Raises LLMRefused for a recorded LLM, which has no endpoint.
    """
    llm = call.llm
    place = endpoint(llm)
    sent: dict[str, Any] = {"temperature": llm.decoding.temperature, "max_tokens": llm.decoding.max_tokens}
    if llm.decoding.seed is not None:
        sent["seed"] = llm.decoding.seed
    sent |= call.options
    if "max_completion_tokens" in sent:
        del sent["max_tokens"]  # the older name of the same field; endpoints refuse both
    sent |= {"model": place.served_name, "messages": llm.prompt.apply(call.messages), "stream": stream}
    if stream:
        sent["stream_options"] = {"include_usage": True}  # without it nobody knows what the reply cost
    else:
        sent.pop("stream_options", None)
    return sent


def headers(llm: LLM) -> dict[str, str]:
    """The request's headers; the key is read from the environment at the moment of asking and kept nowhere.

    Raises LLMRefused where the variable is not set.
    """
    if llm.endpoint is None or llm.endpoint.api_key_env is None:
        return {}
    key = os.environ.get(llm.endpoint.api_key_env)
    if not key:
        raise LLMRefused(
            llm.id,
            f"the environment variable {llm.endpoint.api_key_env} is not set.",
            next_step="Set it to the endpoint's API key where this process starts.",
        )
    return {"Authorization": f"Bearer {key}"}


def reply(call: Call, content: bytes, latency_s: float) -> Reply:
    """The complete reply in `content`.

    Raises LLMGarbled where it is not a chat completion, LLMFailed's children where it is an error inside a 200.
    """
    llm = call.llm
    raw = _json(llm, content)
    raise_error_inside(llm, raw)
    try:
        completion = _Completion.model_validate(raw)
        first = completion.choices[0]
    except (ValidationError, IndexError) as exc:
        raise LLMGarbled(llm.id, f"the reply is no chat completion: {beginning(content)}") from exc
    text = first.message.content or ""
    return finished(
        call,
        text,
        finish_reason=first.finish_reason,
        usage=completion.usage,
        logprobs=logprobs_of(first.logprobs),
        latency_s=latency_s,
        raw=raw,
    )


def refusal(llm: LLM, status: int, content: bytes, retry_after: str | None) -> LLMFailed:
    """The error that an answer with this HTTP status is."""
    what = f"HTTP {status}: {_without_key(llm, _complaint(content))}"
    if status == 429 or status >= 500:
        failed = LLMOverloaded(llm.id, what, next_step="Try again later, or lower limits.concurrency in pool.yaml.")
        failed.retry_after_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return failed
    if 300 <= status < 400:
        return LLMRefused(llm.id, f"HTTP {status}: redirects are not followed.", next_step="Write the final base_url in pool.yaml.")
    refused = LLMRefused(llm.id, what, next_step="Check base_url, served_name and the key in pool.yaml, and the request's fields.")
    refused.status = status
    return refused


def event(llm: LLM, data: str) -> dict[str, Any]:
    """The JSON of one event of a stream."""
    return _json(llm, data.encode())


def finished(
    call: Call,
    text: str,
    *,
    finish_reason: str | None,
    usage: Usage | None,
    logprobs: list[float],
    latency_s: float,
    raw: dict[str, Any],
) -> Reply:
    """The reply, priced; where no usage was reported, tokens are estimated from the characters."""
    llm = call.llm
    if usage is None:  # budgets must hold there too, so it is rounded up
        characters = sum(len(str(message.get("content", ""))) for message in llm.prompt.apply(call.messages))
        usage = Usage(prompt_tokens=characters // CHARACTERS_PER_TOKEN + 1, completion_tokens=len(text) // CHARACTERS_PER_TOKEN + 1)
    return Reply(
        llm=llm.id,
        text=text,
        finish_reason=finish_reason or "stop",
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cost_usd=llm.price.cost(usage.prompt_tokens, usage.completion_tokens),
        latency_s=latency_s,
        mean_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        raw=raw,
    )


def logprobs_of(logprobs: Logprobs | None) -> list[float]:
    """The tokens' log-probabilities, none where the endpoint sent none."""
    return [token.logprob for token in logprobs.content] if logprobs and logprobs.content else []


def _json(llm: LLM, content: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise LLMGarbled(llm.id, f"the reply is no JSON: {beginning(content)}") from exc
    if not isinstance(parsed, dict):
        raise LLMGarbled(llm.id, f"the reply is no JSON object: {beginning(content)}")
    return parsed


def raise_error_inside(llm: LLM, raw: Mapping[str, Any]) -> None:
    """Raises the error that some endpoints send where a reply belongs."""
    error = raw.get("error")
    if not error or "choices" in raw:
        return
    code = error.get("code") if isinstance(error, dict) else None
    raise refusal(llm, code if isinstance(code, int) and 400 <= code < 600 else 500, orjson.dumps(raw), None)


def _complaint(content: bytes) -> str:
    """What an error body says, without the request it may repeat."""
    try:
        error = orjson.loads(content)["error"]
        complaint = error["message"] if isinstance(error, dict) else error
        return str(complaint)[:LONGEST_COMPLAINT]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return beginning(content)


def _without_key(llm: LLM, complaint: str) -> str:
    """`complaint` with our key taken out: some endpoints repeat it when they refuse it."""
    key = os.environ.get(llm.endpoint.api_key_env or "") if llm.endpoint else None
    return complaint.replace(key, "[key]") if key else complaint


def beginning(content: bytes) -> str:
    """The beginning of a body, for an error message."""
    return repr(content[:LONGEST_COMPLAINT].decode(errors="replace")) if content else "an empty body"
