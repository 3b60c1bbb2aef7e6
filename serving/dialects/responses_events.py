"""A response as typed server-sent events with sequence numbers: written from what an LLM says, or passed on as its endpoint sent them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixture.client.json_values import count, mapping, mappings, text
from mixture.client.native import Event
from mixture.client.protocol import Chunk
from mixture.decision import Decision
from serving.dialects.responses_output import Called, Item, Said, Thought, items_of, logprobs_of, thinks
from serving.dialects.server_sent import event
from serving.json_answers import error_body

LAST = frozenset({"response.completed", "response.incomplete"})
MOST_SEQUENCE = 2**31
Envelope = Callable[..., Mapping[str, Any]]  # the response around these items: (status, output, decision=None, error=None)


@dataclass(slots=True)
class ResponsesEvents:
    """Implements `serving.dialects.dialect.AnswerEvents`. envelope: of the response. free_form: names of tools that take a text."""

    decision_id: str
    envelope: Envelope
    free_form: frozenset[str]
    facts: Callable[[Decision], Mapping[str, Any] | None]
    _sequence: int = 0
    _began: bool = False
    _response: Mapping[str, Any] | None = None  # as an endpoint passed on began it
    _held_back: list[Event] = field(default_factory=list)
    _items: list[Item] = field(default_factory=list)
    _open: list[int] = field(default_factory=list)  # places in the output
    _calls: dict[int, "_Call"] = field(default_factory=dict)

    def chunk(self, chunk: Chunk) -> Sequence[bytes]:
        """The events of a chunk; none that says that the response is complete."""
        if chunk.native is not None:
            return self._passed_on(chunk.native)
        choice = next(iter(mappings(chunk.raw.get("choices"))), None)
        if choice is None:
            choice = {"delta": {"content": chunk.text}}
        delta = mapping(choice.get("delta"))
        events = self._thought(thinks(delta)) + self._said(text(delta.get("content")) or "", choice)
        events += self._said(text(delta.get("refusal")) or "", {}, refuses=True)
        for call in mappings(delta.get("tool_calls")):
            events += self._called(call)
        return events

    def end(self, decision: Decision) -> Sequence[bytes]:
        """What is still open, and the response; the endpoint's own where it was passed on."""
        if self._held_back:
            return self._passed_on_end(decision)
        events: list[bytes] = []
        if not self._items:  # an endpoint that knows no streams
            for item in items_of(decision, self.decision_id, self.free_form):
                events += self._begin(item) + self._whole(item)
        events += self._close()
        output = [item.whole() for item in self._items]
        status = "completed" if decision.finish_reason not in {"length", "content_filter"} else "incomplete"
        return [*events, *self._tell(type=f"response.{status}", response=self.envelope(status, output, decision=decision))]

    def failed(self, error: Exception) -> Sequence[bytes]:
        """The response as a failed one, and an error event, which clients raise."""
        said = error_body(error)["error"]
        code = "rate_limit_exceeded" if said["type"] == "rate_limit_error" else "server_error"
        if self._response is None:
            output = [item.whole("incomplete") for item in self._items]
            response = self.envelope("failed", output, error={"code": code, "message": said["message"]})
        else:
            response = {**self._response, "status": "failed", "error": {"code": code, "message": said["message"]}}
        return [*self._tell(type="response.failed", response=response), *self._tell(**{**said, "error": said, "type": "error"})]

    def _passed_on(self, passed: Event) -> list[bytes]:
        kind = str(passed.tree.get("type"))
        number = count(passed.tree.get("sequence_number"), MOST_SEQUENCE)
        self._sequence = self._sequence + 1 if number is None else number + 1
        self._began = True
        self._response = mapping(passed.tree.get("response")) or self._response
        if kind in LAST or self._held_back:
            self._held_back.append(passed)
            return []
        return [event(passed.tree, passed.name)]

    def _passed_on_end(self, decision: Decision) -> list[bytes]:
        facts = self.facts(decision)
        events = []
        for each in self._held_back:
            tree = each.tree
            if facts is not None and str(tree.get("type")) in LAST:
                tree = {**tree, "response": {**mapping(tree.get("response")), "routemoa": facts}}
            events.append(event(tree, each.name))
        return events

    def _thought(self, piece: str) -> list[bytes]:
        if not piece:
            return []
        events: list[bytes] = []
        item = self._last_open()
        if not isinstance(item, Thought):
            item = Thought(f"rs_{self.decision_id}_{len(self._items)}")
            events = self._begin(item)
        return events + self._told(self._place(item), item.add(piece))

    def _said(self, piece: str, choice: Mapping[str, Any], *, refuses: bool = False) -> list[bytes]:
        if not piece:
            return []
        events: list[bytes] = []
        item = self._last_open()
        if not isinstance(item, Said) or item.refuses is not refuses:
            item = Said(f"msg_{self.decision_id}_{len(self._items)}", refuses)
            events = self._begin(item)
        return events + self._told(self._place(item), item.add(piece, logprobs_of(choice)))

    def _called(self, part: Mapping[str, Any]) -> list[bytes]:
        """Calls stay open to the end: endpoints may write several at once."""
        number = count(part.get("index"), MOST_SEQUENCE) or 0
        call = self._calls.setdefault(number, _Call())
        what = mapping(part.get("function")) or mapping(part.get("custom"))
        call.id, call.name = text(part.get("id")) or call.id, text(what.get("name")) or call.name
        call.waiting.append(str(what.get("arguments") or what.get("input") or ""))
        events: list[bytes] = []
        if call.item is None and call.name is not None:
            made_up = f"call_{self.decision_id}_{number}"
            item_id = f"fc_{self.decision_id}_{len(self._items)}"
            call.item = Called(item_id, call.id or made_up, call.name, call.name in self.free_form)
            events += self._begin(call.item)
        if call.item is not None:
            waiting, call.waiting = call.waiting, []
            events += self._told(self._place(call.item), [each for piece in waiting for each in call.item.add(piece)])
        return events

    def _last_open(self) -> Item | None:
        return self._items[self._open[-1]] if self._open else None

    def _begin(self, item: Item) -> list[bytes]:
        """The next item; words and thoughts before it end."""
        events = self._close(but=Called)
        self._items.append(item)
        self._open.append(len(self._items) - 1)
        return events + self._told(len(self._items) - 1, item.begin())

    def _whole(self, item: Item) -> list[bytes]:
        """All that an item says, at once."""
        place, whole = self._place(item), item.whole()
        told: list[dict[str, Any]] = []
        for part in mappings(whole.get("content")):
            kind = {"output_text": "output_text", "refusal": "refusal"}.get(str(part["type"]), "reasoning_text")
            piece = part.get("text", part.get("refusal"))
            extra = {"logprobs": part["logprobs"]} if kind == "output_text" else {}
            told.append({"type": f"response.{kind}.delta", "item_id": item.id, "content_index": 0, "delta": piece, **extra})
        if whole["type"] == "function_call":
            told.append({"type": "response.function_call_arguments.delta", "item_id": item.id, "delta": whole["arguments"]})
        return self._told(place, told)

    def _close(self, but: type[Any] | None = None) -> list[bytes]:
        events: list[bytes] = []
        for place in list(self._open):
            item = self._items[place]
            if but is None or not isinstance(item, but):
                events += self._told(place, item.end())
                self._open.remove(place)
        return events

    def _place(self, item: Item) -> int:
        return next(place for place, each in enumerate(self._items) if each is item)

    def _told(self, place: int, told: Sequence[Mapping[str, Any]]) -> list[bytes]:
        return [written for each in told for written in self._tell(output_index=place, **each)]

    def _tell(self, **content: Any) -> list[bytes]:
        """The event with its sequence number; before the first, those that begin the response."""
        begun: list[bytes] = []
        if not self._began:
            self._began = True
            for kind in ("response.created", "response.in_progress"):
                begun += self._tell(type=kind, response=self.envelope("in_progress", []))
        content["sequence_number"] = self._sequence
        self._sequence += 1
        return [*begun, event(content, content["type"])]


@dataclass(slots=True)
class _Call:
    """A tool call whose name may not be there yet."""

    item: Called | None = None
    id: str | None = None
    name: str | None = None
    waiting: list[str] = field(default_factory=list)
