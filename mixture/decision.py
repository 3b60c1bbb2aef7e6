"""What was decided for one request and how it went: a frozen tree that travels into records, responses and `mixture.replay.explain`."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mixture.choose.action import Action
from mixture.choose.session import SessionChoice
from mixture.client.protocol import Reply
from mixture.errors import LLMFailed, LLMGarbled
from mixture.snapshot import Snapshot
from mixture.usage import Usage

_STATUS = re.compile(r"HTTP (\d{3})(?=:)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Run:
    """One LLM's answer in one layer.

    self_score: its own assessment, None where it gave none. peer_scores: what it gave to the previous layer's answers, by LLM id.
    at_s: when it was there, in seconds from the request's start. usage_estimated: whether the endpoint left tokens uncounted.
    usage: the tokens with their parts, None where only the two counts are known. stated_usd: the cost by the endpoint's own words.
    """

    llm: str
    text: str
    finish_reason: str
    cost_usd: float
    latency_s: float
    input_tokens: int
    output_tokens: int
    mean_logprob: float | None = None
    self_score: float | None = None
    peer_scores: Mapping[str, float] = field(default_factory=dict)
    at_s: float = field(default=0.0, compare=False)
    usage_estimated: bool = False
    usage: Usage | None = None
    stated_usd: float | None = None

    @classmethod
    def of(
        cls, reply: Reply, text: str, self_score: float | None = None, peer_scores: Mapping[str, float] | None = None, *, at_s: float = 0.0
    ) -> "Run":
        """`reply` with the judgements taken out of its text."""
        return cls(
            llm=reply.llm,
            text=text,
            finish_reason=reply.finish_reason,
            cost_usd=reply.cost_usd,
            latency_s=reply.latency_s,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            mean_logprob=reply.mean_logprob,
            self_score=self_score,
            peer_scores=peer_scores or {},
            at_s=at_s,
            usage_estimated=reply.usage_estimated,
            usage=reply.usage,
            stated_usd=reply.stated_usd,
        )


FINISH_REASONS = frozenset({"stop", "length", "content_filter", "tool_calls", "function_call"})  # others are an endpoint's own words


def empty(reply: Reply) -> LLMGarbled:
    """The error that a reply without words is, which says why there are none; what it cost has been paid."""
    what, next_step = _why_empty(reply)
    reason = reply.finish_reason if reply.finish_reason in FINISH_REASONS else "one that no protocol knows"
    failed = LLMGarbled(reply.llm, f"the answer is empty: {what} (finish reason: {reason}).", next_step=next_step)
    failed.paid = (reply.cost_usd, reply.input_tokens, reply.output_tokens)
    return failed


def _why_empty(reply: Reply) -> tuple[str, str]:
    """What came instead of words, and what to do about it."""
    message = next((choice.get("message") or {} for choice in reply.raw.get("choices") or ()), {})
    if message.get("tool_calls") or message.get("function_call"):
        return "it calls tools only", "Offer tools through routemoa-single, or to the LLM by its id."
    if reply.finish_reason == "content_filter":
        return "the endpoint's filter took it", ""
    thinks = message.get("reasoning_content") or message.get("reasoning")
    if reply.finish_reason == "length":
        return f"its {reply.output_tokens} tokens went into {'thinking' if thinks else 'nothing readable'}", "Raise max_tokens."
    return ("it only thinks" if thinks else "nothing was said"), ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that brought no answer; `layer` counts from 1, 0 for the aggregator. `error` is the class, `what` its message.

    billable: whether it may be charged all the same. cost_usd, tokens: of a reply that came and was empty. at_s: when that was known,
    in seconds from the request's start.
    """

    layer: int
    llm: str
    error: str
    what: str
    billable: bool = True
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    at_s: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, layer: int, error: LLMFailed, at_s: float = 0.0) -> "Failure":
        """What is kept of `error`."""
        cost_usd, input_tokens, output_tokens = error.paid
        return cls(layer, error.llm, type(error).__name__, error.what, error.billable, cost_usd, input_tokens, output_tokens, at_s)

    @property
    def status(self) -> int | None:
        """The HTTP status that the endpoint sent, None where it sent none."""
        status = _STATUS.match(self.what.removeprefix(f"{self.llm}: "))
        return int(status[1]) if status else None

    def without_words(self) -> "Failure":
        """The same with nothing of what the endpoint said: `what` is its HTTP status, empty where none was sent."""
        return replace(self, what="" if self.status is None else f"HTTP {self.status}")


