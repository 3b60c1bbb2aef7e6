"""Publishes the versions beside the champion (`registry.beside`) to this host's servers, and takes them back when their alias is gone.

What is wrong with one of them concerns neither the other nor the champion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from registry import beside, canary_plan, current_version, local_store
from registry.current_version import CANARY_NAME, SHADOW_NAME, CurrentVersion, PublishedCanary
from registry.errors import RegistryError, RegistryUnreachable
from registry.settings import Settings
from registry.version import CANARY, CERTIFICATE_JSON, CHAMPION, SHADOW, Version
from scorer.errors import ArtifactRefused

RETRY_S = 30.0
NAMES = {SHADOW: SHADOW_NAME, CANARY: CANARY_NAME}


class Report(Protocol):
    """Tells operators what happened."""

    def __call__(self, event: str, **fields: object) -> None:
        """One event in the past tense."""


@dataclass
class Beside:
    """refused: by alias, the version that was not published, why, and when (monotonic seconds) it is tried again."""

    settings: Settings
    report: Report
    refused: dict[str, tuple[str, str, float]] = field(default_factory=dict)

    def step(self, followed: Mapping[str, Version], now: float) -> None:
        """followed: versions by alias. A version that is the champion is nothing beside it."""
        champion = followed.get(CHAMPION)
        shadow, canary = local_store.beside(self.settings.var)
        for alias, published in ((SHADOW, shadow), (CANARY, canary)):
            wanted = followed.get(alias)
            if wanted is None or champion is None or wanted.version == champion.version:
                self._leave(alias)
            elif self._due(alias, wanted, now):
                self._follow(alias, wanted, published, now)

    def _leave(self, alias: str) -> None:
        self.refused.pop(alias, None)
        path = self.settings.var / "scorers" / NAMES[alias]
        if path.exists():
            path.unlink()
            self.report(f"{alias}_left")

    def _due(self, alias: str, wanted: Version, now: float) -> bool:
        version, _, until = self.refused.get(alias, ("", "", 0.0))
        return version != wanted.version or until <= now

    def _follow(self, alias: str, wanted: Version, published: CurrentVersion | None, now: float) -> None:
        """Publishes `wanted` where it is not published as it is."""
        try:
            if alias == SHADOW:
                if published is None or not _same(wanted, published):
                    self._publish(alias, local_store.store(wanted, self.settings))
                return
            plan, since = canary_plan.of_tags(wanted.tags), canary_plan.since_of(wanted.tags)
            if not since:
                beside.note_canary(wanted.version, settings=self.settings)
                return  # the next look finds it
            known = isinstance(published, PublishedCanary) and (published.plan, published.since) == (plan, since)
            if published is None or not known or not _same(wanted, published):
                stored = local_store.store(wanted, self.settings)
                self._publish(alias, PublishedCanary(**stored.model_dump(), plan=plan, since=since))
        except RegistryUnreachable:
            return  # the next look at the champion says so
        except (ArtifactRefused, RegistryError, OSError) as exc:
            self._refuse(alias, wanted, str(exc), now)

    def _publish(self, alias: str, stored: CurrentVersion) -> None:
        current_version.write(self.settings.var / "scorers" / NAMES[alias], stored)
        self.refused.pop(alias, None)
        more = {"plan": stored.plan.model_dump()} if isinstance(stored, PublishedCanary) else {}
        self.report(f"{alias}_published", version=stored.version, **more)

    def _refuse(self, alias: str, wanted: Version, reason: str, now: float) -> None:
        """What was published under that alias is taken back: it is not what the operator wants there."""
        before = self.refused.get(alias)
        self.refused[alias] = (wanted.version, reason, now + RETRY_S)
        (self.settings.var / "scorers" / NAMES[alias]).unlink(missing_ok=True)
        if before is None or before[:2] != (wanted.version, reason):
            self.report(f"{alias}_refused", version=wanted.version, reason=reason)


def _same(wanted: Version, published: CurrentVersion) -> bool:
    here = (published.version, published.content_hash, published.certificate)
    return here == (wanted.version, wanted.content_hash, wanted.tags.get(CERTIFICATE_JSON, ""))
