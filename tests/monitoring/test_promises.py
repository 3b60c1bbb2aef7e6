"""Betting against promises: rare false alarms however often one looks, power where promises are broken, by simulated audits."""

import numpy as np
import pytest

from monitoring.drift.promises import REST, bet

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
        alarms += any(bet(promised[:n], outcome[:n], domains[:n], KNOWN).wealth >= 1 / ALPHA for n in looks)
    assert alarms <= 17  # 10 are expected at most, more than 17 has a chance of 1 %


def test_a_domain_whose_promises_break_is_found_and_named() -> None:
    """.25 too high in one domain: found within 200 audits of it in nearly all of 40 versions, and it is the one that is named."""
    rng = np.random.default_rng(1)
    found = [bet(*audits(rng, 600, gap=0.25, domain="coding"), KNOWN) for _ in range(40)]
    assert sum(one.wealth >= 1 / ALPHA for one in found) >= 38
    where = [one.broken(alpha=ALPHA, tolerance=0.02) for one in found]
    assert sum(one is not None and one.group == "coding" for one in where) >= 38


def test_one_bad_domain_of_many_is_found_within_few_audits() -> None:
    """Half of 60 audits are of the one of 14 domains that is promised .25 too much: found so early in more than 2 of 5 versions."""
    rng = np.random.default_rng(3)
    names = [f"domain-{number}" for number in range(14)]
    found = 0
    for _ in range(200):
        domains = np.where(rng.random(60) < 0.5, names[0], rng.choice(names[1:], 60))
        promised = rng.beta(4.5, 2.2, 60)
        outcome = (rng.random(60) < promised - 0.25 * (domains == names[0])).astype(float)
        found += bet(promised, outcome, domains.tolist(), frozenset(names)).wealth >= 1 / ALPHA
    assert found >= 80  # about 110 are expected


def test_what_is_beyond_doubt_is_said_while_it_is_large() -> None:
    """The same certain evidence is worth a word at a gap above the tolerance, and none below."""
    found = bet(np.full(400, 0.7), (np.arange(400) % 2).astype(float), ["coding"] * 400, KNOWN)
    worst = found.broken(alpha=ALPHA, tolerance=0.02)
    assert worst is not None
    assert (worst.group, worst.gap) == ("coding", pytest.approx(0.2))
    assert found.broken(alpha=ALPHA, tolerance=0.21) is None


def test_unknown_domains_are_one_group_and_no_audit_is_no_evidence() -> None:
    """A domain the scorer was not trained on gets a share of the money that was set aside before anybody looked."""
    found = bet(np.full(30, 0.8), np.zeros(30), ["spanish", "law", "sql"] * 10, KNOWN)
    assert [group.group for group in found.groups] == ["all", REST]
    assert found.wealth > 1 / ALPHA
    assert bet(np.zeros(0), np.zeros(0), [], KNOWN).wealth == 1


def test_no_audit_ruins_and_none_overflows() -> None:
    """Wealth stays a number: after answers that were all better than promised, and after thousands that were all worse."""
    better = bet(np.zeros(5000), np.ones(5000), ["coding"] * 5000, KNOWN)
    worse = bet(np.ones(5000), np.zeros(5000), ["coding"] * 5000, KNOWN)
    assert 0 < better.wealth <= 1
    assert 1e100 < worse.wealth < np.inf
