"""Scorer versions against each other: quality against cost, quality by domain, and what each gained there over the champion."""

from collections.abc import Iterator, Mapping, Sequence

from nicegui import ui

from console import charts, parts, versions, words
from console.parts import Column
from console.version_card import PER
from console.versions import DomainGain, Evaluation, Quality
from registry.version import CHAMPION, Version

BASELINES = {"best_single": "best single LLM", "cheapest": "cheapest", "random": "random", "oracle": "oracle"}
BEST_SINGLE = "best single LLM"
LEAST_REACH = 0.02  # half an axis of gains
Evaluations = Mapping[str, Evaluation]


def draw(beside: Sequence[Version], found: Evaluations) -> None:
    """What is known of these versions; what is not is left out. found: by version number."""
    points, lines = list(_points(beside, found)), _lines(beside, found)
    gains = {one.version: versions.by_domain(one) for one in beside if CHAMPION not in one.aliases}
    gains = {version: gained for version, gained in gains.items() if gained}
    curves = {f"version {one.version}": found[one.version].frontier for one in beside if found[one.version].frontier}
    with parts.box("grid-2" if points and gains else "stack"):
        if points:
            about = "On test queries; curves: what more thrift would come to; dashed: choosing otherwise"
            with parts.card("Quality against cost", about):
                charts.quality_cost(points, lines, {name: _per_thousand(curve) for name, curve in curves.items()})
        for version, gained in gains.items():
            with parts.card(f"Version {version} by domain", "Quality gained over the champion on validation queries, 95 % intervals"):
                _gains(gained)
    _domains(beside, found)


def _per_thousand(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(PER * usd, quality) for usd, quality in curve]


def _points(beside: Sequence[Version], found: Evaluations) -> Iterator[charts.Point]:
    """Versions, and the best single LLM as the newest version's run has it."""
    for version in beside:
        yield from _point(found[version.version].figures, "ours", f"version {version.version}")
    for row, name in BASELINES.items():
        yield from _point(_newest(beside, found), row, name)


def _point(figures: Mapping[str, float], row: str, name: str) -> Iterator[charts.Point]:
    cost, quality = figures.get(f"test/{row}/cost_usd"), figures.get(f"test/{row}/quality")
    if cost is not None and quality is not None:
        yield charts.Point(name, PER * cost, quality, ours=row == "ours")


def _lines(beside: Sequence[Version], found: Evaluations) -> list[tuple[str, float]]:
    """Baselines whose cost is in no headline: their quality alone."""
    newest = _newest(beside, found)
    rows = ((name, newest.get(f"test/{row}/quality")) for row, name in BASELINES.items() if f"test/{row}/cost_usd" not in newest)
    return [(name, quality) for name, quality in rows if quality is not None]


def _newest(beside: Sequence[Version], found: Evaluations) -> Mapping[str, float]:
    return found[max(beside, key=lambda one: int(one.version)).version].figures if beside else {}


def _gains(gains: Sequence[DomainGain]) -> None:
    reach = max(LEAST_REACH, *(max(abs(each.low), abs(each.high)) for each in gains))

    def drawn(each: DomainGain) -> str | None:
        parts.interval(each.low, each.mean, each.high, reach=reach, tone="good" if each.low > 0 else "bad" if each.high < 0 else "plain")
        return None

    columns = (
        Column("Domain", lambda each: each.name, lead=True),
        Column("Worse ← → better", drawn),
        Column("Gain", lambda each: words.gain(each.mean, 3), number=True),
        Column("Queries", lambda each: words.count(each.queries), number=True),
    )
    parts.table(columns, gains, label="Gain by domain")


def _domains(beside: Sequence[Version], found: Evaluations) -> None:
    """Quality in each domain: a column a version, the best one marked, and the best single LLM beside."""
    told = [(f"Version {one.version}", found[one.version].domains) for one in beside if found[one.version].domains]
    if not told:
        return
    newest = max((one for one in beside if found[one.version].domains), key=lambda one: int(one.version))
    columns = [*told, (BEST_SINGLE[0].upper() + BEST_SINGLE[1:], found[newest.version].best_single)]
    names = sorted({domain for _, domains in told for domain in domains})
    best = {name: max(domains[name].mean for _, domains in columns if name in domains) for name in names}

    def cell(domains: Mapping[str, Quality]) -> parts.Draw:
        def draw(name: str) -> str | None:
            if name not in domains:
                return "–"
            quality = domains[name]
            with parts.box("quality"):
                parts.measured(quality.mean, words.score(quality.mean), "good" if quality.mean >= best[name] - 1e-9 else "")
                ui.label(f"{words.score(quality.low)} to {words.score(quality.high)}").classes("faint")
            return None

        return draw

    with parts.card("Quality by domain", "Of what each version chooses on test queries, 95 % intervals; green: the best there"):
        every = [Column("Domain", lambda name: name, lead=True), *(Column(title, cell(domains)) for title, domains in columns)]
        parts.table(every, names, label="Quality by domain")
