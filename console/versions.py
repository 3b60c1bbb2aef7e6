"""Scorer versions as MLflow has them, through the registry's door: read only. Whoever promotes goes through the server's API, by key."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from console.settings import ConsoleSettings
from registry import versions
from registry.mlflow_rest import Rest
from registry.version import Version

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


async def listed(settings: ConsoleSettings) -> list[Version]:
    """Every version, the newest first. Raises RegistryError."""
    return await asyncio.to_thread(versions.list_versions, settings=settings)


async def figures(settings: ConsoleSettings, version: Version) -> dict[str, float]:
    """The headline figures of a version's run (`registry.headline`); none where it has no run any more. Raises RegistryError."""
    return await asyncio.to_thread(_figures, settings, version.run_id) if version.run_id else {}


def _figures(settings: ConsoleSettings, run_id: str) -> dict[str, float]:
    run = Rest(settings.mlflow_url).call("GET", "runs/get", run_id=run_id)["run"]
    return {each["key"]: float(each["value"]) for each in run["data"].get("metrics", [])}


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
