"""Decisions as OpenAI's chat completions, whole and in chunks, with our own facts under `routemoa`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mixture.client.protocol import Chunk
from mixture.decision import Decision
from serving.scorers.scored_request import ScoredRequest


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer's envelope. model: as the caller named it. created: seconds since the epoch."""

    decision_id: str
    model: str
    created: int
    scored: ScoredRequest | None
    explain: bool

    @property
    def id(self) -> str:
        """OpenAI's id of the answer."""
        return f"chatcmpl-{self.decision_id}"

    def whole(self, decision: Decision) -> dict[str, Any]:
        """A chat completion; where one LLM answered unchanged, its own choices (tool calls, log-probabilities) as they were."""
        raw = decision.reply.raw if decision.reply is not None else {}
        choices = raw.get("choices") or [
            {"index": 0, "message": {"role": "assistant", "content": decision.text}, "finish_reason": decision.finish_reason}
        ]
        return {
            **raw,
            **self._head("chat.completion"),
            "choices": choices,
            "usage": usage(decision, raw),
            "routemoa": self.facts(decision),
        }

    def chunk(self, chunk: Chunk, *, first: bool) -> dict[str, Any] | None:
        """A chunk as the caller sees it; None where it brings nothing to see."""
        if chunk.raw:
            if not chunk.raw.get("choices"):
                return None  # the endpoint's usage: ours counts everything that was run
            return {**{name: value for name, value in chunk.raw.items() if name != "usage"}, **self._head("chat.completion.chunk")}
        if not chunk.text:
            return None
        delta = {"role": "assistant", "content": chunk.text} if first else {"content": chunk.text}
        return self._chunk(delta, None)

    def last(self, decision: Decision, own: Mapping[str, Any] | None) -> dict[str, Any]:
        """The chunk that ends the answer: `own` is the endpoint's, if one LLM answered unchanged."""
        return {**(own or self._chunk({}, decision.finish_reason)), "routemoa": self.facts(decision)}

    def usage_chunk(self, decision: Decision) -> dict[str, Any]:
        """What `stream_options.include_usage` asks for: no choices, the usage."""
        raw = decision.reply.raw if decision.reply is not None else {}
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage(decision, raw)}

    def facts(self, decision: Decision) -> dict[str, Any]:
        """What was decided; all of it where the caller wants an explanation."""
        scored = self.scored
        facts: dict[str, Any] = {
            "decision_id": self.decision_id,
            "scorer_version": None if scored is None else scored.active.version,
            "llm": decision.llm,
            "asked": [run.llm for layer in decision.layers for run in layer.runs],
            "layers": len(decision.layers),
            "aggregation": decision.aggregation,
            "stopped_because": decision.stopped_because,
            "cost_usd": None if decision.unpriced else decision.cost_usd,
            "unsettled_usd": decision.unsettled_usd,
            "energy_kwh": None if decision.unmetered else decision.energy_kwh,
            "latency_s": decision.latency_s,
            "unlike_anything_labelled": None if scored is None or scored.familiar is None else scored.familiar.unlike,
            "explored": decision.action is not None and decision.action.explored,
            "session": None if decision.session is None else asdict(decision.session),
        }
        if self.explain:
            scores = {} if scored is None else dict(scored.scores)
            facts |= {"scores": scores, "excluded": dict(decision.excluded), "decision": decision.as_dict()}
        return facts

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: Mapping[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta), "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}


def usage(decision: Decision, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens of everything that was run, thought and cached ones apart; an endpoint's own details are kept where it alone was."""
    details = raw.get("usage")
    own = details if isinstance(details, dict) else {}
    parts = {
        "completion_tokens_details": {"reasoning_tokens": decision.reasoning_tokens},
        "prompt_tokens_details": {"cached_tokens": decision.cached_tokens},
    }
    return {
        **own,
        **{name: {**(own.get(name) or {}), **counted} for name, counted in parts.items() if any(counted.values())},
        "prompt_tokens": decision.input_tokens,
        "completion_tokens": decision.output_tokens,
        "total_tokens": decision.input_tokens + decision.output_tokens,
    }
