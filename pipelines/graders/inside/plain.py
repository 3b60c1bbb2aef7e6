"""Values as plain data: what crosses between the answer's process and the tests' is exact built-in types, and handles to everything else.

A subclass of a built-in type crosses as what it is underneath, so no `__eq__`, `__len__` or `__lt__` of an answer's own is ever asked.
"""

import builtins
import math
import sys
from collections.abc import Callable
from typing import Any

SMALL = 1 << 53
DEEPEST = 200
Export = Callable[[Any], int]
Import = Callable[[int], Any]


def encode(value: Any, export: Export, depth: int = 0) -> Any:
    """`value` as JSON; `export` gives a handle for what has no plain form. Raises RecursionError for a value that contains itself."""
    if depth > DEEPEST:
        raise RecursionError("a value is nested too deeply")
    if value is None or value is True or value is False:
        return value
    kinds = type.mro(type(value)) if isinstance(type(value), type) else []
    for kind, tag in _TAGS:
        if kind in kinds:
            return _ENCODERS[tag](value, lambda part: encode(part, export, depth + 1))
    for module, name, tag in _IMPORTED:
        if module in sys.modules and getattr(sys.modules[module], name, None) in kinds:
            return {"t": tag, "v": _PARTS[tag](value) if tag != "deque" else [encode(part, export, depth + 1) for part in value]}
    return {"t": "object", "v": export(value)}


def decode(value: Any, imported: Import) -> Any:
    """The value that `encode` made JSON of; `imported` turns a handle into something to work with."""
    if isinstance(value, list):
        return [decode(part, imported) for part in value]
    if not isinstance(value, dict):
        return value
    tag, inner = value["t"], value["v"]
    if tag == "object":
        return imported(int(inner))
    if tag == "dict":
        return {decode(key, imported): decode(part, imported) for key, part in inner}
    if tag in {"tuple", "set", "frozenset", "deque"}:
        from collections import deque

        kind: Any = {"tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque}[tag]
        return kind(decode(part, imported) for part in inner)
    return _DECODERS[tag](inner)


def raised(error: BaseException) -> dict[str, Any]:
    """An exception as plain data: its built-in classes, most special first, and its message."""
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    try:
        message = str(error)[:2_000]
    except Exception:
        message = ""
    return {"names": names, "message": message}


def exception(data: dict[str, Any]) -> Exception:
    """An exception of the nearest built-in class; one that would end the process (SystemExit) becomes a RuntimeError."""
    for name in data["names"]:
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(str(data["message"]))
            except TypeError:  # UnicodeDecodeError takes five arguments
                continue
    return RuntimeError(str(data["message"]))


def _float(value: float, _encode: Any) -> Any:
    exact = float.__float__(value)
    return exact if math.isfinite(exact) else {"t": "float", "v": repr(exact)}


def _int(value: int, _encode: Any) -> Any:
    exact = int.__index__(value)
    return exact if -SMALL < exact < SMALL else {"t": "int", "v": hex(exact)}


def _numbers(*names: str) -> Callable[[Any], list[Any]]:
    return lambda value: [getattr(value, name) for name in names]


_TAGS: tuple[tuple[type, str], ...] = (
    (int, "int"),
    (float, "float"),
    (str, "str"),
    (list, "list"),
    (tuple, "tuple"),
    (dict, "dict"),
    (set, "set"),
    (frozenset, "frozenset"),
    (bytes, "bytes"),
    (bytearray, "bytearray"),
    (complex, "complex"),
    (range, "range"),
)
_ENCODERS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "int": _int,
    "float": _float,
    "str": lambda value, _: str.__str__(value),
    "list": lambda value, part: [part(each) for each in list.__iter__(value)],
    "tuple": lambda value, part: {"t": "tuple", "v": [part(each) for each in tuple.__iter__(value)]},
    "dict": lambda value, part: {"t": "dict", "v": [[part(key), part(each)] for key, each in dict.items(value)]},
    "set": lambda value, part: {"t": "set", "v": [part(each) for each in set.__iter__(value)]},
    "frozenset": lambda value, part: {"t": "frozenset", "v": [part(each) for each in frozenset.__iter__(value)]},
    "bytes": lambda value, _: {"t": "bytes", "v": list(bytes.__iter__(value))},
    "bytearray": lambda value, _: {"t": "bytearray", "v": list(bytearray.__iter__(value))},
    "complex": lambda value, _: {"t": "complex", "v": repr(complex.__complex__(value))},
    "range": lambda value, _: {"t": "range", "v": [value.start, value.stop, value.step]},
}
_IMPORTED = (
    ("decimal", "Decimal", "decimal"),
    ("fractions", "Fraction", "fraction"),
    ("datetime", "datetime", "datetime"),
    ("datetime", "date", "date"),
    ("datetime", "timedelta", "timedelta"),
    ("collections", "deque", "deque"),
)
_PARTS: dict[str, Callable[[Any], Any]] = {
    "decimal": str,
    "fraction": lambda value: [hex(value.numerator), hex(value.denominator)],
    "datetime": lambda value: value.isoformat(),
    "date": lambda value: value.isoformat(),
    "timedelta": _numbers("days", "seconds", "microseconds"),
}


def _of(module: str, name: str) -> Any:
    return getattr(__import__(module), name)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda inner: int(inner, 16),
    "float": float,
    "bytes": bytes,
    "bytearray": bytearray,
    "complex": complex,
    "range": lambda inner: range(*inner),
    "decimal": lambda inner: _of("decimal", "Decimal")(str(inner)),
    "fraction": lambda inner: _of("fractions", "Fraction")(int(inner[0], 16), int(inner[1], 16)),
    "datetime": lambda inner: _of("datetime", "datetime").fromisoformat(inner),
    "date": lambda inner: _of("datetime", "date").fromisoformat(inner),
    "timedelta": lambda inner: _of("datetime", "timedelta")(*inner),
}
