"""Betting against promises: rare false alarms however often one looks, power where promises are broken, and the order does not matter."""

import numpy as np
import pytest

from monitoring.promises import REST, bet

KNOWN = frozenset({"mathematics", "reading", "coding"})
ALPHA = 0.05


def audits(rng, n: int, *, gap: float = 0.0, domain: str | None = None):
    """Promises of n answers, their outcomes, which fall short by `gap` (in one domain only, where it is named), and their domains."""
    promised, domains = rng.uniform(0.4, 0.9, n), rng.choice(sorted(KNOWN), n)
    short = gap * (domains == domain if domain else np.ones(n))
    return promised, (rng.random(n) < promised - short).astype(float), domains.tolist()


def test_kept_promises_alarm_rarely_however_often_one_looks() -> None:
    """200 versions whose promises come true, looked at after every tenth of 200 audits: at most 5 % ever alarm."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        promised, outcome, domains = audits(rng, 200)
        looks = range(10, 201, 10)
        alarms += any(bet(promised[:n], outcome[:n], domains[:n], KNOWN, tolerance=0).wealth >= 1 / ALPHA for n in looks)
    assert alarms <= 17  # 10 are expected at most, more than 17 has a chance of 1 %


def test_a_domain_whose_promises_break_is_found_and_named() -> None:
    """.25 too high in one domain: found within 200 audits of it in nearly all of 40 versions, and it is the one that is named."""
    rng = np.random.default_rng(1)
    found = [bet(*audits(rng, 600, gap=0.25, domain="coding"), KNOWN, tolerance=0.02) for _ in range(40)]
    assert sum(one.wealth >= 1 / ALPHA for one in found) >= 38
    assert sum(max(one.groups, key=lambda group: group.wealth).group == "coding" for one in found) >= 38


def test_the_order_of_reports_does_not_matter() -> None:
    """An audit that comes late counts as if it had come at once."""
    promised, outcome, domains = audits(np.random.default_rng(2), 80, gap=0.1)
    backwards = bet(promised[::-1], outcome[::-1], domains[::-1], KNOWN, tolerance=0.02)
    assert backwards.wealth == pytest.approx(bet(promised, outcome, domains, KNOWN, tolerance=0.02).wealth)


def test_unknown_domains_are_one_group_and_no_audit_is_no_evidence() -> None:
    """A domain the scorer was not trained on gets a share of the money that was set aside before anybody looked."""
    found = bet(np.full(30, 0.8), np.zeros(30), ["spanish", "law", "sql"] * 10, KNOWN, tolerance=0.02)
    assert [group.group for group in found.groups] == ["all", REST]
    assert found.wealth > 1 / ALPHA
    assert bet(np.zeros(0), np.zeros(0), [], KNOWN, tolerance=0.02).wealth == 1


def test_no_audit_ruins_and_none_overflows() -> None:
    """Wealth stays a number: after answers that were all better than promised, and after thousands that were all worse."""
    better = bet(np.zeros(5000), np.ones(5000), ["coding"] * 5000, KNOWN, tolerance=0.02)
    worse = bet(np.ones(5000), np.zeros(5000), ["coding"] * 5000, KNOWN, tolerance=0.02)
    assert 0 < better.wealth <= 1
    assert 1e100 < worse.wealth < np.inf
