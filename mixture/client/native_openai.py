"""OpenAI's embeddings and older completions, which are no chat: sent as they were written, read for what they used."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mixture.client import failures, request_body
from mixture.client.complaints import Complaint
from mixture.client.json_values import mapping
from mixture.client.native import Event, NativeAssembly, without_omitted
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.stream_assembly import Assembly
from mixture.client.usage import UNCOUNTED, UsageReport
from mixture.client.wire import charge, charged
from mixture.llm import LLM


@dataclass(frozen=True, slots=True)
class NativeEmbeddings:
    """Implements `mixture.client.native.Native`. written: the caller's JSON without what is for us."""

    written: Mapping[str, Any]
    dialect: str = "embeddings"
    path: str = "/embeddings"

    def body(self, llm: LLM, *, stream: bool) -> dict[str, Any]:  # noqa: ARG002 - there are no streams of them
        """The caller's request, with the served name for `model`."""
        return without_omitted(llm, {**self.written, "model": request_body.endpoint(llm).served_name})

    def headers(self, llm: LLM) -> dict[str, str]:
        """The key."""
        return request_body.headers(llm)

    def assembly(self, call: Call) -> NativeAssembly:
        """What reads the reply."""
        return EmbeddingsAssembly(call)


@dataclass(slots=True)
class EmbeddingsAssembly:
    """Implements `mixture.client.native.NativeAssembly`."""

    call: Call
    _list: Mapping[str, Any] = field(default_factory=dict)
    _usage: UsageReport = UNCOUNTED

    def add(self, raw: Any, *, named: str | None = None) -> Chunk:  # noqa: ARG002 - there are no streams of them
        """The reply. Raises LLMGarbled where it is no list of embeddings, LLMFailed's children where it is an error."""
        tree = mapping(raw)
        usage = mapping(tree.get("usage"))
        self._usage = UsageReport.of({**usage, "completion_tokens": 0} if usage else None)
        if (complaint := Complaint.of({"error": tree.get("error")})) is not None:
            raise charged(failures.inside(self.call.llm, complaint), self.call.llm, self._usage)
        if not isinstance(tree.get("data"), list):
            raise charged(failures.garbled(self.call.llm, "the reply is no list of embeddings."), self.call.llm, self._usage)
        self._list = tree
        return Chunk("", {"choices": []})

    def complete(self, *, done: bool) -> bool:  # noqa: ARG002 - there are no streams of them
        """Once it is here."""
        return bool(self._list)

    def reply(self, latency_s: float) -> Reply:
        """The reply, priced: tokens read and none written."""
        llm = self.call.llm
        usage, _ = self._usage.completed(self.call, "")
        usage = replace(usage, output_tokens=0)
        return Reply(
            llm=llm.id,
            text="",
            finish_reason="stop",
            input_tokens=usage.input_tokens,
            output_tokens=0,
            cost_usd=charge(llm, usage, self._usage.stated_usd),
            latency_s=latency_s,
            usage=usage,
            stated_usd=self._usage.stated_usd,
            cost_known=llm.price.known or self._usage.stated_usd is not None,
            native=self._list,
        )


@dataclass(frozen=True, slots=True)
class NativeCompletions:
    """Implements `mixture.client.native.Native`. written: the caller's JSON without what is for us."""

    written: Mapping[str, Any]
    dialect: str = "completions"
    path: str = "/completions"

    def body(self, llm: LLM, *, stream: bool) -> dict[str, Any]:
        """The caller's request, with the served name for `model`; a stream ends with its usage, by which it is charged."""
        sent = {**self.written, "model": request_body.endpoint(llm).served_name, "stream": stream}
        if stream:
            sent["stream_options"] = {**mapping(sent.get("stream_options")), "include_usage": True}
        return without_omitted(llm, sent)

    def headers(self, llm: LLM) -> dict[str, str]:
        """The key."""
        return request_body.headers(llm)

    def assembly(self, call: Call) -> NativeAssembly:
        """What reads the reply."""
        return CompletionsAssembly(call, Assembly(call))


@dataclass(slots=True)
class CompletionsAssembly:
    """Implements `mixture.client.native.NativeAssembly`: the chat dialect's reader knows choices of bare text, too."""

    call: Call
    _inside: Assembly
    _last: Mapping[str, Any] = field(default_factory=dict)

    def add(self, raw: Any, *, named: str | None = None) -> Chunk:
        """The event, unchanged. Raises LLMGarbled where it cannot be read, LLMFailed's children where it is an error."""
        chunk = self._inside.add(raw, named=named)
        self._last = raw
        return replace(chunk, native=Event(named or "", raw))

    def complete(self, *, done: bool) -> bool:
        """Whether every choice has ended."""
        return self._inside.complete(done=done)

    def reply(self, latency_s: float) -> Reply:
        """The reply, priced."""
        return replace(self._inside.reply(latency_s), native=self._last)
