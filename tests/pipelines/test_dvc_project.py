"""What people do with a project of their own in git and DVC: write an entry by hand, pass data on, switch branches and clean up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import query_pool, tables
from pipelines.errors import TableRefused
from pipelines.project import Project
from tests.pipelines import real_project
from tests.pipelines.endpoint import Endpoint, running

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]  # some ten DVC commands each


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running() as served:
        yield served


def entry(endpoint: Endpoint) -> str:
    """An LLM as short as the schema allows."""
    where = f'{{base_url: "{endpoint.url}", served_name: "vendor/m:free"}}'
    return f"  by-hand:\n    name: Written by hand\n    endpoint: {where}\n    price: {{input: 0.1, output: 0.2}}\n"


def test_a_hand_written_entry_is_asked_and_not_again_after_a_clean_up(tmp_path: Path, endpoint: Endpoint) -> None:
    """DVC takes an entry with its defaults left out; `dvc gc` on a branch without it costs no answer that was bought."""
    home = real_project.make(tmp_path / "home")
    real_project.run(home, "git", "checkout", "-qb", "with")
    (home / "registry" / "pool.yaml").write_text(f"llms:\n{entry(endpoint)}")
    real_project.run(home, "dvc", "repro", "-q", "answer@by-hand")
    first = tables.read(Project(home).answers("by-hand"), tables.ANSWERS)
    assert (len(first), sum(endpoint.asked.values())) == (2, 2)
    real_project.run(home, "git", "commit", "-qam", "asked")
    real_project.run(home, "git", "checkout", "-q", "-")
    real_project.run(home, "dvc", "gc", "-wf")
    real_project.run(home, "git", "checkout", "-q", "with")
    Project(home).answers("by-hand").unlink(missing_ok=True)
    real_project.run(home, "dvc", "repro", "-q", "answer@by-hand")
    assert tables.read(Project(home).answers("by-hand"), tables.ANSWERS)["text"].to_list() == first["text"].to_list()
    assert sum(endpoint.asked.values()) == 2


def test_a_colleague_gets_what_was_imported(tmp_path: Path) -> None:
    """`dvc push` passes on queries, answers, labels, ids and splits of an import, and no packaged text; a clone has the same pool."""
    home, store, clone = real_project.make(tmp_path / "home"), tmp_path / "store", tmp_path / "clone"
    (home / "q.csv").write_text("id,question,answer,grader,split\nq1,Capital of Norway?,Oslo,exact,test\n")
    (home / "a.csv").write_text("id,model,response,score\nq1,openai/gpt-4o,Oslo,1\n")
    real_project.run(home, "routemoa", "import", "--queries", "q.csv", "--answers", "a.csv", "--name", "capitals", "--add-llms")
    pool = query_pool.read(Project(home))
    assert len(pool) == 3
    real_project.run(home, "dvc", "add", "-q", "data")
    real_project.run(home, "dvc", "remote", "add", "-q", "-d", "team", str(store))
    real_project.run(home, "git", "add", "-A")
    real_project.run(home, "git", "commit", "-qm", "capitals")
    real_project.run(home, "dvc", "push", "-q", "data")
    passed_on = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert not any(b"What is 1 - 1?" in content for content in passed_on)
    shutil.rmtree(home / ".dvc" / "cache")
    real_project.run(tmp_path, "git", "clone", "-q", str(home), str(clone))
    real_project.run(clone, "dvc", "pull", "-q", "data")
    names = {
        "imported/capitals",
        "recorded/capitals.ids",
        "recorded/capitals.splits",
        "recorded/openai-gpt-4o",
        "recorded/openai-gpt-4o.labels",
    }
    assert {path.relative_to(clone / "data").with_suffix("").as_posix() for path in (clone / "data").rglob("*.parquet")} == names
    with pytest.raises(TableRefused, match=r"its packaged queries are not those of packaged.json.*python -m pipelines.queries"):
        query_pool.read(Project(clone))
    query_pool.write(
        [row for row in pool.to_dict("records") if row["source"] == "a package"], Project(clone).queries
    )  # as that command does
    assert query_pool.read(Project(clone))["text"].to_list() == pool["text"].to_list()
