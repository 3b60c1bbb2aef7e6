"""The version's description: Markdown, bounded, its gate section replaceable."""

from typing import Any

from mixture.llm import LLM
from mixture.price import Price
from registry import card
from registry.lineage import Lineage

ROSTER = [LLM(id=f"llm-{i}", name=f"LLM number {i}", price=Price(0.5, 1.5)) for i in range(30)]
LINEAGE = Lineage(query_pool_md5=None, dataset_md5="abc.dir", pool_hash="f" * 64, git_commit="1" * 40, git_dirty=True)


FIGURES = {
    "test.queries": 12.0,
    **{f"test.ours.quality{end}": value for end, value in (("", 0.7), (".low", 0.6), (".high", 0.8))},
    "test.ours.cost_usd": 0.0012,
    "test.best_single.quality": 0.65,
    **{f"test.gain_over_best_single{end}": value for end, value in (("", 0.05), (".low", -0.01), (".high", 0.11))},
    "ood.ours.quality": 0.4,
}


def written(metrics: dict[str, float], roster: list[LLM] = ROSTER[:2], **more: Any) -> str:
    """The card of version 7."""
    return card.Card("7", metrics, roster, LINEAGE, **more).write()


def test_a_split_is_a_table_in_words() -> None:
    """A row a way of choosing, with intervals where they are known; what nobody knows says so; the test split first."""
    text = written(FIGURES)
    assert "## On test queries (12)\n" in text
    assert "| choice by | quality | gain of this scorer | USD per 1,000 queries |" in text
    assert "| **this scorer** | 0.700 [0.600, 0.800] |  | 1.2 |" in text
    assert "| always the best single LLM | 0.650 | +0.050 [-0.010, +0.110] | unknown |" in text
    assert text.index("## On test queries") < text.index("## On queries of domains it was not trained on")
    assert "_" not in "".join(line for line in text.splitlines() if line.startswith("|"))


def test_a_card_says_why_and_shows_the_runs_pictures() -> None:
    """The reason in the first line, images that MLflow serves from the run, how many expectations were broken."""
    shown = ["evaluation/plots/calibration.png"]
    text = written(FIGURES, why="a joined", run_id="r1", pictures=shown, validation={"warnings": 3, "failures": 0})
    assert text.startswith("Scores a query for 2 LLMs, without asking any of them. Made because: a joined.")
    assert "![Are its scores probabilities?](get-artifact?path=evaluation%2Fplots%2Fcalibration.png&run_uuid=r1)" in text
    assert "quality-cost" not in text
    assert "- tables with 3 warnings, 0 failures" in text


def test_lineage_says_what_is_unknown() -> None:
    """A data set outside DVC and uncommitted code are said, not hidden."""
    text = written({})
    assert "data `not under DVC`" in text
    assert "`111111111111` with uncommitted changes" in text


def test_a_card_fits_its_column() -> None:
    """However many figures and LLMs: at most 5,000 characters, and the way to promote stays."""
    rows = [f"{split}.{row}" for split in card.SPLITS for row in card.ROWS]
    many = {f"{row}.quality{end}": 0.5 for row in rows for end in ("", ".low", ".high")}
    text = written(many, ROSTER, reasons=[f"Domain {i}: not shown to be worse." for i in range(20)])
    assert 3_000 < len(text) <= 5_000
    assert "routemoa promote 7" in text
    whole = [part for part in text.split("\n\n") if part.startswith("|")]
    assert whole
    assert all(len(part.splitlines()) == 2 + len(card.ROWS) for part in whole)
    assert "and 10 more" in written(FIGURES, ROSTER)


def test_reasons_that_do_not_fit_are_counted() -> None:
    """A gate with a hundred domains leaves the rest of the card as it was."""
    before = written(FIGURES)
    text = card.with_gate(before, "failed", [f"Domain {i}: " + "x" * 90 for i in range(100)])
    assert len(text) <= 5_000
    assert "more reasons: `routemoa show`" in text
    assert text.endswith(before[-200:])


def test_the_gate_section_is_replaced_and_nothing_else() -> None:
    """Judging again leaves one gate section, between the same neighbours."""
    before = written(FIGURES)
    once = card.with_gate(before, "failed", ["Overall: worse by \\1 and \\g<0>."])
    twice = card.with_gate(once, "passed", ["Overall: better."])
    assert "- Overall: worse by \\1 and \\g<0>." in once
    assert twice.replace("**Passed**\n\n- Overall: better.", "**Not run**") == before
    assert card.with_gate("", "passed", ["Fine."]) == "## Gate\n**Passed**\n\n- Fine."


def test_the_certificate_follows_the_gate_whatever_else_has_no_room() -> None:
    """It is replaced when judged again, and a full card gives up its roster for it."""
    before = written(FIGURES, why="a joined")
    once = card.with_certificate(before, ["Not certifiable with 3 labels.", "law (3): not certified"])
    twice = card.with_certificate(once, ["With 95 % confidence."])
    assert "\n\n## Certificate\nNot certifiable with 3 labels.\n\n- law (3): not certified\n\n## " in once
    assert once.index("## Gate") < once.index("## Certificate") < once.index("## On test")
    assert twice.replace("\n\n## Certificate\nWith 95 % confidence.", "") == before
    rows = [f"{split}.{row}" for split in card.SPLITS for row in card.ROWS]
    full = written({f"{row}.quality{end}": 0.5 for row in rows for end in ("", ".low", ".high")}, ROSTER)
    squeezed = card.with_certificate(full, ["With 95 % confidence. " + "x" * 900, *["domain " + "y" * 80] * 30])
    assert len(squeezed) <= 5_000
    assert "With 95 % confidence." in squeezed
    assert "routemoa promote 7" in squeezed
    assert written(FIGURES, certificate=["Certified."]).count("## Certificate\nCertified.") == 1
