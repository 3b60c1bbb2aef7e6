"""`routemoa evaluate-policy VERSION`: what another scorer version, dollar, floor, pool or price would have brought on recorded traffic.

Reads records and, where queries have to be scored, the version's files; asks no LLM. The report goes to the terminal and to
var/policies/VERSION.json.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mixture.price import Price
from monitoring import logged_actions, policy_value
from monitoring.errors import NothingToEvaluate
from monitoring.logged_actions import Served, Target
from monitoring.off_policy import Value
from monitoring.policy_value import ASSUMED, Report, Row
from monitoring.records import RecordStore
from pipelines import json_files, price_list
from pipelines.project import Project
from registry import certificate, local_store, versions
from registry.errors import RegistryError
from registry.settings import Settings
from scorer import runtime
from scorer.errors import ArtifactRefused
from scorer.manifest import read_manifest
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
    records = RecordStore.of(settings).scan(wanted.since, datetime.now(UTC).timestamp() + 1)
    served, strategy, why = logged_actions.read(records, wanted.strategy)
    if not served:
        raise _nothing(len(records), why)
    known = {llm for each in served for llm in each.candidates}
    for llm in wanted.without:
        if llm not in known:
            raise NothingToEvaluate(f"--without {llm}: no candidate of these records.", next_step=did_you_mean(llm, known))
    scores, notes = _scores(version, served, settings)
    if wanted.prices is None:
        notes += _repriced(served)
    target = Target(version, scores, prices=_prices(wanted.prices), without=frozenset(wanted.without))
    targets = [_at(target, usd) for usd in _dollars(wanted, served)] or [target]
    found = policy_value.evaluate(served, targets, version=version, strategy=strategy, not_judged=why, floor=wanted.floor, notes=notes)
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


def _dollars(wanted: Wanted, served: Sequence[Served]) -> list[float]:
    """Values of a dollar, those that spend most first; with a floor and none named, some of the certificate's grid."""
    if wanted.dollars or wanted.floor is None:
        return sorted(wanted.dollars)
    llms = sorted({llm for each in served for llm in each.candidates})
    costs = [{each.llm: each.cost_usd for each in one.action.candidates} for one in served]
    costs_NL = np.array([[cost.get(llm, np.nan) for llm in llms] for cost in costs])
    return [float(usd) for usd in certificate.grid(np.nanmean(costs_NL, axis=0)[None])[::EVERY]]


def _at(target: Target, usd: float) -> Target:
    return Target(f"{target.name} at {usd:g}", target.scores, usd, target.prices, target.without)


def _repriced(served: Sequence[Served]) -> tuple[str, ...]:
    """That money is of several price lists, where it is."""
    prices: dict[str, set[tuple[float, float]]] = {}
    for each in served:
        for llm in (candidate.llm for candidate in each.request.candidates):
            prices.setdefault(llm.id, set()).add((llm.price.input, llm.price.output))
    several = sorted(llm for llm, found in prices.items() if len(found) > 1)
    if not several:
        return ()
    return (f"Prices changed in these records ({', '.join(several)}): money is at those of each request's time; --prices takes one list.",)


Scores = Mapping[str, Mapping[str, float]]


def _scores(version: str, served: Sequence[Served], settings: Settings) -> tuple[Scores | None, tuple[str, ...]]:
    """What the version promises for each record: as recorded where it served, by the text where it is kept, else by the embedding.

    None where it served all of them. And what is left out of its choices.
    """
    if all(each.record.scorer_version == version for each in served):
        return None, ()
    with tempfile.TemporaryDirectory(prefix="routemoa-policy-") as folder:
        loaded = runtime.load(versions.download(version, Path(folder), settings=settings))
    fingerprints = _fingerprints({each.record.scorer_version for each in served}, settings)
    encoder = loaded.manifest.encoder
    found: dict[str, Mapping[str, float]] = {}
    for record in (each.record for each in served):
        if record.scorer_version == version:
            found[record.id] = dict(zip(record.roster, record.scores, strict=True))
        elif record.text:
            found[record.id] = dict(zip(loaded.roster, map(float, loaded.score([record.text]).scores_QL[0]), strict=True))
        elif (
            len(record.embedding)
            and not loaded.manifest.text_features
            and fingerprints.get(record.scorer_version) == encoder.get("fingerprint")
        ):
            row = loaded.score_embedded(record.embedding[None])[0]
            found[record.id] = dict(zip(loaded.roster, map(float, row), strict=True))
    candidates = {llm for each in served for llm in each.candidates}
    new = [llm for llm in loaded.roster if llm not in candidates]
    return found, (f"Left out of its choices: {', '.join(new)}, no candidate of these records.",) if new else ()


def _fingerprints(numbers: set[str], settings: Settings) -> dict[str, str]:
    """Of the encoders of these versions; those that cannot be read are left out."""
    found: dict[str, str] = {}
    for number in numbers:
        try:
            found[number] = str(read_manifest(settings.var / "scorers" / number).encoder.get("fingerprint"))
        except ArtifactRefused:
            try:
                with tempfile.TemporaryDirectory(prefix="routemoa-policy-") as folder:
                    downloaded = versions.download(number, Path(folder), settings=settings)
                    found[number] = str(read_manifest(downloaded).encoder.get("fingerprint"))
            except (RegistryError, ArtifactRefused):
                continue
    return found


def show(report: Report, console: Console) -> None:
    """Prints it."""
    for line in lines(report):
        console.print(line, highlight=False, markup=False)
    table = Table(
        "policy", "quality", "less usual, points", "USD a request", "less usual", "differs", "worth", box=SIMPLE_HEAD, pad_edge=False
    )
    if report.served is not None:
        quality, usd = report.served
        table.add_row("as served", _interval(quality, 100, 1), "", _interval(usd, 1, 6), "", "", f"{quality.effective:.0f}")
    for row in report.rows:
        mark = " *" if report.best is not None and row.name == report.best.name else ""
        table.add_row(
            row.name + mark,
            _interval(row.quality, 100, 1),
            _interval(row.quality_difference, 100, 1, sign="+"),
            _interval(row.usd, 1, 6),
            _interval(row.usd_difference, 1, 6, sign="+"),
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


def _interval(value: Value, scale: float, digits: int, sign: str = "") -> str:
    """`71.2 [69.8, 72.6]`."""
    if value.value is None or value.low is None or value.high is None:
        return "refused"
    mean, low, high = (f"{scale * each:{sign}.{digits}f}" for each in (value.value, value.low, value.high))
    return f"{mean} [{low}, {high}]"
