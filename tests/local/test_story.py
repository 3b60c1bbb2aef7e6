"""The demo's steps as they are told."""

import io

import pytest
from rich.console import Console

from local.errors import StepFailed
from local.story import Story
from scorer.errors import RouteMoAError


@pytest.fixture
def story() -> Story:
    return Story(Console(file=io.StringIO(), width=100))


def text(story: Story) -> str:
    """What was printed so far."""
    assert isinstance(story.console.file, io.StringIO)
    return story.console.file.getvalue()


def test_steps_are_printed_as_they_happen_and_tabled_at_the_end(story: Story) -> None:
    """Title first, results when done; the table has a row a step with its results and whole seconds; brackets are text."""
    with story.step("Make the project", "git status") as results:
        assert "Make the project" in text(story)
        results.append("made [here]")
        results.append("with [bold]marks")
        assert "made [here]" not in text(story)
    assert "made [here]\nwith [bold]marks\n" in text(story)
    story.rows.append(("Train", "version 1", 59.6))
    story.console.print(story.table())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text(story).splitlines() if line.startswith("│")]
    assert rows == [["Make the project", "made [here]; with [bold]marks", "0"], ["Train", "version 1", "60"]]


def test_a_failed_step_names_itself_the_reason_and_what_to_try(story: Story) -> None:
    """The error's own next step comes first, then the step's command; the step is no row of the table."""
    with (
        pytest.raises(StepFailed, match=r"Step “Train” failed: no labels\. Import some\. Then try: dvc repro$") as caught,
        story.step("Train", "dvc repro"),
    ):
        raise RouteMoAError("no labels.", next_step="Import some.")
    assert isinstance(caught.value.__cause__, RouteMoAError)
    assert not story.rows


def test_a_fault_of_ours_keeps_its_traceback(story: Story) -> None:
    """Only errors the user can act on are told as failed steps."""
    with pytest.raises(ZeroDivisionError), story.step("Train", "dvc repro"):
        _ = 1 / 0
