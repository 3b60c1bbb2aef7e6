"""Options of `add-llm` and `set-llm` that are fields of a pool entry: their defaults and places come from the entry's schema.

An option is called as its field (`temperature` is `decoding.temperature`), so a new field of the schema costs one option there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from registry.entry import PoolEntry, StrictMapping


def _fields(part: type[StrictMapping], *above: str) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every single value of an entry, with the keys that lead to it."""
    for name, field in part.model_fields.items():
        choices = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = next((choice for choice in choices if isinstance(choice, type) and issubclass(choice, StrictMapping)), None)
        if inner is None:
            yield (*above, name), field
        else:
            yield from _fields(inner, *above, name)


FIELDS = {keys[-1]: (keys, field) for keys, field in _fields(PoolEntry)}


def default(name: str) -> str:
    """What the schema has for the field called `name` where an entry leaves it out, as help shows it."""
    return str(FIELDS[name][1].default)


def entry(options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a pool entry that `options` name; those that are None and those that are no field are left out."""
    named: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or name not in FIELDS:
            continue
        *above, key = FIELDS[name][0]
        part = named
        for step in above:
            part = part.setdefault(step, {})
        part[key] = value
    return named
