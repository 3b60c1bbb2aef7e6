"""The one line in which stages, retraining and worker speak of progress."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.progress import Progress


@given(step=st.text(), share=st.floats(0, 1))
def test_what_is_printed_is_read(step: str, share: float) -> None:
    """Any step, whatever its characters, is one line and comes back; shares to four digits."""
    line = Progress(step, share).line()
    assert len(line.splitlines()) == 1
    assert Progress.parse(line + "\n") == Progress(step, round(share, 4))


OTHER = ["", "first: 2/3", '{"step"', '{"step": "a"}', '{"step": "a", "progress": "half"}', '{"step": "a", "progress": []}']


@pytest.mark.parametrize("line", OTHER)
def test_other_lines_are_no_progress(line: str) -> None:
    """A stage may print anything else, JSON too."""
    assert Progress.parse(line) is None
