"""Who is champion: promoted, rolled back, and settled after somebody moved aliases by hand. The history is on the versions themselves."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from registry.errors import PromotionRefused, VersionUnknown
from registry.mlflow_door import Door
from registry.settings import Settings
from registry.version import (
    CANARY,
    CHALLENGER,
    CHAMPION,
    CHAMPION_SINCE,
    OVERRIDE,
    PREVIOUS,
    REFUSED,
    ROLLED_BACK,
    SHADOW,
    Version,
    misspelt,
    resolve,
)

BY_HAND = "the alias was set in MLflow, which asks no gate"


def promote(version: str, *, override: str | None = None, settings: Settings | None = None) -> Version:
    """Points `champion` to `version` and `previous` to the champion before.

    Raises PromotionRefused where the gate has not passed, unless `override` says why it is done all the same (kept as a tag).
    The champion may be promoted again whatever its gate says: somebody made it champion.
    """
    door = Door.of(settings)
    target, champion = door.version(version), door.by_alias(CHAMPION)
    again = champion is not None and champion.version == target.version
    _check_promotable(target, "it is the champion" if again else override)
    if override and target.gate != "passed" and not again:
        door.annotate(target.version, tags={OVERRIDE: override})
    if champion is not None:
        _note_champion(door, champion.version)  # somebody may have set it a moment ago
    _point_champion(door, target.version)
    return settle(target.version, settings=settings)


def rollback(*, leaving: str | None = None, settings: Settings | None = None) -> Version:
    """Points `champion` to the champion before it; the version left is marked, and is never what a rollback returns to.

    leaving: the version to go back from, for who may not know whether it was done already: where another is champion, that one stays.
    Raises VersionUnknown where no champion was before.
    """
    door = Door.of(settings)
    existing = door.versions()
    left = in_force(existing)
    if left is not None and leaving not in {None, left.version}:
        return settle(left.version, settings=settings)
    target = before(left, existing)
    if target is None:
        raise VersionUnknown(
            f"There is no previous champion to return to{f' from version {left.version}' if left else ''}.",
            next_step="Pick a version from `routemoa list` and promote it.",
        )
    if left is not None:
        door.annotate(left.version, tags={ROLLED_BACK: f"to {target.version}"})
    _point_champion(door, target.version)
    return settle(target.version, settings=settings)


def settle(champion: str, *, served: str | None = None, settings: Settings | None = None) -> Version:
    """Makes the registry agree with `champion` being the champion, whoever moved the alias; a second time it changes nothing.

    Its history is noted, `previous` is where a rollback goes, `challenger` is not the champion, an alias in another case is gone, and a
    version whose gate has not passed says why it serves. Nothing is done where another version is champion meanwhile.
    served: the version that served until now, where it is known. Raises VersionUnknown where the champion was deleted.
    """
    door = Door.of(settings)
    now, aliases = door.version(champion), door.aliases()
    if resolve(CHAMPION, aliases) != champion:
        return now
    _tidy(door, champion, aliases)
    for mark in {ROLLED_BACK, REFUSED} & set(now.tags):
        door.delete_tag(champion, mark)
    if now.gate != "passed" and OVERRIDE not in now.tags:
        door.annotate(champion, tags={OVERRIDE: BY_HAND})
    _note_served(door, served)
    _note_champion(door, champion)
    _point_previous(door, champion)
    return door.version(champion)


def refuse(version: str, reason: str, *, served: str | None = None, settings: Settings | None = None) -> None:
    """Marks a version whose files a host would not load; a rollback returns to `served`, the version that serves in its place."""
    door = Door.of(settings)
    door.annotate(version, tags={REFUSED: reason})
    _note_served(door, served)
    _point_previous(door, version)


def in_force(existing: Sequence[Version]) -> Version | None:
    """The champion among the `existing` versions.

    Where nothing has the alias, the version that became champion last: servers stay with it. None where that one was deleted too, which
    shows in the last of those left being `previous`.
    """
    number = resolve(CHAMPION, {alias: one.version for one in existing for alias in one.aliases})
    if number is not None:
        return next(one for one in existing if one.version == number)
    last = before(None, existing)
    return None if last is None or PREVIOUS in last.aliases else last


def before(champion: Version | None, existing: Sequence[Version]) -> Version | None:
    """The champion before `champion`: of the other versions that still exist, the one that became champion last.

    Those left by a rollback or refused by a host do not count. One that is `previous` without a history is from before there was one.
    """
    others = [
        one
        for one in existing
        if (champion is None or one.version != champion.version)
        and not {ROLLED_BACK, REFUSED} & set(one.tags)
        and (CHAMPION_SINCE in one.tags or PREVIOUS in one.aliases)
    ]
    return max(others, key=lambda one: one.tags.get(CHAMPION_SINCE, ""), default=None)


def _note_champion(door: Door, number: str) -> None:
    """Notes that the version `number` became champion, unless it is noted as the last that did."""
    existing = door.versions()
    last = before(None, existing)
    if last is None or last.version != number or CHAMPION_SINCE not in last.tags:
        _stamp(door, existing, number)


def _note_served(door: Door, number: str | None) -> None:
    """Notes that the version `number` was champion where nothing says so: nobody saw it become one, but a host served it."""
    existing = door.versions()
    if any(one.version == number and CHAMPION_SINCE not in one.tags for one in existing):
        _stamp(door, existing, str(number))


def _stamp(door: Door, existing: Sequence[Version], number: str) -> None:
    stamps = [datetime.fromisoformat(each.tags[CHAMPION_SINCE]) for each in existing if CHAMPION_SINCE in each.tags]
    since = max([datetime.now(UTC), *(stamp + timedelta(microseconds=1) for stamp in stamps)])  # another host's clock may be ahead
    door.annotate(number, tags={CHAMPION_SINCE: since.isoformat(timespec="microseconds")})


def _point_champion(door: Door, number: str) -> None:
    """Moves the alias, and takes away one in another case, which would count before it."""
    door.set_alias(CHAMPION, number)
    for written in door.aliases():
        if misspelt(written) == CHAMPION:
            door.delete_alias(written)


def _tidy(door: Door, champion: str, aliases: Mapping[str, str]) -> None:
    """Leaves no alias in another case, and no `challenger`, `shadow` or `canary` that is the champion."""
    if aliases.get(CHAMPION) != champion:
        door.set_alias(CHAMPION, champion)
    for written, number in aliases.items():
        meant = misspelt(written)
        if meant in {SHADOW, CANARY} and number != champion:
            door.set_alias(str(meant), number)
        if meant is not None or (written in {CHALLENGER, SHADOW, CANARY} and number == champion):
            door.delete_alias(written)


def _point_previous(door: Door, champion: str) -> None:
    """Has `previous` show where a rollback from `champion` goes."""
    existing = door.versions()
    now = next((one for one in existing if one.version == champion), None)
    target, shown = before(now, existing), next((one for one in existing if PREVIOUS in one.aliases), None)
    if target is None and shown is not None:
        door.delete_alias(PREVIOUS)
    elif target is not None and (shown is None or shown.version != target.version):
        door.set_alias(PREVIOUS, target.version)


def _check_promotable(target: Version, override: str | None) -> None:
    if REFUSED in target.tags:
        raise PromotionRefused(
            f"Version {target.version} was refused by a host: {target.tags[REFUSED]}", next_step="Register it again (`dvc repro register`)."
        )
    if target.gate == "passed" or override:
        return
    helps = "Label more queries and `routemoa retrain`" if target.gate == "failed" else "Run `dvc repro gate`"
    raise PromotionRefused(
        f"Version {target.version} may not become champion: {target.objections}",
        next_step=f"{helps}, or `routemoa promote {target.version} --override REASON`; the reason is kept with the version.",
    )
