"""The demo's acts as they are told."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from local.errors import StepFailed
from local.story import Story
from scorer.errors import RouteMoAError


def printed(width: int = 80) -> Console:
    """A console that is read afterwards."""
    return Console(file=io.StringIO(), width=width)


def text(story: Story) -> str:
    """What was printed so far."""
    assert isinstance(story.console.file, io.StringIO)
    return story.console.file.getvalue()


def test_an_act_is_announced_and_its_lines_meaning_and_place_follow() -> None:
    """Title first, the rest when it is over; brackets are text."""
    story = Story(console=printed())
    with story.act("train", "A scorer is trained", "dvc repro") as act:
        assert "A scorer is trained" in text(story)
        act.say("version 1 [here]")
        act.means, act.look = "It serves.", "http://127.0.0.1:5001"
        assert "version 1" not in text(story)
    assert text(story).splitlines()[1:] == ["version 1 [here]", "=> It serves.", "   look: http://127.0.0.1:5001"]


def test_the_table_fits_a_terminal() -> None:
    """Five acts of two sentences: at most 80 columns and 30 lines; an act that means nothing to the reader has no row."""
    story = Story(console=printed())
    for number in range(6):
        with story.act(str(number), f"{number}. Unknown domains", "") as act:
            act.means = "" if number == 0 else "word " * 40
    before = len(text(story))
    story.console.print(story.table())
    table = text(story)[before:].splitlines()
    assert len(table) <= 30
    assert max(map(len, table)) <= 80
    assert "0. Unknown" not in "\n".join(table)


def test_an_interrupted_story_goes_on(tmp_path: Path) -> None:
    """Acts that ended are told, with what later ones need of them; the one that failed is not; at the end all is forgotten."""
    file = tmp_path / "demo" / "story.json"
    story = Story.resumed(file, printed())
    with story.act("train", "Train", "") as act:
        act.facts["version"] = "1"
    with pytest.raises(StepFailed), story.act("join", "Join", ""):
        raise RouteMoAError("no labels.")
    again = Story.resumed(file, printed())
    assert again.told("train")
    assert again.acts["train"].facts == {"version": "1"}
    assert not again.told("join")
    again.end()
    assert not Story.resumed(file).acts


def test_a_failed_act_names_itself_the_reason_and_what_to_try() -> None:
    """The error's own next step comes first, then the act's command."""
    story = Story(console=printed())
    with (
        pytest.raises(StepFailed, match=r"“Train” failed: no labels\. Import some\. Then try: make demo$") as caught,
        story.act("train", "Train", "make demo"),
    ):
        raise RouteMoAError("no labels.", next_step="Import some.")
    assert isinstance(caught.value.__cause__, RouteMoAError)
    assert not story.acts


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    """Only errors the user can act on are told as failed acts."""
    with pytest.raises(ZeroDivisionError), Story(console=printed()).act("train", "Train", ""):
        _ = 1 / 0
