"""LLMs, candidates and conversations for tests."""

from typing import Any

from mixture.choose.ranking import Candidate
from mixture.client.protocol import Call
from mixture.client.scripted import Script
from mixture.errors import LLMUnreachable
from mixture.llm import LLM, Endpoint
from mixture.price import Price


def llm(name: str, *, price: float = 1.0, **more: Any) -> LLM:
    """An LLM on weights of its own; `price` in USD per million tokens, in and out."""
    return LLM(id=name, name=name, price=Price(price, price), endpoint=Endpoint(f"http://{name}/v1", name), **more)


def candidate(name: str, prior: float, *, latency_s: float | None = None, **more: Any) -> Candidate:
    """An LLM and what is expected of it."""
    return Candidate(llm(name, **more), prior, latency_s=latency_s)


def broken(name: str) -> Script:
    """A script of an endpoint that does not take connections."""
    return Script(fails=LLMUnreachable(name, "is gone."), takes=0.1)


def user(text: str = "What is 6 x 7?") -> list[dict[str, Any]]:
    """A conversation of one user turn."""
    return [{"role": "user", "content": text}]


def last_words(call: Call) -> str:
    """The last message's text, as the LLM sees it."""
    return str(call.messages[-1]["content"])
