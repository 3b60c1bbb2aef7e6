"""Follows `champion`, `shadow` and `canary` for this host's servers and publishes their files: `python -m registry.sync`, one a host."""

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from filelock import FileLock, Timeout

from registry import extras, local_store, promotion, versions
from registry.current_version import CurrentVersion
from registry.errors import RegistryError, RegistryUnreachable
from registry.settings import Settings
from registry.sync_beside import Beside
from registry.version import CERTIFICATE_JSON, CHAMPION, Version, misspelt
from scorer.errors import ArtifactRefused, RouteMoAError

POLL_S = 1.0  # servers follow within 5 s: 1 s to notice, 4 s to download, check and load
RETRY_S = 30.0  # after a refusal, a full disk, or a registry that could not be written
log = structlog.get_logger("sync")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version is not loaded here, and when (monotonic seconds) it is tried again."""

    reason: str
    until: float


@dataclass
class Sync:
    """What this host follows, and the versions it could not load.

    settled: the champion that the registry's other marks agree with. settle_at: monotonic seconds, before which it is not tried again.
    """

    settings: Settings
    refused: dict[str, Refusal] = field(default_factory=dict)
    reachable: bool = True
    champion_missing: bool = False
    settled: str | None = None
    settle_at: float = 0.0
    beside: Beside = field(init=False)

    def __post_init__(self) -> None:
        """Follows the versions beside the champion, too."""
        self.beside = Beside(self.settings, self._report)

    def step(self, now: float) -> None:
        """Looks up the champion, and publishes it if it is another version than the published one; then what is beside it.

        now: monotonic seconds. Raises nothing that may clear up without help (registry down, full disk): it is logged.
        """
        try:
            followed = versions.followed(settings=self.settings)
        except RegistryError as exc:
            if self.reachable:
                log.warning("registry_unreachable", error=str(exc), serving=_serving(self.settings))
            self.reachable = False
            return
        if not self.reachable:
            log.info("registry_back", url=self.settings.mlflow_url)
            self.reachable = True
        self._follow_champion(followed.get(CHAMPION), now)
        try:
            self.beside.step(followed, now)
        except OSError as exc:
            log.warning("not_written", error=str(exc))

    def _follow_champion(self, champion: Version | None, now: float) -> None:
        published = local_store.current(self.settings.var)
        self._note_missing(champion, published.version if published else None)
        if champion is None:
            return
        if published is not None and _as_published(champion, published):
            self._settle(champion, None, now)
            return
        refusal = self.refused.get(champion.version)
        if refusal is None or refusal.until <= now:
            self._follow(champion, published.version if published else None, now)

    def _note_missing(self, champion: Version | None, serving: str | None) -> None:
        """Says once that nothing is champion any more (alias or version deleted in MLflow): servers stay with what they have."""
        missing = champion is None and serving is not None
        if missing and not self.champion_missing:
            self._report("champion_missing", still_serving=serving)
        self.champion_missing = missing

    def _follow(self, champion: Version, before: str | None, now: float) -> None:
        try:
            folder = local_store.publish(champion, self.settings)
        except RegistryUnreachable:
            return  # it went down between lookup and download: the next look says so
        except (ArtifactRefused, RegistryError, OSError) as exc:
            self._refuse(champion, before, exc, now)
            return
        self.refused.clear()
        fields = {"gate": champion.gate, "roster": champion.roster}
        self._report("scorer_published", version=champion.version, folder=str(folder), before=before, **fields)
        self.settled, self.settle_at = None, now
        self._settle(champion, before, now)

    def _settle(self, champion: Version, before: str | None, now: float) -> None:
        """Makes the registry agree with a champion that somebody set by hand; where it cannot be written now, it is tried again."""
        if now < self.settle_at or (self.settled == champion.version and not any(map(misspelt, champion.aliases))):
            return
        self.settle_at = now + RETRY_S
        if self._in_registry(lambda: promotion.settle(champion.version, served=before, settings=self.settings)):
            self.settled, self.settle_at = champion.version, now

    def _refuse(self, champion: Version, before: str | None, why: Exception, now: float) -> None:
        reason = str(why)
        earlier = self.refused.get(champion.version)
        self.refused[champion.version] = Refusal(reason, now + RETRY_S)
        if earlier is not None and earlier.reason == reason:
            return
        self._report("scorer_refused", version=champion.version, kind=type(why).__name__, reason=reason, still_serving=before)
        if isinstance(why, ArtifactRefused):  # the files themselves: no host should load them
            self._in_registry(lambda: promotion.refuse(champion.version, reason, served=before, settings=self.settings))

    def _in_registry(self, update: Callable[[], object]) -> bool:
        """Writes to MLflow what this host did; whether it could: it may be down, and the host goes on."""
        try:
            update()
        except RegistryError as exc:
            log.warning("registry_not_updated", error=str(exc))
            return False
        return True

    def _report(self, event: str, **fields: Any) -> None:
        """To the log, and to `var/events.jsonl`, which operators read; nothing here does."""
        (log.info if event.endswith("_published") else log.warning)(event, **fields)
        line = json.dumps({"at": time.time(), "event": event, **fields}) + "\n"
        try:
            with (self.settings.var / "events.jsonl").open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as exc:
            log.warning("event_not_written", error=str(exc))


def _as_published(champion: Version, published: CurrentVersion) -> bool:
    """Whether this host has the champion's files and its certificate, which a later run of the gate may change."""
    here = (published.version, published.content_hash, published.certificate)
    return here == (champion.version, champion.content_hash, champion.tags.get(CERTIFICATE_JSON, ""))


def _serving(settings: Settings) -> str | None:
    """The version that serves on this host."""
    published = local_store.current(settings.var)
    return published.version if published else None


def run(settings: Settings, stop: threading.Event) -> None:
    """Follows the champion until `stop` is set.

    Raises RegistryError where another sync runs on this host.
    """
    scorers = settings.var / "scorers"
    scorers.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(scorers / ".sync.lock", timeout=0):
            local_store.sweep(settings.var)
            sync = Sync(settings)
            log.info("following", registry=settings.mlflow_url, serving=_serving(settings))
            while not stop.is_set():
                sync.step(time.monotonic())
                stop.wait(POLL_S)
    except Timeout as exc:
        raise RegistryError(f"Another sync already follows the registry for {scorers}.", next_step="One a host is enough.") from exc


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its retry warnings say in five lines what `registry_unreachable` says in one
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    try:
        extras.need("sync")
        run(Settings(), stop)
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
