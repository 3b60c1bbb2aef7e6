"""The version's description: Markdown, bounded, its gate section replaceable."""

from mixture.llm import LLM, Price
from registry import card
from registry.lineage import Lineage

ROSTER = [LLM(id=f"llm-{i}", name=f"LLM number {i}", price=Price(0.5, 1.5)) for i in range(30)]
LINEAGE = Lineage(query_pool_md5=None, dataset_md5="abc.dir", pool_hash="f" * 64, git_commit="1" * 40, git_dirty=True)


def written(metrics: dict[str, object], roster: list[LLM] = ROSTER[:2]) -> str:
    """The card of version 7."""
    return card.write(number="7", metrics=metrics, roster=roster, lineage=LINEAGE, gate="not run", reasons=[])


def test_flat_and_nested_metrics_are_the_same_table() -> None:
    """`test.ours.quality` and its bounds read as nested figures do."""
    flat = {"test.ours.quality": 0.7, "test.ours.quality.low": 0.6, "test.ours.quality.high": 0.8, "test.oracle.quality": 0.9}
    nested = {"test": {"ours": {"quality": {"value": 0.7, "low": 0.6, "high": 0.8}}, "oracle": {"quality": 0.9}}}
    assert written(flat) == written(nested)
    assert "## test\n| | quality |\n|---|---|\n| ours | 0.7 [0.6, 0.8] |\n| oracle | 0.9 |" in written(flat)


def test_the_bounds_of_a_figure_may_come_before_it() -> None:
    """The order of keys in metrics.json does not matter."""
    flat = {"test.ours.quality.low": 0.6, "test.ours.quality.high": 0.8, "test.ours.quality": 0.7, "test.random.quality": 0.5}
    assert "| ours | 0.7 [0.6, 0.8] |" in written(flat)


def test_a_single_row_within_a_group_is_a_table_of_its_own() -> None:
    """A row without others to stand beside is listed figure by figure; a figure beside it is not lost."""
    text = written({"gate": {"margin": 0.02, "int8": {"agreement": 0.98, "loss": 0.001}}, "ece": 0.04})
    assert "## Figures\n| | |\n|---|---|\n| ece | 0.04 |" in text
    assert "## gate\n| | |\n|---|---|\n| margin | 0.02 |" in text
    assert "## gate / int8\n| | |\n|---|---|\n| agreement | 0.98 |\n| loss | 0.001 |" in text


def test_rows_beside_figures_are_both_shown_the_test_split_first() -> None:
    """A split's policies and its own figures (metrics.json as evaluate writes it) each have a table."""
    split = {"ours": {"quality": 0.7}, "random": {"quality": 0.5}, "queries": 6, "gain_over_random": 0.2}
    text = written({"validation": split, "test": split, "int8": {"same_choice": 0.99}})
    assert "## test\n| | quality |\n|---|---|\n| ours | 0.7 |\n| random | 0.5 |" in text
    assert "## test, overall\n| | |\n|---|---|\n| queries | 6 |\n| gain_over_random | 0.2 |" in text
    assert "| int8 | 0.99 |" in text
    assert text.index("## test") < text.index("## validation")


def test_a_row_without_a_figure_has_an_empty_cell_and_few_columns_are_shown() -> None:
    """Truth values, texts and lists are no figures; columns beyond the sixth are left out."""
    wide = {f"figure-{i}": i for i in range(8)}
    text = written({"test": {"ours": {**wide, "passed": True, "note": "x", "history": [1, 2]}, "random": {"figure-1": 0.5}}})
    assert "| | figure-0 | figure-1 | figure-2 | figure-3 | figure-4 | figure-5 |" in text
    assert "| random |  | 0.5 |  |  |  |  |" in text
    assert "passed |" not in text


def test_lineage_says_what_is_unknown() -> None:
    """A data set outside DVC and uncommitted code are said, not hidden."""
    text = written({})
    assert "data `not under DVC`" in text
    assert "`111111111111` with uncommitted changes" in text


def test_a_card_fits_its_column() -> None:
    """However many figures and LLMs: at most 5,000 characters, and the way to promote stays."""
    many = {f"split-{i}": {f"policy-{j}": {"quality": 0.5, "cost": 0.1} for j in range(10)} for i in range(50)}
    text = written(many, ROSTER)
    assert 3_000 < len(text) <= 5_000
    assert "routemoa promote 7" in text
    assert "and 10 more" in text


def test_the_gate_section_is_replaced_and_nothing_else() -> None:
    """Judging again leaves one gate section, between the same neighbours."""
    before = written({"ece": 0.02})
    once = card.with_gate(before, "failed", ["Overall: worse by \\1 and \\g<0>."])
    twice = card.with_gate(once, "passed", ["Overall: better."])
    assert "- Overall: worse by \\1 and \\g<0>." in once
    assert twice.replace("**Passed**\n\n- Overall: better.", "**Not run**") == before
    assert card.with_gate("", "passed", ["Fine."]) == "## Gate\n**Passed**\n\n- Fine."
