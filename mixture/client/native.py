"""A request in the caller's own dialect, for endpoints that speak it: it goes there as written, and what comes back stays as it is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from mixture.client.protocol import Call, Chunk, Reply
    from mixture.llm import LLM


class Event(NamedTuple):
    """One event of a stream: its name, if it has one, and its JSON."""

    name: str
    tree: Any


class Native(Protocol):
    """The caller's own request. Used where `dialect` is among the endpoint's and the pool entry adds no prompt or effort of its own."""

    @property
    def dialect(self) -> str:
        """As `endpoint.dialects` of a pool entry has it."""

    @property
    def path(self) -> str:
        """Where such requests go, after the endpoint's `base_url`: `/responses`."""

    def body(self, llm: "LLM", *, stream: bool) -> dict[str, Any]:
        """The request: the caller's, with the served name for `model`."""

    def headers(self, llm: "LLM") -> dict[str, str]:
        """Its headers, the key among them. Raises LLMRefused where the key's variable is not set."""

    def assembly(self, call: "Call") -> "NativeAssembly":
        """What reads the reply to it."""


class NativeAssembly(Protocol):
    """A reply being read event by event, as `mixture.client.stream_assembly.Assembly` reads those of the chat dialect."""

    call: "Call"

    def add(self, raw: Any, *, named: str | None = None) -> "Chunk":
        """The event as it passes on: unchanged in `Chunk.native`, and in `Chunk.raw` what it brings in the chat dialect's form.

        A whole reply is an event without a name. Raises LLMGarbled where it cannot be read, LLMFailed's children where it is an error.
        """

    def complete(self, *, done: bool) -> bool:
        """Whether the reply has ended. done: the endpoint said so by its own mark."""

    def reply(self, latency_s: float) -> "Reply":
        """The finished reply, priced. `raw`: in the chat dialect's form; `native`: as the endpoint would send it whole."""


NO_OTHER_WAY = frozenset({"embeddings", "completions"})  # what is no chat: sent to whichever endpoint the caller names, or nowhere


def usable(native: Native | None, llm: "LLM") -> bool:
    """Whether `llm` gets the caller's own request."""
    if native is None or llm.endpoint is None:
        return False
    if native.dialect in NO_OTHER_WAY:
        return True
    if native.dialect not in llm.endpoint.dialects:
        return False
    return not llm.prompt.system and not llm.prompt.suffix and llm.effort is None


def without_omitted(llm: "LLM", body: Mapping[str, Any]) -> dict[str, Any]:
    """`body` without the fields that the pool entry leaves out, those renamed that it renames."""
    return llm.request_fields.apply(body)
