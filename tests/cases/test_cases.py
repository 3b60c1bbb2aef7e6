"""Inputs that failed somewhere come out right here; they live outside the repository."""

import pytest
from _pytest.mark.structures import ParameterSet

from tests.cases.kinds import FOLDER, Case, cases


def param(case: Case) -> ParameterSet:
    """The case under its name; what is done in a project takes a minute."""
    marks = [pytest.mark.long, pytest.mark.timeout(900)] if case.name.startswith("dvc/") else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"needs the folder {FOLDER.parent.name}/{FOLDER.name} beside the checkout")
@pytest.mark.parametrize("case", map(param, cases()) if FOLDER.is_dir() else [])
def test_every_case_comes_out_right(case: Case) -> None:
    """Each kept input has its right outcome."""
    assert case.check() == ""
