"""The attempts of a request, as they stand in its account once it has ended: who was asked, from when to when, and how that ended."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mixture.client.protocol import Reply
from mixture.decision import Decision
from mixture.errors import LLMFailed, LLMTimedOut
from mixture.run.account import Account, FailedCall

AGGREGATION = 0  # the layer of an aggregator's call


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call, or an attempt within it that was followed by another. start_s, end_s: since the account's start.

    layer: from 1, AGGREGATION for an aggregator's. reply: also of one that was of no use; error: why it brought no answer.
    call: its place among the calls to this LLM, None for an attempt that another followed.
    """

    llm: str
    layer: int
    start_s: float
    end_s: float
    reply: Reply | None
    error: LLMFailed | None
    call: int | None


def attempts(account: Account, decision: Decision | None) -> list[Attempt]:
    """In the order in which they ended. decision: None where the request got no answer; the layers of replies are not known then."""
    layers = _layers(decision)
    replies = deque(sorted(zip(account.replied_at_s, account.replies, strict=True), key=lambda pair: pair[0]))
    ended: list[tuple[float, float, int, Reply | None, FailedCall | None, str]] = []
    within = [each for each in account.retried if each.layer == AGGREGATION]
    for failed in (*account.failed, *(each for each in account.retried if each.layer != AGGREGATION)):
        paid = _paid_for(failed.error, replies)
        took_s = failed.error.took_s or (failed.error.waited_s if isinstance(failed.error, LLMTimedOut) else 0.0)
        start_s = failed.at_s - max(took_s, paid.latency_s if paid else 0.0)
        ended.append((failed.at_s, start_s, failed.layer, paid, failed, failed.error.llm))
    for at_s, reply in replies:
        if reply.finish_reason == "error" and not reply.text:
            continue  # what a followed attempt cost: that attempt says it
        layer = layers[reply.llm].popleft() if layers[reply.llm] else 1
        ended.append((at_s, at_s - reply.latency_s, layer, reply, None, reply.llm))
    return sorted([*_calls(ended, within), *_followed(within)], key=lambda each: each.end_s)


def _calls(ended: Iterable[tuple[float, float, int, Reply | None, FailedCall | None, str]], within: list[FailedCall]) -> Iterator[Attempt]:
    """The calls, each from the last attempt that was followed by it."""
    counted: dict[str, int] = defaultdict(int)
    for at_s, start_s, layer, reply, failed, llm in sorted(ended, key=lambda each: each[0]):
        before = max((each.at_s for each in within if each.error.llm == llm and start_s < each.at_s <= at_s), default=start_s)
        yield Attempt(llm, layer, max(0.0, before), at_s, reply, failed.error if failed else None, counted[llm])
        counted[llm] += 1


def _followed(within: list[FailedCall]) -> Iterator[Attempt]:
    for at, each in enumerate(within):
        before = max((other.at_s for other in within[:at] if other.error.llm == each.error.llm), default=0.0)
        start_s = max(0.0, before, each.at_s - each.error.took_s)
        yield Attempt(each.error.llm, 1, start_s, each.at_s, None, each.error, None)


def _paid_for(failed: LLMFailed, replies: "deque[tuple[float, Reply]]") -> Reply | None:
    """Takes the reply that was of no use and failed so out of `replies`."""
    if not any(failed.paid):
        return None
    for pair in replies:
        reply = pair[1]
        if reply.llm == failed.llm and (reply.cost_usd, reply.input_tokens, reply.output_tokens) == failed.paid:
            replies.remove(pair)
            return reply
    return None


def _layers(decision: Decision | None) -> dict[str, deque[int]]:
    """By LLM, the layers of its replies in their order."""
    layers: dict[str, deque[int]] = defaultdict(deque)
    for number, layer in enumerate(decision.layers if decision else (), start=1):
        for run in layer.runs:
            layers[run.llm].append(number)
    if decision is not None and decision.synthesis is not None:
        layers[decision.synthesis.llm].append(AGGREGATION)
    return layers
