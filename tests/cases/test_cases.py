"""Inputs that failed somewhere come out right here; they live outside the repository."""

import pytest

from tests.cases.kinds import FOLDER, Case, cases


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"needs the folder {FOLDER.parent.name}/{FOLDER.name} beside the checkout")
@pytest.mark.parametrize("case", cases() if FOLDER.is_dir() else [], ids=lambda case: case.name)
def test_every_case_comes_out_right(case: Case) -> None:
    """Each kept input has its right outcome."""
    assert case.check() == ""
