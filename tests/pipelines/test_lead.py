"""Where a newcomer is asked next: where its first answers leave it a chance to lead."""

import numpy as np

from pipelines import lead

GROUPS_Q = np.repeat([0, 1, 2], [300, 290, 10])
UNKNOWN_Q = np.full(600, np.nan)


def test_the_rest_go_where_it_may_lead() -> None:
    """Right in the rare group where the pool is bad, wrong in the large one: all of the rare one's queries are asked, few of the others."""
    labels_Q, asked_Q = UNKNOWN_Q.copy(), np.zeros(600, dtype=bool)
    asked = [*range(20), *range(300, 320), 590, 591, 592]
    asked_Q[asked] = True
    labels_Q[asked] = [*[0.0] * 20, *[1.0, 0.0] * 10, 1.0, 1.0, 1.0]
    promised_Q = np.repeat([0.8, 0.5, 0.3], [300, 290, 10]).astype(np.float32)
    chosen = lead.order(GROUPS_Q, labels_Q, promised_Q, asked_Q, count=100)
    counts = np.bincount(GROUPS_Q[chosen], minlength=3)
    assert counts[2] == 7
    assert counts[1] > 10 * counts[0]
    assert not asked_Q[chosen].any()
    assert len(set(chosen)) == len(chosen) == 100


def test_no_more_than_there_are() -> None:
    """Everything is asked where the quota is larger than what is left; nothing where all is asked."""
    promised_Q = np.full(600, 0.5, dtype=np.float32)
    nothing_Q = np.zeros(600, dtype=bool)
    assert sorted(lead.order(GROUPS_Q, UNKNOWN_Q, promised_Q, nothing_Q, count=900)) == list(range(600))
    assert lead.order(GROUPS_Q, UNKNOWN_Q, promised_Q, ~nothing_Q, count=5) == []
