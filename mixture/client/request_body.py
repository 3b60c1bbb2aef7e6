"""What is sent to an LLM: the OpenAI chat request as its pool entry wants it, and the key."""

import os
from collections.abc import Mapping
from typing import Any

import orjson

from mixture.client.effort_fields import effort_fields, is_level
from mixture.client.protocol import Call
from mixture.client.provider_state import as_sent
from mixture.client.request_size import most_output_tokens
from mixture.effort import LEVELS
from mixture.errors import LLMRefused
from mixture.llm import LLM, Endpoint


def endpoint(llm: LLM) -> Endpoint:
    """Where `llm` is asked.

    Raises LLMRefused for a recorded LLM, which has no endpoint.
    """
    if llm.endpoint is None:
        raise LLMRefused(
            llm.id, "is a recorded LLM; it has no endpoint to ask.", next_step="Give it an endpoint in pool.yaml, or leave it out."
        )
    return llm.endpoint


def body(call: Call, *, stream: bool) -> dict[str, Any]:
    """The request's JSON: the LLM's prompt style, decoding and effort, overridden by the caller's options, in its pool entry's fields.

    Raises LLMRefused for a recorded LLM, which has no endpoint, and for an effort that its endpoint cannot be told.
    """
    llm = call.llm
    place = endpoint(llm)
    sent: dict[str, Any] = {"temperature": llm.decoding.temperature, "max_tokens": llm.decoding.max_tokens}
    if llm.decoding.seed is not None:
        sent["seed"] = llm.decoding.seed
    sent |= call.options
    _say_effort(call, sent)
    if "max_completion_tokens" in sent:
        del sent["max_tokens"]  # the older name of the same field; endpoints refuse both
    sent |= {"model": place.served_name, "messages": llm.prompt.apply(as_sent(llm, call.messages)), "stream": stream}
    if stream:
        sent["stream_options"] = {"include_usage": True}  # without it nobody knows what the reply cost
    else:
        sent.pop("stream_options", None)
    return llm.request_fields.apply(sent)


def _say_effort(call: Call, sent: dict[str, Any]) -> None:
    """Puts the effort into `sent`: the caller's, else the LLM's own; what the caller sent in the endpoint's way stays as it is."""
    wished = call.options.get("reasoning_effort")
    effort = wished if is_level(wished) else call.llm.effort if wished is None else None
    if effort is None:
        return
    sent.pop("reasoning_effort", None)
    try:
        fields = effort_fields(call.llm, effort, most_output_tokens(call.llm, call.options))
    except ValueError as exc:
        raise _cannot_think(call.llm, str(exc)) from exc
    for name, value in fields.items():
        theirs = sent.get(name)
        sent[name] = {**value, **theirs} if isinstance(theirs, Mapping) and isinstance(value, Mapping) else value
    thinking = sent.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") == "enabled" and "temperature" not in call.options:
        del sent["temperature"]  # Anthropic's thinks at its own temperature only


def _cannot_think(llm: LLM, why: str) -> LLMRefused:
    refused = LLMRefused(llm.id, f"{why}.", next_step=f"Ask with reasoning_effort {LEVELS[0]}, or with more max_tokens.")
    refused.status = 400
    return refused


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


def headers(llm: LLM) -> dict[str, str]:
    """The request's headers; the key is read from the environment at the moment of asking and kept nowhere.

    Raises LLMRefused where the variable is not set, or holds what no header may hold.
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
    if not (key.isascii() and key.isprintable()):
        raise LLMRefused(
            llm.id,
            f"the environment variable {llm.endpoint.api_key_env} holds a line break or another character that no key has.",
            next_step="Set it to the endpoint's API key alone.",
        )
    return {"Authorization": f"Bearer {key}"}
