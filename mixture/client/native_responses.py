"""OpenAI's responses for endpoints that speak them: the caller's request goes there as it was written, and the reply is only read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixture.client import failures, request_body
from mixture.client.complaints import Complaint
from mixture.client.json_values import mapping, mappings, text
from mixture.client.native import Event, without_omitted
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.stream_assembly import MOST_CHARACTERS
from mixture.client.usage import UNCOUNTED, UsageReport
from mixture.client.wire import charge, charged
from mixture.errors import LLMFailed
from mixture.llm import LLM

ENDED = frozenset({"completed", "incomplete"})  # statuses of a response
_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}  # by why a response is incomplete
_SAYS = {"response.output_text.delta": "content", "response.refusal.delta": "refusal"}
_THINKS = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})


@dataclass(frozen=True, slots=True)
class NativeResponses:
    """Implements `mixture.client.native.Native`. written: the caller's JSON without what is for us.

    kept: the items that it goes on from, and kept_by: the LLM whose endpoint keeps them under the caller's `previous_response_id`.
    Any other gets them with the request, less what another LLM thought.
    """

    written: Mapping[str, Any]
    kept: Sequence[Mapping[str, Any]] = ()
    kept_by: str | None = None
    dialect: str = "responses"
    path: str = "/responses"

    def body(self, llm: LLM, *, stream: bool) -> dict[str, Any]:
        """The caller's request, with the served name for `model`."""
        sent = dict(self.written)
        if self.kept and llm.id != self.kept_by:
            sent.pop("previous_response_id", None)
            new = sent["input"]
            asked = [{"role": "user", "content": new}] if isinstance(new, str) else new
            sent["input"] = [*(item for item in self.kept if item.get("type") != "reasoning"), *asked]
        sent |= {"model": request_body.endpoint(llm).served_name, "stream": stream}
        return without_omitted(llm, sent)

    def headers(self, llm: LLM) -> dict[str, str]:
        """The key."""
        return request_body.headers(llm)

    def assembly(self, call: Call) -> "ResponsesAssembly":
        """What reads the reply."""
        return ResponsesAssembly(call)


