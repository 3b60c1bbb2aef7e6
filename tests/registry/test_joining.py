"""An LLM joins the pool, or is refused with the pool file untouched."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mixture.client.openai import OpenAIClient
from mixture.llm import LLM
from registry import pool
from registry.errors import JoiningRefused, PoolRefused
from registry.joining import ROW_QUERIES, join, with_joining_defaults
from tests.mixture.client.misbehaving import Asked, Handler, completion, response, serving

POOL = """# who exists
llms:
  first:
    name: First   # a comment that stays
    endpoint: {base_url: "http://127.0.0.1:9/v1", served_name: first}
    price: {input: 1, output: 2}
"""


async def answers(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(response(completion("ready")))


async def refuses(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(response({"error": {"message": "model not found"}}, status=404))


async def says_nothing(writer: asyncio.StreamWriter, _: int) -> None:
    writer.write(response(completion("", usage={"prompt_tokens": 5, "completion_tokens": 0})))


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    (tmp_path / "pool.yaml").write_text(POOL)
    return tmp_path / "pool.yaml"


def entry(url: str, **changed: Any) -> dict[str, Any]:
    endpoint = {"base_url": url, "served_name": "served", "api_key_env": None} | changed.pop("endpoint", {})
    return {"name": "New", "endpoint": endpoint, "price": {"input": 1.0, "output": 2.0}, "decoding": {"max_tokens": 4}} | changed


def joined(handler: Handler, pool_file: Path, llm_id: str = "new", **changed: Any) -> tuple[LLM, Asked]:
    async def run() -> tuple[LLM, Asked]:
        async with serving(handler) as asked, OpenAIClient(attempts=1) as client:
            written: Mapping[str, Any] = entry(asked.url, **changed)
            return await join(llm_id, written, pool_file=pool_file, client=client), asked

    return asyncio.run(run())


def test_a_good_entry_is_probed_and_written(pool_file: Path) -> None:
    """The LLM is asked one short question in its own way and then stands in the pool; comments stay."""
    llm, asked = joined(answers, pool_file, prompt={"system": "Be brief.", "suffix": ""})
    assert llm == pool.load(pool_file).by_id("new")
    assert len(asked.bodies) == 1
    assert (asked.bodies[0]["model"], asked.bodies[0]["max_tokens"]) == ("served", 4)
    assert asked.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "# a comment that stays" in pool_file.read_text()


@pytest.mark.parametrize(
    ("handler", "llm_id", "changed", "error", "says"),
    [
        (answers, "first", {}, PoolRefused, "already holds 'first'"),
        (answers, "Not.a.slug", {}, PoolRefused, "not a slug"),
        (answers, "new", {"price": {"input": -1, "output": 0}}, PoolRefused, "price"),
        (answers, "new", {"colour": "red"}, PoolRefused, "colour"),
        (answers, "new", {"trained": "never"}, PoolRefused, "new.trained: Input should be 'jointly' or 'row'"),
        (answers, "new", {"endpoint": {"api_key_env": "JOINING_TEST_KEY"}}, JoiningRefused, "JOINING_TEST_KEY is not set"),
        (refuses, "new", {}, JoiningRefused, "does not answer its probe. HTTP 404: model not found"),
        (says_nothing, "new", {}, JoiningRefused, "with nothing"),
        (
            answers,
            "new",
            {"endpoint": {"base_url": "http://127.0.0.1:9/v1"}},
            JoiningRefused,
            "http://127.0.0.1:9/v1 does not take connections",
        ),
    ],
)
def test_a_bad_one_is_refused_and_the_file_untouched(
    pool_file: Path, handler: Handler, llm_id: str, changed: dict[str, Any], error: type[Exception], says: str
) -> None:
    """Whatever is wrong is named, and nobody reads a half-joined LLM."""
    with pytest.raises(error) as caught:
        joined(handler, pool_file, llm_id, **changed)
    assert says in str(caught.value)
    assert pool_file.read_text() == POOL


def test_a_recorded_llm_cannot_join(pool_file: Path) -> None:
    """Without an endpoint there is nothing to ask: recorded LLMs come in with their answers."""
    with pytest.raises(JoiningRefused, match="has no endpoint"):
        asyncio.run(join("new", entry("http://x") | {"endpoint": None}, pool_file=pool_file, client=OpenAIClient()))


def test_the_same_llm_asked_the_same_way_is_one(pool_file: Path) -> None:
    """The same endpoint, prompt and decoding under another id is refused before anything is asked."""
    same = {"name": "Again", "endpoint": {"base_url": "http://127.0.0.1:9/v1", "served_name": "first"}, "price": {"input": 1, "output": 2}}
    with pytest.raises(JoiningRefused, match="would be first again"):
        asyncio.run(join("again", same, pool_file=pool_file, client=OpenAIClient()))


def test_unless_it_says_else_it_joins_by_row_from_few_queries() -> None:
    """`trained: jointly` asks all; a number of one's own stays, `null` (all) too."""
    assert with_joining_defaults({"name": "N"}) == {"name": "N", "trained": "row", "max_training_queries": ROW_QUERIES}
    assert with_joining_defaults({"max_training_queries": 50}) == {"trained": "row", "max_training_queries": 50}
    assert with_joining_defaults({"max_training_queries": None}) == {"trained": "row", "max_training_queries": None}
    assert with_joining_defaults({"trained": "jointly"}) == {"trained": "jointly"}
    assert with_joining_defaults({"trained": "never"}) == {"trained": "never"}  # refused by the entry's schema, in its words
