"""`routemoa evaluate-policy VERSION`: what another scorer version, dollar, floor, pool or price would have brought on recorded traffic.

Reads records and, where queries have to be scored, the version's files; asks no LLM. The report goes to the terminal and to
var/policies/VERSION.json.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mixture.price import Price
from monitoring.errors import NothingToEvaluate
from monitoring.policies import policy_value
from monitoring.policies.logged_actions import Target
from monitoring.policies.logged_traffic import Traffic
from monitoring.policies.policy_value import ASSUMED, Report, Row
from monitoring.records.record_batches import RecordBatches
from monitoring.records.store import RecordStore
from pipelines import json_files, policy_scores
from pipelines.imports import price_list
from pipelines.project import Project
from registry import certificate, local_store, versions
from registry.settings import Settings
from scorer.near_matches import did_you_mean

EVERY = 3  # places of the certificate's grid that are tried where a floor is given and no value of a dollar


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. version: None for the one that serves here. floor: a share. since: seconds since the epoch."""

    version: str | None = None
    dollars: Sequence[float] = ()
    floor: float | None = None
    prices: Path | None = None
    without: Sequence[str] = ()
    strategy: str | None = None
    since: float = 0.0


def run(wanted: Wanted, settings: Settings, console: Console) -> Report:
    """Reports; returns what it reported. Raises RouteMoAError naming what is wrong."""
    version = _version(wanted.version, settings)
    records = RecordBatches.between(RecordStore.of(settings), wanted.since, datetime.now(UTC).timestamp() + 1)
    traffic = Traffic.of(records, wanted.strategy)
    if not len(traffic):
        raise _nothing(len(records), traffic.not_judged)
    known = set(traffic.summary.costs)
    for llm in wanted.without:
        if llm not in known:
            raise NothingToEvaluate(f"--without {llm}: no candidate of these records.", next_step=did_you_mean(llm, known))
    scores, notes = policy_scores.of(version, traffic, settings)
    if wanted.prices is None:
        notes += _repriced(traffic.summary.prices)
    target = Target(version, scores, prices=_prices(wanted.prices), without=frozenset(wanted.without))
    targets = [_at(target, usd) for usd in _dollars(wanted, traffic.summary.mean_cost_usd())] or [target]
    found = policy_value.evaluate(traffic, targets, version=version, floor=wanted.floor, notes=notes)
    show(found, console)
    path = Project(settings.home).var / "policies" / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    json_files.write(path, found.as_dict())
    console.print(f"Written: {path.relative_to(settings.home)}", highlight=False, markup=False)
    return found


def _version(wanted: str | None, settings: Settings) -> str:
    """The number of the version. Raises VersionUnknown, NothingToEvaluate."""
    if wanted is not None:
        return versions.find(wanted, settings=settings).version
    current = local_store.current(settings.var)
    if current is None:
        raise NothingToEvaluate("No scorer version serves here.", next_step="Name one: `routemoa list` shows them.")
    return current.version


def _nothing(records: int, why: Mapping[str, int]) -> NothingToEvaluate:
    reasons = "; ".join(f"{count:,}: {reason}" for reason, count in why.items())
    return NothingToEvaluate(
        f"None of {records:,} records can be judged{f' ({reasons})' if reasons else ''}.",
        next_step="Serve some requests with ROUTEMOA_EXPLORE__SHARE=0.05, or name another --since or --strategy.",
    )


def _prices(path: Path | None) -> Mapping[str, Price] | None:
    if path is None:
        return None
    now = datetime.now(UTC)
    return {llm: entry.price().at(now) for llm, entry in price_list.read(path).items()}


def _dollars(wanted: Wanted, costs_usd: Mapping[str, float]) -> list[float]:
    """Values of a dollar, those that spend most first; with a floor and none named, some of the certificate's grid. costs_usd: by LLM."""
    if wanted.dollars or wanted.floor is None:
        return sorted(wanted.dollars)
    return [float(usd) for usd in certificate.grid(np.array([list(costs_usd.values())]))[::EVERY]]


def _at(target: Target, usd: float) -> Target:
    return Target(f"{target.name} at {usd:g}", target.scores, usd, target.prices, target.without)


def _repriced(prices: Mapping[str, AbstractSet[tuple[float, float]]]) -> tuple[str, ...]:
    """That money is of several price lists, where it is. prices: by LLM."""
    several = sorted(llm for llm, found in prices.items() if len(found) > 1)
    if not several:
        return ()
    return (f"Prices changed in these records ({', '.join(several)}): money is at those of each request's time; --prices takes one list.",)


def show(report: Report, console: Console) -> None:
    """Prints it."""
    for line in lines(report):
        console.print(line, highlight=False, markup=False)
    table = Table(
        "policy", "quality, points", "less usual", "USD a request", "less usual", "differs", "worth", box=SIMPLE_HEAD, pad_edge=False
    )
    if report.served is not None:
        quality, usd = report.served
        table.add_row("as served", quality.points(), "", usd.usd(), "", "", f"{quality.effective:.0f}")
    for row in report.rows:
        mark = " *" if report.best is not None and row.name == report.best.name else ""
        table.add_row(
            row.name + mark,
            row.quality.points(),
            row.quality_difference.points(signed=True),
            row.usd.usd(),
            row.usd_difference.usd(signed=True),
            f"{row.quality.differs:.0%}",
            f"{row.quality.effective:.0f}",
        )
    console.print(table)
    for line in (*_refusals(report.rows), *report.notes, *(f"Assumed: {each}" for each in ASSUMED)):
        console.print(line, highlight=False, markup=False)


def lines(report: Report) -> list[str]:
    """What was judged, and what was not."""
    found = [
        f"{report.requests:,} requests answered by strategy {report.strategy}, {report.audited:,} audited.",
        f"Chance chose the LLM of {report.explored:,}, at {report.exploration_usd:+.6f} USD beyond the usual ones, as expected.",
    ]
    found += [f"Not judged: {count:,} ({reason})." for reason, count in report.not_judged.items()]
    if report.floor is not None:
        points = f"{certificate.points(report.floor)} below what is served without exploration"
        found.append(f"Within {points}, surely: {report.best.name}." if report.best else f"Nothing is surely within {points}.")
    return found


def _refusals(rows: Sequence[Row]) -> list[str]:
    found = []
    for row in rows:
        if row.quality.why:
            found.append(f"{row.name}, quality: {row.quality.why} {row.advice}".strip())
        if row.usd.why and row.usd.why != row.quality.why:
            found.append(f"{row.name}, money: {row.usd.why}")
    return found
