"""The spans of one request, in OpenTelemetry's semantic conventions for GenAI: the gateway's, and below it what was done for it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from mixture.decision import Decision
from mixture.errors import NoAnswer
from mixture.llm import LLM
from serving.tracing.attempts import AGGREGATION, Attempt, attempts
from serving.tracing.finished import Finished
from serving.tracing.messages import said, turns
from serving.tracing.providers import provider
from serving.tracing.request_trace import RequestTrace, new_span_id

Value = str | bool | int | float | tuple[str, ...]
Kind = Literal["server", "client", "internal"]


@dataclass(frozen=True, slots=True)
class Span:
    """One span; times in nanoseconds since the epoch. parent: a span of the same request, None for the gateway's. error: error.type."""

    name: str
    id: int
    parent: int | None
    kind: Kind
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    error: str | None = None


def spans(trace: RequestTrace, finished: Finished, *, texts: bool) -> list[Span]:
    """The gateway's first. texts: whether they hold prompts and answers, redacted as records are."""
    began_s = finished.account.started_at
    calls_ns = trace.ns(trace.began_at if began_s is None else began_s)
    made = [_gateway(trace, finished, texts=texts)]
    if finished.scorer_version:
        told: dict[str, Value] = {"routemoa.scorer_version": finished.scorer_version, "routemoa.candidates": len(finished.llms)}
        made.append(Span("route", new_span_id(), trace.span_id, "internal", trace.began_ns, calls_ns, told))
    asked = attempts(finished.account, finished.decision)
    aggregation = _aggregation(trace, finished, asked, calls_ns)
    made += [aggregation] if aggregation else []
    for attempt in asked:
        parent = aggregation.id if aggregation and attempt.layer == AGGREGATION else trace.span_id
        span = _attempt(trace, finished, attempt, parent, calls_ns, texts=texts)
        made += [span, *_judgements(finished.decision, attempt, span)]
    return made


def _gateway(trace: RequestTrace, finished: Finished, *, texts: bool) -> Span:
    """The whole request, as its caller sees it."""
    account, decision = finished.account, finished.decision
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "routemoa",
        "gen_ai.request.model": finished.model,
        "gen_ai.request.stream": finished.streamed,
        "gen_ai.response.id": f"chatcmpl-{finished.decision_id}",
        "gen_ai.usage.input_tokens": account.input_tokens,
        "gen_ai.usage.output_tokens": account.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": account.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": account.reasoning_tokens,
        "routemoa.decision_id": finished.decision_id,
        "routemoa.asked_by": finished.asked_by,
        "routemoa.cost_usd": account.ledger.spent_usd,
        "routemoa.unsettled_usd": account.ledger.unsettled_usd,
    }
    if finished.scorer_version:
        attributes["routemoa.scorer_version"] = finished.scorer_version
    if decision is not None:
        attributes |= {
            "gen_ai.response.model": decision.llm or "synthesis",
            "gen_ai.response.finish_reasons": (decision.finish_reason,),
            "routemoa.layers": len(decision.layers),
            "routemoa.stopped_because": decision.stopped_because,
            "routemoa.aggregation": decision.aggregation,
            "routemoa.score": decision.score,
        }
    if texts:
        attributes["gen_ai.input.messages"] = turns(finished.messages)
        if decision is not None:
            attributes["gen_ai.output.messages"] = said(decision.text, decision.finish_reason)
    error = None if finished.error is None else type(finished.error).__name__
    if isinstance(finished.error, NoAnswer):
        attributes["routemoa.no_answer"] = finished.error.why
    return Span(f"chat {finished.model}", trace.span_id, None, "server", trace.began_ns, trace.ns(finished.ended_at), attributes, error)