@dataclass(frozen=True, slots=True)
class Layer:
    """One round of LLMs asked at once.

    before, after: each LLM's score ahead of the layer and updated by it. judge: the LLM whose scores of the previous layer's
    answers counted, None where none was readable; cross: those scores, by LLM id (none for its own answer).
    """

    runs: tuple[Run, ...]
    before: Mapping[str, float]
    after: Mapping[str, float]
    judge: str | None = None
    cross: Mapping[str, float] = field(default_factory=dict)
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and its whole story.

    llm: whose answer `text` is, None for a synthesis. aggregation: single, best, vote or synthesise. score: expected quality of the
    answer. cost_usd, tokens: of every answered call; reasoning_tokens are those of the
    output that were thought, cached_tokens those of the input that a cache had. unpriced: LLMs that answered and whose cost nobody knows.
    energy_kwh: of the answered calls whose energy is known, None where it is of none; unmetered: the LLMs of which it is not.
    unsettled_usd: at most what calls that were cut off or broke may cost on top.
    retried: attempts within a call that failed and were followed by another (their layer is 0).
    excluded: LLM id -> why it could not answer. options, strategy: the effective ones. snapshot: what `mixture.replay.replay` decides again
    from. session: whether its session stayed with its LLM, and why; None where it has none. action: who was asked first, and with which
    probability each LLM might have been; None where the caller named the LLM, and in records from before it was kept.
    reply: the endpoint's reply where exactly one LLM answered unchanged (not part of `as_dict`).
    """

    text: str
    llm: str | None
    finish_reason: str
    layers: tuple[Layer, ...]
    stopped_because: str
    aggregation: str
    score: float
    cost_usd: float
    latency_s: float
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    unsettled_usd: float = 0.0
    unpriced: tuple[str, ...] = ()
    energy_kwh: float | None = None
    unmetered: tuple[str, ...] = ()
    synthesis: Run | None = None
    failures: tuple[Failure, ...] = ()
    retried: tuple[Failure, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Snapshot | None = field(default=None, compare=False)
    session: SessionChoice | None = None
    action: Action | None = None
    reply: Reply | None = field(default=None, compare=False, repr=False)

    def as_dict(self, *, texts: bool = True) -> dict[str, Any]:
        """JSON-ready, read back by `from_dict`; without `texts` it holds no words of an answer or an endpoint."""
        tree = {name: _plain(getattr(self, name), texts=texts) for name in self.__dataclass_fields__ if name != "reply"}
        return tree if texts else {**tree, "text": ""}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Decision":
        """The decision `as_dict` wrote; fields it does not know are an error (TypeError)."""
        layers = tuple(Layer(**{**layer, "runs": tuple(map(_run, layer["runs"]))}) for layer in tree["layers"])
        failures, retried = (tuple(Failure(**failure) for failure in tree.get(name, ())) for name in ("failures", "retried"))
        synthesis = _run(tree["synthesis"]) if tree.get("synthesis") else None
        snapshot = Snapshot.from_dict(tree["snapshot"]) if tree.get("snapshot") else None
        read = {"layers": layers, "failures": failures, "retried": retried, "synthesis": synthesis, "snapshot": snapshot}
        session = SessionChoice(**tree["session"]) if tree.get("session") else None
        action = Action.from_dict(tree["action"]) if tree.get("action") else None
        unknown = {name: tuple(tree.get(name, ())) for name in ("unpriced", "unmetered")}
        return cls(**{**tree, **read, **unknown, "session": session, "action": action})


def _run(tree: Mapping[str, Any]) -> Run:
    return Run(**{**tree, "usage": Usage(**tree["usage"]) if tree.get("usage") else None})


def _plain(value: Any, *, texts: bool) -> Any:
    if isinstance(value, Failure) and not texts:
        value = value.without_words()
    if isinstance(value, Snapshot):
        return value.as_dict()
    if isinstance(value, Usage | SessionChoice | Action):
        return asdict(value)
    if isinstance(value, Run | Layer | Failure):
        return {
            name: "" if name == "text" and not texts else _plain(getattr(value, name), texts=texts) for name in value.__dataclass_fields__
        }
    if isinstance(value, tuple | list):
        return [_plain(each, texts=texts) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
