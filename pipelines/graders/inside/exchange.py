"""Two processes that call each other's functions, one message at a time, a JSON line each way; only plain data crosses."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from pipelines.graders.inside.plain import decode, encode, exception, raised

MOST_OBJECTS = 100_000


class Exchange:
    """One end. `operations`: what the other end may ask of an object that was handed to it."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, operations: Mapping[str, Callable[..., Any]]) -> None:
        self._incoming, self._outgoing, self._operations = incoming, outgoing, operations
        self._mine: dict[int, Any] = {}

    def export(self, value: Any) -> int:
        """A handle the other end can name `value` by."""
        if len(self._mine) >= MOST_OBJECTS:
            raise MemoryError("too many objects were handed over")
        self._mine[len(self._mine)] = value
        return len(self._mine) - 1

    def send(self, message: Any) -> None:
        """Writes one line."""
        self._outgoing.write(json.dumps(message).encode() + b"\n")
        self._outgoing.flush()

    def receive(self) -> Any:
        """Reads one line. Raises EOFError where the other end is gone."""
        line = self._incoming.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the other process is gone")
        return json.loads(line)

    def ask(self, operation: str, handle: int, *arguments: Any, **named: Any) -> Any:
        """What the other end's object gives; raises what it raises. Lists, dicts and sets it changed are changed here too."""
        self.send(
            {
                "ask": operation,
                "of": handle,
                "args": [self._encode(each) for each in arguments],
                "named": {name: self._encode(each) for name, each in named.items()},
            }
        )
        while "ask" in (message := self.receive()):
            self._answer(message)
        for at, changed in message.get("changed", []):
            _overwrite(arguments[at], self._decode(changed))
        if "raised" in message:
            raise exception(message["raised"])
        return self._decode(message["value"])

    def serve(self) -> None:
        """Answers until the other end is gone."""
        while True:
            self._answer(self.receive())

    def _answer(self, message: Any) -> None:
        """Does what one message asks and sends what came of it."""
        reply: dict[str, Any] = {}
        arguments: list[Any] = []
        try:
            arguments = [self._decode(each) for each in message["args"]]
            named = {name: self._decode(each) for name, each in message["named"].items()}
            reply["value"] = self._encode(self._operations[message["ask"]](self._mine[message["of"]], *arguments, **named))
        except BaseException as error:  # an answer that calls exit() has failed this call
            reply = {"raised": raised(error)}
        changed = [(at, argument) for at, argument in enumerate(arguments) if type(argument) in {list, dict, set}]
        try:
            encoded = [(at, self._encode(argument)) for at, argument in changed]
            reply["changed"] = [(at, after) for at, after in encoded if json.dumps(after) != json.dumps(message["args"][at])]
            self.send(reply)
        except (RecursionError, MemoryError, ValueError, TypeError) as error:
            self.send({"raised": raised(error)})

    def _encode(self, value: Any) -> Any:
        if type(value) is Remote and value._exchange is self:
            return {"t": "object", "v": -1 - value._handle}
        return encode(value, self.export)

    def _decode(self, value: Any) -> Any:
        return decode(value, lambda handle: self._mine[-1 - handle] if handle < 0 else Remote(self, handle))


class Remote:
    """An object of the other process. It equals nothing but itself; calling it, its attributes, items and iteration are asked for there."""

    def __init__(self, exchange: Exchange, handle: int) -> None:
        self._exchange, self._handle = exchange, handle

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Calls it in its process."""
        return self._exchange.ask("call", self._handle, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._exchange.ask("attribute", self._handle, name)

    def __getitem__(self, key: Any) -> Any:
        return self._exchange.ask("item", self._handle, key)

    def __len__(self) -> int:
        return int(self._exchange.ask("length", self._handle))

    def __bool__(self) -> bool:
        return True

    def __next__(self) -> Any:
        step = self._exchange.ask("next", self._handle)
        if step is None:
            raise StopIteration
        return step[0]

    def __iter__(self) -> Iterator[Any]:
        iterator = self._exchange.ask("iterate", self._handle)
        while (step := iterator._exchange.ask("next", iterator._handle)) is not None:
            yield step[0]


def _call(function: Any, *arguments: Any, **named: Any) -> Any:
    return function(*arguments, **named)


class _Iterator:
    """An iterator that is handed over as an object even where it could be plain data."""

    def __init__(self, values: Any) -> None:
        self.values = iter(values)


def _next(iterator: Any) -> Any:
    """The next value in a list of its own, None at the end."""
    for value in iterator.values if isinstance(iterator, _Iterator) else iterator:
        return [value]
    return None


CALLS: Mapping[str, Callable[..., Any]] = {"call": _call}  # all that the tests' process lets an answer do with what it is handed
OBJECTS: Mapping[str, Callable[..., Any]] = {
    **CALLS,
    "attribute": getattr,
    "item": lambda value, key: value[key],
    "length": len,
    "iterate": _Iterator,
    "next": _next,
}


def _overwrite(old: Any, new: Any) -> None:
    """Gives a changed argument its new content, in place."""
    if type(old) is list and type(new) is list:
        old[:] = new
    elif type(old) in {dict, set} and type(new) is type(old):
        old.clear()
        old.update(new)
