"""Options of a pool entry follow its schema."""

import inspect
from typing import Any

import pytest

from cli import llms
from cli.entry_options import FIELDS, default, entry
from registry.entry import PoolEntry

NO_OPTION = {"status", "trained", "price", "pace", "energy", "seed", "rename", "omit", "dialects"} | {
    "concurrency",
    "connect_s",
    "first_token_s",
    "between_chunks_s",
    "total_s",
}
ENTRY: dict[str, Any] = {
    "name": "N",
    "endpoint": {"base_url": "http://127.0.0.1:9/v1", "served_name": "m"},
    "price": {"input": 1, "output": 2},
}


def test_every_field_of_an_entry_has_an_option() -> None:
    """A new field of the schema is an option of `add-llm`, or named here as one that is set in the file only."""
    assert {name for name in FIELDS if name not in inspect.signature(llms.add_llm).parameters} == NO_OPTION


def test_no_two_fields_share_a_name() -> None:
    """An option's name leads to one field: as many names as the schema has single values."""
    written = PoolEntry(**ENTRY).model_dump(exclude={"price"})  # a schedule, which options write as a whole
    assert len(FIELDS) == 1 + sum(len(value) if isinstance(value, dict) else 1 for value in written.values())


def test_options_land_where_the_schema_has_them() -> None:
    """Nested fields are nested, what was not named or is no field is left out, and the result is an entry."""
    named = entry({"temperature": 0.7, "max_tokens": None, "system": "Be brief.", "capabilities": ["json"], "retrain": True, "llm_id": "x"})
    assert named == {"decoding": {"temperature": 0.7}, "prompt": {"system": "Be brief."}, "capabilities": ["json"]}
    assert PoolEntry(**ENTRY, **named).decoding.max_tokens == PoolEntry(**ENTRY).decoding.max_tokens


@pytest.mark.parametrize(("name", "path"), [("max_tokens", "decoding"), ("temperature", "decoding"), ("context_window", None)])
def test_help_shows_the_schemas_default(name: str, path: str | None) -> None:
    """What help promises is what an entry without the field gets."""
    written = PoolEntry(**ENTRY).model_dump()
    assert default(name) == str((written[path] if path else written)[name])
