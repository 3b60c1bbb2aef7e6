"""Spans of the OpenTelemetry GenAI conventions (1.38, 1.39) as OTLP JSON, the form that a collector's file exporter writes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.logs import chat
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.fields import Fields, loaded
from pipelines.logs.reading import Reading, objects
from pipelines.user_files import content

NAME = "spans in OTLP JSON"
CALLS = frozenset({"chat", "text_completion", "generate_content"})
FAILED = (2, "2", "STATUS_CODE_ERROR")
DEEPEST = 50  # levels of an attribute's value


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The spans that ask an LLM; one that others like it are in is their sum, and left out."""
    inside = {_text(span.get("parentSpanId")) for path in paths for _, span in _spans(path) if _is_call(_attributes(span))}
    for path, (number, span) in ((each, found) for each in paths for found in _spans(each)):
        attributes = _attributes(span)
        if not _is_call(attributes):
            reading.skip("spans that ask no LLM")
        elif _text(span.get("spanId")) in inside:
            reading.skip("spans that are the sum of others")
        elif (objects(span.get("status")) or [{}])[0].get("code") in FAILED:
            reading.skip("calls that failed")
        else:
            reading.scores += _call(reading, path, reading.fields(path, number, span), attributes)


def _spans(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each span with its place in the file. Raises ImportRefused where a value holds no spans."""
    number = 0
    for row in content.rows(path):
        if "resourceSpans" not in row.cells:
            what = f"{path}: has no {NAME}: an object without resourceSpans."
            raise ImportRefused(what, next_step="Export traces with the collector's file exporter.")
        for resource in objects(row.cells["resourceSpans"]):
            for scope in objects(resource.get("scopeSpans")):
                for span in objects(scope.get("spans")):
                    number += 1
                    yield number, span


def _is_call(attributes: Mapping[str, Any]) -> bool:
    operation = attributes.get("gen_ai.operation.name")
    return operation in CALLS if isinstance(operation, str) else "gen_ai.usage.input_tokens" in attributes


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {str(each.get("key")): _plain(each.get("value"), 0) for each in objects(holder.get("attributes") or [])}


def _plain(value: Any, depth: int) -> Any:
    """An attribute's value without OTLP's wrapping."""
    if not isinstance(value, dict) or depth > DEEPEST:
        return None
    if isinstance(inner := value.get("arrayValue"), dict):
        return [_plain(each, depth + 1) for each in objects(inner.get("values") or [])]
    if isinstance(inner := value.get("kvlistValue"), dict):
        return {str(each.get("key")): _plain(each.get("value"), depth + 1) for each in objects(inner.get("values") or [])}
    return next((value[kind] for kind in ("stringValue", "intValue", "doubleValue", "boolValue") if kind in value), None)


def _call(reading: Reading, path: Path, span: Fields, attributes: Mapping[str, Any]) -> list[tuple[str, str, object]]:
    """Keeps the call; returns its scores."""
    events = objects(span.items("events"))
    told = dict(attributes)
    for event in events:
        if "gen_ai.evaluation.result" not in str(event.get("name")):
            told = _attributes(event) | told  # texts may come in an event of their own
    row = reading.fields(path, span.number, told)
    system, sent = row.raw("gen_ai.system_instructions"), row.raw("gen_ai.input.messages")
    asked = chat.asked([*_messages(system, "system"), *_messages(sent, "user")])
    replies = _messages(row.raw("gen_ai.output.messages"), "assistant")
    started, ended = span.when("startTimeUnixNano"), span.when("endTimeUnixNano")
    call_id = span.text("spanId")
    reasons = row.items("gen_ai.response.finish_reasons")
    reading.keep(
        LoggedCall(
            str(path),
            span.number,
            call_id=call_id,
            at=started,
            llm=row.text("gen_ai.response.model", "gen_ai.request.model"),
            provider=row.text("gen_ai.provider.name", "gen_ai.system"),
            key=row.text("user.id", "enduser.id"),
            session=row.text("gen_ai.conversation.id", "session.id") or span.text("traceId"),
            tier=row.text("openai.response.service_tier"),
            text=asked.text if asked else None,
            messages=asked.messages if asked else None,
            answer=chat.replied(replies),
            finish_reason=str(reasons[0]) if reasons else None,
            usage=LoggedUsage(
                row.count("gen_ai.usage.input_tokens"),
                row.count("gen_ai.usage.cache_read.input_tokens"),
                row.count("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
                row.count("gen_ai.usage.output_tokens"),
                row.count("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
            ),
            latency_s=chat.seconds_between(started, ended),
            rest=row.rest(),
        )
    )
    return [_score(_attributes(event), call_id or "") for event in events if "gen_ai.evaluation.result" in str(event.get("name"))]


def _score(told: Mapping[str, Any], call_id: str) -> tuple[str, str, object]:
    value = told.get("gen_ai.evaluation.score.value", told.get("gen_ai.evaluation.score.label"))
    return str(told.get("gen_ai.evaluation.name") or "evaluation"), call_id, value


def _messages(value: Any, role: str) -> list[dict[str, Any]]:
    """Messages in the OpenAI protocol's form: a list of them, one as a text, parts, or the JSON of any."""
    value = loaded(value) if isinstance(value, str) else value
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if not isinstance(value, list):
        return []
    every = objects(value)
    if every and all("role" not in each for each in every):
        return [{"role": role, "content": _parts(every)}]
    return [{"role": str(each.get("role") or role), "content": _parts(each.get("parts", each.get("content")))} for each in every]


def _parts(value: Any) -> str:
    if isinstance(value, str):
        return value
    texts = [each.get("content", each.get("text")) for each in objects(value or [])]
    return "\n".join(text for text in texts if isinstance(text, str))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
