"""Says in words what Pydantic refused: the field, the reason and the value; for an unknown key, the keys it may have meant."""

import typing
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from scorer.near_matches import near_matches

Location = tuple[int | str, ...]  # field names, indices and keys from the outside in, as Pydantic gives them


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with what was written.

    reason: Pydantic's message. value: what stood there. keys: for an unknown key, those that its mapping may have.
    """

    location: Location
    kind: str
    reason: str
    value: object
    keys: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The dotted name; empty for the content as a whole."""
        return ".".join(map(str, self.location))

    @property
    def is_missing(self) -> bool:
        """Whether a required key is not there."""
        return self.kind == "missing"

    @property
    def is_unknown_key(self) -> bool:
        """Whether the key is not one of the schema."""
        return self.kind == "extra_forbidden"

    def in_words(self, where: str, *, with_value: bool) -> str:
        """The complaint as a clause. where: what comes before the field's name."""
        name = ".".join(filter(None, [where, self.field])) or "the content"
        if self.is_missing:
            return f"{name} is missing"
        if self.is_unknown_key:
            near = near_matches(str(self.location[-1]), self.keys)
            return f"{name} is not a known key" + (
                f", did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(self.keys)}"
            )
        return f"{name}: {self.reason}" + (f" (found {self.value!r})" if with_value else "")


def explain(error: ValidationError, model: type[BaseModel], *, where: str = "", secret: Collection[str] = ()) -> str:
    """Every complaint of `error`, which `model` raised, in one sentence.

    where: put before each field's name. secret: fields whose values are not repeated.
    """
    clauses = (each.in_words(where, with_value=not set(secret).intersection(each.location)) for each in complaints(error, model))
    text = "; ".join(clauses)
    return text if text.endswith("?") else f"{text}."


def complaints(error: ValidationError, model: type[BaseModel]) -> list[Complaint]:
    """What `error`, which `model` raised, consists of."""
    return [
        Complaint(
            location=details["loc"],
            kind=details["type"],
            reason=details["msg"].removeprefix("Value error, ").rstrip("."),
            value=details["input"],
            keys=tuple(_keys_beside(model, details["loc"])) if details["type"] == "extra_forbidden" else (),
        )
        for details in error.errors(include_url=False, include_context=False)
    ]


def _keys_beside(model: type[BaseModel], location: Location) -> list[str]:
    """The keys of the model that the last step of `location` is a key of; indices and keys of plain mappings are stepped over."""
    for step in location[:-1]:
        field = next((field for name, field in model.model_fields.items() if step in {name, field.alias}), None)
        model = next(_models_in(field.annotation), model) if field is not None else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models an annotation such as `list[Entry] | None` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
