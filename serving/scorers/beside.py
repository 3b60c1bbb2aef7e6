"""The scorer versions beside the champion that this worker has loaded, and which version answers a request.

A canary answers a share of sessions or keys. Which ones follows from a hash of their name with the version's content, so a session
stays with its version on every host and in every worker, and no header chooses one. Sessions that began before stay with the champion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mixture.llm import Message
from monitoring.audits.audits import place
from registry import current_version
from registry.current_version import CANARY_NAME, SHADOW_NAME, CurrentVersion, PublishedCanary
from scorer.errors import RouteMoAError
from scorer.runtime import Precision
from serving.events import Events, VersionBesideLeft, VersionBesideLoaded, VersionBesideRefused
from serving.scorers import active_scorer
from serving.scorers.active_scorer import Active
from serving.scorers.shared_encoders import Encoders
from serving.sessions.beginning import Beginnings
from serving.sessions.turn import SessionTurn, session_key
from serving.worker.watched_file import Watched


@dataclass(frozen=True, slots=True)
class Loaded:
    """active: None where there is no such version. published: what its file says; of a canary with its plan."""

    active: Active | None = None
    published: CurrentVersion | None = None


@dataclass(frozen=True, slots=True)
class Assigned:
    """The version that answers a request. unit: the session or key that was drawn by, hashed; empty where nothing was drawn."""

    active: Active
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """Both are followed; one that cannot be loaded is none, says why, and changes nothing else."""

    shadow: Watched[Loaded]
    canary: Watched[Loaded]

    @classmethod
    def of(cls, scorers: Path, precision: Precision, encoders: Encoders, events: Events) -> "Beside":
        """Those whose files lie in `scorers`."""

        def watched(alias: str, name: str, kind: type[CurrentVersion]) -> Watched[Loaded]:
            def read(path: Path) -> Loaded:
                if not path.exists():
                    return Loaded()
                published = current_version.read_as(kind, path)
                return Loaded(active_scorer.loaded(path.parent, published, precision, encoders), published)

            return Watched(scorers / name, read, swapped=_telling(alias, events), refused=_refusing(alias, events))

        return cls(watched("shadow", SHADOW_NAME, CurrentVersion), watched("canary", CANARY_NAME, PublishedCanary))

    def loaded(self, which: str, champion: Active | None) -> Loaded:
        """The `shadow` or the `canary`; nothing where its file is refused, or where it is the champion by now."""
        watched = self.shadow if which == "shadow" else self.canary
        found = watched.value
        if found is None or watched.refusal is not None or found.active is None or (champion and champion.version == found.active.version):
            return Loaded()
        return found

    def versions(self, champion: Active) -> dict[str, Active]:
        """All that are loaded, by alias and by number."""
        by_alias = {"champion": champion}
        for alias in ("shadow", "canary"):
            if (active := self.loaded(alias, champion).active) is not None:
                by_alias[alias] = active
        return by_alias | {active.version: active for active in by_alias.values()}

    def assign(self, champion: Active, scope: str, turn: SessionTurn | None, name: str, messages: Sequence[Message]) -> Assigned:
        """Who answers a request of the key `scope`. name: what its caller calls the session, empty where he does not."""
        canary = self.loaded("canary", champion)
        if canary.active is None or not isinstance(canary.published, PublishedCanary):
            return Assigned(champion)
        plan = canary.published.plan
        unit = session_key(scope, "unit") if plan.by == "key" else session_key(scope, "unit", name or _beginning(messages))
        drawn = place(unit, f"canary {canary.active.version} {canary.published.content_hash}") < plan.share
        active, kept = canary.active if drawn else champion, None if turn is None else turn.kept
        if kept is None:
            return Assigned(active, unit)
        before = next((each for each in (champion, canary.active) if each.version == kept.version), active)
        return Assigned(before, unit if before is active and kept.began >= _epoch_s(canary.published.since) else "")

    def shown(self, champion: Active | None) -> dict[str, Any]:
        """For GET /admin/scorer: by alias, the version loaded, and why one is not."""
        told = {}
        for alias, watched in (("shadow", self.shadow), ("canary", self.canary)):
            found = self.loaded(alias, champion)
            told[alias] = {
                "version": None if found.active is None else found.active.version,
                "loaded_at": None if found.active is None else found.active.loaded_at,
                "refused": None if watched.refusal is None else str(watched.refusal),
            }
            if isinstance(found.published, PublishedCanary):
                told[alias] |= {"share": found.published.plan.share, "by": found.published.plan.by}
        return told


def _beginning(messages: Sequence[Message]) -> str:
    """The hash up to the first user message: all requests of a conversation have that in common."""
    first = next((at for at, message in enumerate(messages) if message.get("role") == "user"), len(messages) - 1)
    return Beginnings.of(messages[: first + 1], {}).whole


def _epoch_s(since: str) -> float:
    try:
        return datetime.fromisoformat(since).timestamp()
    except ValueError:
        return 0.0


def _telling(alias: str, events: Events) -> Callable[[Loaded, Loaded | None], None]:
    def swapped(new: Loaded, old: Loaded | None) -> None:
        if new.active is not None:
            events.emit(VersionBesideLoaded(alias, new.active.version))
        elif old is not None and old.active is not None:
            events.emit(VersionBesideLeft(alias, old.active.version))

    return swapped


def _refusing(alias: str, events: Events) -> Callable[[RouteMoAError], None]:
    return lambda error: events.emit(VersionBesideRefused(alias, str(error)))
