"""How far int8 may be from fp32."""

import numpy as np
import pytest

from scorer import probes


@pytest.mark.parametrize(("at_export", "allowed"), [(0.0, 0.005), (0.001, 0.005), (0.02, 0.04), (0.3, 0.1)])
def test_the_tolerance_is_twice_what_was_measured_within_bounds(at_export: float, allowed: float) -> None:
    """Rounding alone fails no scorer; scores a tenth off are not served, however far off they were at export."""
    assert probes.tolerance(at_export) == pytest.approx(allowed)


def test_the_difference_is_the_largest_and_scores_that_are_no_numbers_are_as_wrong_as_can_be() -> None:
    """One wrong score of one LLM is enough."""
    fp32_PL = np.array([[0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    assert probes.difference(fp32_PL, fp32_PL) == 0
    assert probes.difference(fp32_PL + np.array([[0, 0], [0, 0.3]], dtype=np.float32), fp32_PL) == pytest.approx(0.3, abs=1e-6)
    assert probes.difference(np.full_like(fp32_PL, np.nan), fp32_PL) == 1.0