def _attempt(trace: RequestTrace, finished: Finished, attempt: Attempt, parent: int, calls_ns: int, *, texts: bool) -> Span:
    """One call to one LLM, or an attempt of it."""
    reply, error = attempt.reply, attempt.error
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "routemoa.llm": attempt.llm,
        "routemoa.layer": attempt.layer,
        "routemoa.ended_because": "answered" if error is None else type(error).__name__,
    }
    llm = finished.llms.get(attempt.llm)
    attributes |= {} if llm is None else _asked(llm)
    if reply is not None:
        attributes |= {
            "gen_ai.response.model": str(reply.raw.get("model") or attributes.get("gen_ai.request.model", reply.llm)),
            "gen_ai.response.finish_reasons": (reply.finish_reason,),
            "gen_ai.usage.input_tokens": reply.input_tokens,
            "gen_ai.usage.output_tokens": reply.output_tokens,
            "routemoa.usage_estimated": reply.usage_estimated,
        }
        if isinstance(reply.raw.get("id"), str):
            attributes["gen_ai.response.id"] = reply.raw["id"]
        if reply.usage is not None:
            attributes |= {
                "gen_ai.usage.cache_read.input_tokens": reply.usage.cache_read,
                "gen_ai.usage.cache_creation.input_tokens": reply.usage.cache_write + reply.usage.cache_write_1h,
                "gen_ai.usage.reasoning.output_tokens": reply.usage.reasoning,
            }
        if reply.cost_known:
            attributes["routemoa.cost_usd"] = reply.cost_usd
        if reply.stated_usd is not None:
            attributes["routemoa.stated_usd"] = reply.stated_usd
        if texts:
            attributes["gen_ai.output.messages"] = said(reply.text, reply.finish_reason)
    if error is not None and error.status is not None:
        attributes["http.response.status_code"] = error.status
    ids = trace.calls.get(attempt.llm, [])
    span_id = ids[attempt.call] if attempt.call is not None and attempt.call < len(ids) else new_span_id()
    name = f"chat {attributes.get('gen_ai.request.model', attempt.llm)}"
    start_ns, end_ns = (calls_ns + round(max(0.0, each) * 1e9) for each in (attempt.start_s, attempt.end_s))
    return Span(
        name, span_id, parent, "client", start_ns, max(start_ns, end_ns), attributes, None if error is None else type(error).__name__
    )


def _asked(llm: LLM) -> dict[str, Value]:
    """Who is asked, where, and how."""
    attributes: dict[str, Value] = {"gen_ai.request.max_tokens": llm.decoding.max_tokens}
    if llm.effort is not None:
        attributes["routemoa.effort"] = str(llm.effort)
    if llm.endpoint is not None:
        parts = urlsplit(llm.endpoint.base_url)
        attributes |= {
            "gen_ai.provider.name": provider(llm.endpoint.base_url),
            "gen_ai.request.model": llm.endpoint.served_name,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }
    return attributes


def _judgements(decision: Decision | None, attempt: Attempt, span: Span) -> Iterator[Span]:
    """What an LLM judged within its answering call, where that counted: the time is the call's."""
    if decision is None or attempt.error is not None or not 1 <= attempt.layer <= len(decision.layers):
        return
    layer = decision.layers[attempt.layer - 1]
    if layer.judge == attempt.llm and attempt.call is not None:
        attributes: dict[str, Value] = {"routemoa.judge": attempt.llm, "routemoa.scores": json.dumps(dict(layer.cross))}
        yield Span(f"judge {attempt.llm}", new_span_id(), span.id, "internal", span.start_ns, span.end_ns, attributes)


def _aggregation(trace: RequestTrace, finished: Finished, asked: list[Attempt], calls_ns: int) -> Span | None:
    """How several answers became one: from the last answer on, or from when an aggregator was asked. None where there was only one."""
    decision = finished.decision
    several = decision is not None and len({run.llm for layer in decision.layers for run in layer.runs}) > 1
    written = [each for each in asked if each.layer == AGGREGATION]
    if decision is None or not (several or written):
        return None
    answered = [run.at_s for layer in decision.layers for run in layer.runs]
    start_ns = calls_ns + round(max(answered) * 1e9)
    attributes: dict[str, Value] = {"routemoa.aggregation": decision.aggregation, "routemoa.answers": len(answered)}
    if decision.llm is not None:
        attributes["routemoa.llm"] = decision.llm
    end_ns = max(start_ns, calls_ns + round(decision.latency_s * 1e9))
    return Span(f"aggregate {decision.aggregation}", new_span_id(), trace.span_id, "internal", start_ns, end_ns, attributes)
