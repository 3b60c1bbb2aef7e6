"""What Pydantic refuses is said in words a person can act on."""

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.validation_errors import complaints, explain


class Wheel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=1)


class Car(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    wheels: list[Wheel] = []
    spare: Annotated[Wheel | None, Field()] = None
    by_side: dict[str, Wheel] = {}
    class_: str = Field(default="", alias="class")


def refusal(content: object) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        Car.model_validate(content)
    return refused.value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "name is missing."),
        ({"name": "a", "nam": 1}, "nam is not a known key, did you mean name?"),
        ({"name": "a", "clas": 1}, "clas is not a known key, did you mean class?"),
        ({"name": "a", "zzz": 1}, "zzz is not a known key; known are name, wheels, spare, by_side, class."),
        ({"name": "a", "wheels": [{"size": 1, "sise": 2}]}, "wheels.0.sise is not a known key, did you mean size?"),
        ({"name": "a", "spare": {"size": 1, "sise": 2}}, "spare.sise is not a known key, did you mean size?"),
        ({"name": "a", "by_side": {"left": {"size": 1, "sise": 2}}}, "by_side.left.sise is not a known key, did you mean size?"),
        ({"name": "a", "spare": {"size": 0}}, "spare.size: Input should be greater than or equal to 1 (found 0)."),
        ({"wheels": [{}]}, "name is missing; wheels.0.size is missing."),
        (3, "the content: Input should be a valid dictionary or instance of Car (found 3)."),
    ],
)
def test_every_complaint_names_field_reason_and_value(content: object, words: str) -> None:
    """Missing, unknown (with near keys of the mapping it stands in, through lists, options and mappings) and wrong are told apart."""
    assert explain(refusal(content), Car) == words


def test_where_stands_before_each_name() -> None:
    """In a file of many entries the entry is named too."""
    assert explain(refusal({"wheels": [{}]}), Car, where="cars.a") == "cars.a.name is missing; cars.a.wheels.0.size is missing."
    assert explain(refusal(3), Car, where="cars.a").startswith("cars.a: Input should be")


def test_a_secret_value_is_not_repeated() -> None:
    """The reason is said, the value is not; nor is the value of an unknown key."""
    assert explain(refusal({"name": ["key"]}), Car, secret={"name"}) == "name: Input should be a valid string."
    assert "hidden" not in explain(refusal({"name": "a", "api_key": "hidden"}), Car)


def test_a_complaint_holds_what_a_caller_words_otherwise() -> None:
    """Field, value and the known keys of the mapping."""
    unknown = complaints(refusal({"name": "a", "spare": {"size": 1, "sise": 2}}), Car)[0]
    assert (unknown.field, unknown.value, unknown.keys, unknown.is_unknown_key) == ("spare.sise", 2, ("size",), True)