@dataclass(slots=True)
class ResponsesAssembly:
    """Implements `mixture.client.native.NativeAssembly`."""

    call: Call
    _response: Mapping[str, Any] = field(default_factory=dict)
    _items: list[dict[str, Any]] = field(default_factory=list)
    _usage: UsageReport = UNCOUNTED
    _written: list[str] = field(default_factory=list)
    _size: int = 0

    def add(self, raw: Any, *, named: str | None = None) -> Chunk:
        """The event, unchanged. Raises LLMGarbled where it is none, LLMFailed's children where it is an error, its cost in it."""
        tree = mapping(raw)
        if not tree:
            raise failures.garbled(self.call.llm, "the reply is no response but something else in JSON.")
        whole = tree.get("object") == "response"
        response = tree if whole else mapping(tree.get("response"))
        self._usage = self._usage.fold(UsageReport.of(response.get("usage")))
        if (failed := self._failure(tree, response, named)) is not None:
            failed.billable = failed.billable or self._size > 0
            raise charged(failed, self.call.llm, self._usage)
        if not whole and text(tree.get("type")) is None:
            raise failures.garbled(self.call.llm, "the reply is no response: an event has no type.")
        self._response = response or self._response
        if tree.get("type") == "response.output_item.done":
            self._items.append(mapping(tree.get("item")))
        delta = _delta(tree)
        self._grow(delta)
        choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta else []
        said = delta.get("content") or delta.get("refusal") or ""
        return Chunk(said if isinstance(said, str) else "", {"choices": choices}, native=None if whole else Event(named or "", tree))

    def complete(self, *, done: bool) -> bool:  # noqa: ARG002 - a mark alone completes no response
        """Whether the response says so itself."""
        return str(self._response.get("status")) in ENDED

    def reply(self, latency_s: float) -> Reply:
        """The reply, priced. Raises LLMGarbled where it is no finished response."""
        llm = self.call.llm
        if not self.complete(done=True):
            raise charged(failures.garbled(llm, "the reply is no finished response."), llm, self._usage)
        output = mappings(self._response.get("output")) or self._items
        message = _message(output)
        usage, details = self._usage.completed(self.call, "".join(self._written) or str(output))
        reason = _FINISH.get(str(mapping(self._response.get("incomplete_details")).get("reason")), "length")
        finish = reason if self._response["status"] == "incomplete" else "tool_calls" if "tool_calls" in message else "stop"
        choices = [{"index": 0, "message": message, "finish_reason": finish}]
        return Reply(
            llm=llm.id,
            text=message["content"] or message.get("refusal", ""),
            finish_reason=finish,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=charge(llm, usage, self._usage.stated_usd),
            latency_s=latency_s,
            raw={"id": self._response.get("id"), "object": "chat.completion", "choices": choices, "usage": details},
            usage=usage,
            stated_usd=self._usage.stated_usd,
            cost_known=llm.price.known or self._usage.stated_usd is not None,
            native={**self._response, "output": output},
        )

    def _failure(self, tree: Mapping[str, Any], response: Mapping[str, Any], named: str | None) -> LLMFailed | None:
        if tree.get("type") == "error" or named == "error":
            complaint = Complaint.of({"error": tree["error"]} if mapping(tree.get("error")) else {**tree, "type": "error"})
        elif str(response.get("status")) in {"failed", "cancelled"}:
            complaint = Complaint.of({"error": response.get("error")}) or Complaint(f"the response is {response['status']}")
        else:
            complaint = None if response or "type" in tree else Complaint.of(tree)
        return None if complaint is None else failures.inside(self.call.llm, complaint)

    def _grow(self, delta: Mapping[str, Any]) -> None:
        pieces = [value for value in delta.values() if isinstance(value, str)]
        pieces += [str(mapping(each.get("function")).get("arguments") or "") for each in mappings(delta.get("tool_calls"))]
        self._written += pieces
        self._size += sum(map(len, pieces))
        if self._size > MOST_CHARACTERS:
            too_long = failures.garbled(self.call.llm, f"the reply is longer than {MOST_CHARACTERS:,} characters.")
            raise charged(too_long, self.call.llm, self._usage)


def _delta(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What an event brings, as a chat completion's delta; empty where it brings nothing to see."""
    kind, piece = str(tree.get("type")), text(tree.get("delta"))
    item = mapping(tree.get("item"))
    if kind in _SAYS and piece:
        return {_SAYS[kind]: piece}
    if kind in _THINKS and piece:
        return {"reasoning_content": piece}
    if kind == "response.output_item.added" and str(item.get("type")).endswith("_call"):
        return {"tool_calls": [{"index": 0, "function": {"name": item.get("name"), "arguments": ""}}]}
    if kind in {"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"} and piece:
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    return {}


def _message(output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The output as the message of a chat completion."""
    parts = [part for item in output if item.get("type") == "message" for part in mappings(item.get("content"))]
    content = "".join(text(part.get("text")) or "" for part in parts if part.get("type") == "output_text")
    refusal = "".join(text(part.get("refusal")) or "" for part in parts if part.get("type") == "refusal")
    thought = [part for item in output if item.get("type") == "reasoning" for part in _thoughts(item)]
    calls = [_call(item) for item in output if str(item.get("type")).endswith("_call")]
    return {
        "role": "assistant",
        "content": content,
        **({"refusal": refusal} if refusal else {}),
        **({"reasoning_content": "".join(thought)} if thought else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def _thoughts(item: Mapping[str, Any]) -> list[str]:
    return [text(each.get("text")) or "" for name in ("summary", "content") for each in mappings(item.get(name))]


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    what = {"name": text(item.get("name")) or str(item.get("type")), "arguments": item.get("arguments") or item.get("input") or ""}
    return {"id": item.get("call_id") or item.get("id"), "type": "function", "function": what}
