"""The price list: every entry stands where it says, and what is missing or malformed is named."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from benchmarks import recorded_set
from benchmarks.set_file import Reading
from pipelines.errors import TableRefused
from pipelines.imports import price_list
from registry.errors import PriceUnknown
from registry.prices import genai
from tests.benchmarks.test_scorer import write
from tests.scorer import world

DAY = datetime(2026, 11, 30, tzinfo=UTC)
LISTED = Path(__file__).parents[2] / "benchmarks" / "prices.yaml"


def price_file(folder: Path, *llms: str) -> Path:
    """A list in which each LLM costs 2 USD per million tokens in and 10 out."""
    path = folder / "listed.yaml"
    YAML().dump({"llms": {llm: {"input": 2, "output": 10, "source": "a test"} for llm in llms}}, path)
    return path


def test_every_price_is_where_its_source_says() -> None:
    """Each entry equals what the package lists under the name in its source, at the day's dearest hour."""
    for llm, price in price_list.read(LISTED).items():
        place = re.match(r"genai-prices: (\S+)( \(.+\))?$", price.source or "")
        assert place, llm
        there = genai.published(place[1], DAY.date())
        dearest = max((there.at(DAY.replace(hour=hour)) for hour in range(24)), key=lambda each: each.cost(1000, 1000))
        for tokens in ((1000, 0), (0, 1000)):
            assert dearest.cost(*tokens) == pytest.approx(price.price().cost(*tokens)), llm


def test_costs_are_tokens_at_prices(tmp_path: Path) -> None:
    """Recorded tokens count; a query's are its characters / 4 and an answer's what is stated where nobody counted; recorded costs stay."""
    write(tmp_path)
    recorded = pd.read_parquet(tmp_path / "outcomes.parquet")
    first, second, third = world.ROSTER
    recorded["output_tokens"] = np.where(recorded["llm"] == first, 30.0, np.nan)
    recorded["cost"] = np.where(recorded["llm"] == third, 0.5, np.nan)
    recorded.to_parquet(tmp_path / "outcomes.parquet")
    listed = price_file(tmp_path, *world.ROSTER)
    data = recorded_set.read(tmp_path, Reading(prices=listed, output_tokens=100))
    tokens_Q = recorded_set.tokens(data.queries)
    np.testing.assert_array_equal(tokens_Q, [len(text) / 4 for text in data.queries["text"]])
    column = {llm: data.cost_QL[:, data.roster.index(llm)] for llm in data.roster}
    known_Q = ~np.isnan(data.labels_QL[:, data.roster.index(first)])
    np.testing.assert_allclose(column[first][known_Q], (2 * tokens_Q[known_Q] + 10 * 30) / 1e6)
    np.testing.assert_allclose(column[second], (2 * tokens_Q + 10 * 100) / 1e6)
    assert np.nanmax(column[third]) == 0.5
    assert np.isnan(recorded_set.read(tmp_path).cost_QL[:, data.roster.index(second)]).all()


def test_an_unlisted_llm_is_named(tmp_path: Path) -> None:
    """Which LLM has no price, and the near ones that have."""
    write(tmp_path)
    listed = price_file(tmp_path, "maths-llm-2")
    with pytest.raises(PriceUnknown, match="no price is listed for 'code-llm'"):
        recorded_set.read(tmp_path, Reading(llms=("code-llm",), prices=listed))
    with pytest.raises(PriceUnknown, match="it has maths-llm-2"):
        recorded_set.read(tmp_path, Reading(llms=("maths-llm",), prices=listed))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("llms: {a: {input: -1, output: 2, source: x}}", r"a.input: .*found -1.*Write NAME"),
        ("llms: {a: {input: 1, output: 2, source: x, ouput: 3}}", r"a.ouput.*Write NAME"),
        ("- 1", "Input should be a valid dict.*Write NAME"),
    ],
)
def test_a_malformed_list_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    """The entry, its field and value, and the shape the file must have."""
    if content is not None:
        (tmp_path / "prices.yaml").write_text(content)
    with pytest.raises(TableRefused, match=said):
        price_list.read(tmp_path / "prices.yaml")


@pytest.mark.parametrize(
    "content",
    [
        "m: {input: 1, output: 2}",
        "llms: {m: {input: 1, output: 2, source: a page}}",
        "llms:\n  m: {name: M, endpoint: null, price: {input: 1, output: 2}}",
    ],
)
def test_prices_are_read_in_every_shape_they_come_in(tmp_path: Path, content: str) -> None:
    """One reader serves import and benchmarks: a plain list, one with sources, a pool file."""
    (tmp_path / "prices.yaml").write_text(content)
    read = price_list.read(tmp_path / "prices.yaml")["m"]
    assert (read.input, read.output) == (1, 2)
