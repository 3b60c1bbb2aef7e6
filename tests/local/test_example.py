"""The five examples: each loads, its checks take the right answer and no wrong one, its LLMs have prices, and stand-ins are said."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from local import example as examples
from local import workspace
from local.errors import LocalError
from local.example import Example
from local.llama import names
from monitoring.drift import policy
from pipelines import params
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query
from pipelines.imports.checks import Defaults
from pipelines.imports.importing import import_files
from pipelines.project import Project
from registry import pool
from registry.prices import genai
from serving.settings import ServingSettings

ROOT = Path(__file__).parents[2]
NAMES = ["biomedical", "cloud-zoo", "code", "support", "tutoring"]
KEY = {"OPENROUTER_API_KEY": "sk-or-1"}


def queries(name: str) -> list[dict]:
    """What the example's file holds."""
    return [json.loads(line) for line in (ROOT / "examples" / name / examples.QUERIES).read_text(encoding="utf-8").splitlines()]


def test_these_are_all() -> None:
    """A folder that is added is tested."""
    assert sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_check_takes_the_right_answer_and_no_wrong_one(name: str) -> None:
    """40 to 120 queries, no text twice, each graded by code."""
    rows = queries(name)
    assert 40 <= len(rows) <= 120
    assert not [text for text, count in Counter(row["query"] for row in rows).items() if count > 1]
    for row in rows:
        query = Query(row["id"], row["query"], row["grader"], tuple(row.get("choices", ())), row["reference"])
        right, wrong = (kinds.grade(Task(query, row[each], 10.0)) for each in ("right", "wrong"))
        assert (right.score, wrong.score) == (1.0, 0.0), f"{row['id']}: {right.failure} {wrong.failure}"


@pytest.mark.parametrize("name", NAMES)
def test_its_page_counts_them(name: str) -> None:
    """Queries, and how many each kind of check grades, as the file has them."""
    rows, page = queries(name), (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    graders = ", ".join(f"{grader} {count}" for grader, count in Counter(row["grader"] for row in rows).most_common())
    assert f"\n{len(rows)} queries, written for this example" in page
    assert f"Each has a check: {graders} (" in page
    for domain, count in Counter(row["domain"] for row in rows).items():
        assert f"| {domain} | {count} |" in page


@pytest.mark.parametrize("name", NAMES)
def test_it_is_imported_whole(name: str, tmp_path: Path) -> None:
    """As `routemoa import` reads it: nothing left out."""
    imported = import_files(Project(tmp_path), ROOT / "examples" / name / examples.QUERIES, None, Defaults(name))
    assert (imported.new_queries, imported.known_queries, list(imported.contradicted)) == (len(queries(name)), 0, [])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("environment", [{}, KEY], ids=["no key", "key"])
def test_its_pool_and_settings_are_a_projects(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Prices known; local LLMs are ones that this machine serves; without a key nobody outside is asked."""
    example = Example.named(name, ROOT)
    for place, content in example.layer(environment).items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(content)
    (tmp_path / "params.yaml").write_bytes(
        workspace.laid_over((ROOT / "params.yaml").read_bytes(), example.layer(environment)["params.yaml"])
    )
    assert params.load(tmp_path / "params.yaml").gate.floor_share <= 0.03
    assert policy.load(tmp_path / "params.yaml").audit_share == 1
    decides = ServingSettings(_env_file=example.folder / examples.SERVER, home=tmp_path).mixture
    assert (decides.value_per_usd, decides.value_per_second) == (float(example.server["ROUTEMOA_MIXTURE__VALUE_PER_USD"]), 0)
    llms = pool.load(tmp_path / "registry" / "pool.yaml").llms
    assert all(llm.price.known for llm in llms)
    outside = [llm for llm in llms if llm.endpoint is not None and llm.endpoint.served_name not in names()]
    assert len(outside) == (15 if name == "cloud-zoo" and environment else 0)
    assert len(llms) == (15 if name == "cloud-zoo" else len(llms))


def test_prices_of_the_zoo_are_openrouters() -> None:
    """By name and amount, in the package that lists them."""
    entries = YAML(typ="safe").load(ROOT / "examples" / "cloud-zoo" / "pool.yaml")["llms"]
    assert all(entry["price"]["source"] == f"genai-prices openrouter/{entry['endpoint']['served_name']}" for entry in entries.values())
    for llm in pool.load(ROOT / "examples" / "cloud-zoo" / "pool.yaml").llms:
        assert llm.endpoint is not None
        listed = genai.published(f"openrouter/{llm.endpoint.served_name}", date(2026, 11, 30))
        assert (llm.price.input, llm.price.output, llm.price.cache_read) == (listed.input, listed.output, listed.cache_read), llm.id
    assert set(YAML(typ="safe").load(ROOT / "examples" / "cloud-zoo" / "stand-ins.yaml")) == set(entries)


def test_stand_ins_are_said() -> None:
    """Nobody may take their answers for those of the LLMs that are named."""
    example, console = Example.named("cloud-zoo", ROOT), Console(record=True, width=100)
    assert example.stands_in({})
    assert not example.stands_in(KEY)
    examples.say_stand_ins(example, console)
    assert "NONE of the 15 LLMs of this pool is asked" in console.export_text()


def test_an_unknown_example_is_refused() -> None:
    """With what may have been meant."""
    with pytest.raises(LocalError, match="No example is called 'suport'") as caught:
        Example.named("suport", ROOT)
    assert "support" in str(caught.value)
