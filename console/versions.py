"""Scorer versions as MLflow has them, through the registry's door: read only. Whoever promotes goes through the server's API, by key."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from console.settings import ConsoleSettings
from registry import versions
from registry.errors import RegistryFailed
from registry.mlflow_rest import Rest
from registry.version import Version

RESULTS = "evaluation/results.json"  # among a run's files
OURS, BEST_SINGLE = "ours", "best single"  # rows of it
NUMBER = r"[+-]?\d+\.\d+"
BOUNDS = rf"\[(?P<low>{NUMBER}), (?P<high>{NUMBER})\]"
BY_DOMAIN = (  # as registry.gate_rules and registry.join_rules write their reasons
    re.compile(rf"^(?P<name>.+?): (?P<mean>{NUMBER}) {BOUNDS}, (?P<queries>\d+) quer"),
    re.compile(rf"^(?P<name>.+?): (?P<before>{NUMBER}) -> (?P<after>{NUMBER}) {BOUNDS} on (?P<queries>\d+) quer"),
)


@dataclass(frozen=True, slots=True)
class DomainGain:
    """Realised quality against the champion in one domain, with its 95 % interval, as the gate's reasons state it."""

    name: str
    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean quality of choices in a domain, with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a version's evaluation found on test queries.

    figures: headline figures of its run (`registry.headline`). domains: quality by domain; best_single: of the best single LLM there.
    frontier: USD per query and quality, from "whatever it costs" to "always the cheapest".
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    domains: Mapping[str, Quality] = field(default_factory=dict)
    best_single: Mapping[str, Quality] = field(default_factory=dict)
    frontier: tuple[tuple[float, float], ...] = ()


async def listed(settings: ConsoleSettings) -> list[Version]:
    """Every version, the newest first. Raises RegistryError."""
    return await asyncio.to_thread(versions.list_versions, settings=settings)


async def evaluation(settings: ConsoleSettings, version: Version) -> Evaluation:
    """A version's evaluation, as far as MLflow still has its run and the run its files. Raises RegistryUnreachable."""
    return await asyncio.to_thread(_evaluation, settings, version.run_id) if version.run_id else Evaluation()


def _evaluation(settings: ConsoleSettings, run_id: str) -> Evaluation:
    rest = Rest(settings.mlflow_url)
    try:
        run = rest.call("GET", "runs/get", run_id=run_id)["run"]
        figures = {each["key"]: float(each["value"]) for each in run["data"].get("metrics", [])}
    except RegistryFailed:  # deleted since
        return Evaluation()
    try:
        return _with_results(figures, orjson.loads(rest.file(run_id, RESULTS)))
    except (RegistryFailed, orjson.JSONDecodeError, KeyError, TypeError, ValueError):  # a run without these files
        return Evaluation(figures)


def _with_results(figures: Mapping[str, float], results: Mapping[str, Any]) -> Evaluation:
    """Raises KeyError, TypeError, ValueError where `results` (evaluation/results.json) is none."""
    rows = {
        row: {domain: Quality(**of_domain[row]) for domain, of_domain in results["domains"].items() if row in of_domain}
        for row in (OURS, BEST_SINGLE)
    }
    points = tuple((float(point["cost"]), float(point["quality"])) for point in results["frontier"] if point["cost"] is not None)
    return Evaluation(figures, rows[OURS], rows[BEST_SINGLE], points)


def page(settings: ConsoleSettings, version: Version) -> str:
    """The address of a version in MLflow."""
    return f"{settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{version.version}"


def by_domain(version: Version) -> list[DomainGain]:
    """What the gate found per domain."""
    found = (pattern.match(reason) for reason in version.reasons for pattern in BY_DOMAIN)
    return [_gain(each.groupdict()) for each in found if each]


def _gain(found: Mapping[str, str]) -> DomainGain:
    mean = float(found["mean"]) if "mean" in found else float(found["after"]) - float(found["before"])
    return DomainGain(found["name"], mean, float(found["low"]), float(found["high"]), int(found["queries"]))
