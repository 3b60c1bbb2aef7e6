"""The query pool put together: nothing stale, nothing missing without a word, and two texts that differ are two queries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipelines import data_pin, query_pool, tables
from pipelines.errors import TableRefused
from pipelines.project import Project


def row(query_id: str, text: str, source: str = "a package", **changed: object) -> dict[str, object]:
    return dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": query_id, "text": text, "source": source, "choices": []} | changed


def texts(project: Project) -> list[str]:
    return list(query_pool.read(project)["text"])


def test_what_was_imported_elsewhere_is_there_without_being_built(tmp_path: Path) -> None:
    """After `dvc pull` or `dvc checkout` the pool is what the present imports make it, whatever the file held before."""
    project = Project(tmp_path)
    query_pool.write([row("a", "Packaged?"), row("b", "Gone?", "import:old")], project.queries)
    query_pool.write([row("c", "Pulled?", "import:new")], project.imports / "new.parquet")
    assert texts(project) == ["Packaged?", "Pulled?"]
    query_pool.write([row("d", "Served?", "served traffic")], project.harvested)
    assert texts(project) == ["Packaged?", "Pulled?", "Served?"]


def test_packaged_queries_that_are_not_here_are_named(tmp_path: Path) -> None:
    """A pool without its packaged queries, or with others, is never taken for the whole one; a project without any needs none."""
    project = Project(tmp_path)
    with pytest.raises(TableRefused, match=r"there is no query pool.*routemoa import"):
        query_pool.read(project)
    query_pool.write([row("c", "Mine?", "import:mine")], project.imports / "mine.parquet")
    assert texts(project) == ["Mine?"]
    packaged = [row("a", "Packaged?")]
    query_pool.write_pin(project, packaged)
    with pytest.raises(TableRefused, match=r"not those of packaged.json.*python -m pipelines.queries"):
        query_pool.read(project)
    query_pool.write(packaged, project.queries)
    assert texts(project) == ["Packaged?", "Mine?"]
    query_pool.write([row("a", "Another?")], project.queries)
    with pytest.raises(TableRefused, match=r"not those of packaged.json"):
        query_pool.read(project)


@given(st.lists(st.tuples(st.text(max_size=6), st.lists(st.sampled_from(["x", "y"]), max_size=2)), max_size=8))
def test_merging_keeps_each_query_once(queries: list[tuple[str, list[str]]]) -> None:
    """Of equal texts with equal options one stays, of others each; in the order of ids, however often they are merged."""
    rows = [row(f"q{n}", text, choices=choices) for n, (text, choices) in enumerate(queries)]
    merged = query_pool.merged(rows)
    keys = [query_pool.identity(each["text"], each["choices"]) for each in merged]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {query_pool.identity(text, choices) for text, choices in queries}
    assert query_pool.merged([*merged, *rows]) == merged


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("caf\u00e9?", "cafe\u0301?", True),
        (" What? \r\nSo?", "What? \nSo?", True),
        ("print('ab')", "print('AB')", False),
        ("x\u00b2", "x2", False),
        ("if a:\n  b\nc", "if a:\n  b\n  c", False),
    ],
)
def test_what_is_the_same_text(one: str, other: str, same: bool) -> None:
    """How accents and line ends are coded is form; case, powers and indentation are what is asked."""
    assert (query_pool.identity(one) == query_pool.identity(other)) is same


def test_data_is_pushed_once_the_packaged_texts_are_kept_out(tmp_path: Path) -> None:
    """`push: false` of an earlier version goes where .dvcignore keeps the pool's file out, and only there."""
    project = Project(tmp_path)
    project.data_pin.write_text("outs:\n- md5: 0.dir\n  path: data\n  push: false\n  desc: old\n")
    assert not data_pin.let_push(project)
    project.dvcignore.write_text("/data/queries.parquet\n")
    assert data_pin.let_push(project)
    assert not data_pin.let_push(project)
    assert YAML(typ="safe").load(project.data_pin) == {"outs": [{"md5": "0.dir", "path": "data"}]}
