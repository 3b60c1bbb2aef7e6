"""Versions beside the champion: a `shadow` that only scores its traffic, and a `canary` that answers a share of it.

Both are aliases in MLflow, whoever sets them. The canary's plan and history are tags of its version.
"""

from datetime import UTC, datetime

from registry.canary_plan import CanaryPlan
from registry.errors import CanaryRefused, ShadowRefused, VersionUnknown
from registry.mlflow_door import Door
from registry.settings import Settings
from registry.version import CANARY, CANARY_ENDED, CANARY_OVERRIDE, CANARY_PASSED, CANARY_SINCE, CHAMPION, REFUSED, SHADOW, Version


def start_shadow(version: str, *, settings: Settings | None = None) -> Version:
    """Has the servers score the champion's traffic with `version`, too. Raises ShadowRefused for the champion and for refused files."""
    door = Door.of(settings)
    target = door.version(version)
    if CHAMPION in target.aliases:
        raise ShadowRefused(f"Version {version} is the champion: it would be compared with itself.", next_step="Name another version.")
    if REFUSED in target.tags:
        raise ShadowRefused(f"Version {version} was refused by a host: {target.tags[REFUSED]}", next_step="Register it again.")
    door.set_alias(SHADOW, version)
    return door.version(version)


def stop_shadow(*, settings: Settings | None = None) -> Version | None:
    """Takes the alias away; the version that had it, None where none did."""
    return _without(SHADOW, Door.of(settings))


def start_canary(version: str, plan: CanaryPlan, *, override: str | None = None, settings: Settings | None = None) -> Version:
    """Has `version` answer a share of the traffic; where it does already, by another plan from now on.

    Raises CanaryRefused for the champion, for refused files, and, without an `override` that says why, where its gate has not passed.
    """
    door = Door.of(settings)
    target, champion = door.version(version), door.by_alias(CHAMPION)
    if champion is None:
        raise CanaryRefused("No version is champion, so there is nothing to compare with.", next_step="Promote one first.")
    if champion.version == target.version:
        raise CanaryRefused(f"Version {version} is the champion.", next_step="Name another version.")
    if REFUSED in target.tags:
        raise CanaryRefused(f"Version {version} was refused by a host: {target.tags[REFUSED]}", next_step="Register it again.")
    if target.gate != "passed" and not override:
        next_step = f"`routemoa shadow {version}` tries it at no risk; with --override REASON it answers all the same."
        raise CanaryRefused(f"Version {version} may not answer: {target.objections}", next_step=next_step)
    for tag in {CANARY_ENDED, CANARY_PASSED} & set(target.tags):
        door.delete_tag(version, tag)
    since = target.tags.get(CANARY_SINCE) if CANARY in target.aliases else None
    door.annotate(version, tags={**plan.tags(), CANARY_SINCE: since or _now(), **({CANARY_OVERRIDE: override} if override else {})})
    door.set_alias(CANARY, version)
    return door.version(version)


def note_canary(version: str, *, settings: Settings | None = None) -> None:
    """Notes since when a canary answers whose alias somebody set by hand."""
    Door.of(settings).annotate(version, tags={CANARY_SINCE: _now()})


def end_canary(reason: str, *, version: str | None = None, settings: Settings | None = None) -> Version | None:
    """Takes the alias away and keeps why; the version that had it, None where none did, or another one than `version`."""
    door = Door.of(settings)
    target = door.by_alias(CANARY)
    if target is None or version not in {None, target.version}:
        return None
    door.annotate(target.version, tags={CANARY_ENDED: f"{_now()} {reason}"})
    _without(CANARY, door)
    if CANARY_SINCE in target.tags:
        door.delete_tag(target.version, CANARY_SINCE)
    return target


def pass_canary(version: str, sentence: str, *, settings: Settings | None = None) -> bool:
    """Notes that the test found it surely not worse by the floor; whether that is new."""
    door = Door.of(settings)
    if CANARY_PASSED in door.version(version).tags:
        return False
    door.annotate(version, tags={CANARY_PASSED: f"{_now()} {sentence}"})
    return True


def _without(alias: str, door: Door) -> Version | None:
    """Removes an alias in whatever case it is written."""
    had = None
    for written, number in door.aliases().items():
        if written.casefold() == alias:
            try:
                had = door.version(number)
            except VersionUnknown:
                had = None
            door.delete_alias(written)
    return had


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
