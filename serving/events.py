"""What happened to the server itself, as typed facts in the past tense; each is logged, counted and kept for the console."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

KEPT = 100  # events the console can look back on
log = structlog.get_logger("serving")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True)
class ScorerSwapped(Event):
    """Another scorer version answers from now on."""

    version: str
    previous: str | None
    roster: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScorerServedInFp32(Event):
    """The int8 scores of the version that answers from now on are wrong on this machine; its fp32 encoder answers, more slowly."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScorerRefused(Event):
    """A published scorer was not loaded; `keeps` (if any) goes on answering."""

    reason: str
    keeps: str | None


@dataclass(frozen=True, slots=True)
class VersionBesideLoaded(Event):
    """Another version is the `shadow` or the `canary` from now on, or answers by another plan."""

    alias: str
    version: str


@dataclass(frozen=True, slots=True)
class VersionBesideLeft(Event):
    """There is no `shadow` or no `canary` any more."""

    alias: str
    version: str


@dataclass(frozen=True, slots=True)
class VersionBesideRefused(Event):
    """A published shadow or canary was not loaded, so there is none; the champion answers."""

    alias: str
    reason: str


@dataclass(frozen=True, slots=True)
class FollowerLost(Event):
    """Something that goes on beside requests broke, and does not go on before this worker is started anew: report it, it is a fault."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class CertificateVoid(Event):
    """The monitor declared the certificate of a scorer version void; `ROUTEMOA_CERTIFICATE__OTHERWISE` is served in its place."""

    version: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LearnedReloaded(Event):
    """What was learnt between retrainings is in force: of this scorer version, from so many outcomes."""

    version: str
    outcomes: int


@dataclass(frozen=True, slots=True)
class LearnedFileRefused(Event):
    """The file of what was learnt cannot be used; what was read before stays in force."""

    reason: str


@dataclass(frozen=True, slots=True)
class PoolReloaded(Event):
    """Another pool file is in force."""

    llms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PoolFileRefused(Event):
    """A changed pool file is broken; the one before stays in force."""

    reason: str


@dataclass(frozen=True, slots=True)
class KeysReloaded(Event):
    """Another set of API keys is in force."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeysFileRefused(Event):
    """A changed file of API keys is broken; the one before stays in force."""

    reason: str


@dataclass(frozen=True, slots=True)
class RecordLost(Event):
    """An answer was not acknowledged because its record could not be kept."""

    decision_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordsForgotten(Event):
    """Records older than the operator keeps them were removed."""

    records: int


@dataclass(frozen=True, slots=True)
class CostDiffers(Event):
    """An endpoint states another cost for a call than its pool entry's price makes of it; told once in a while for each LLM."""

    llm: str
    ours_usd: float
    stated_usd: float


@dataclass(frozen=True, slots=True)
class SessionsInterrupted(Event):
    """Sessions cannot be read or kept, so requests are answered as if they had none; told once a minute."""

    reason: str


@dataclass(frozen=True, slots=True)
class AdminCalled(Event):
    """Somebody with the admin scope asked for something. key: the key's name. about: what the path does not say; never a secret."""

    key: str
    method: str
    path: str
    status: int
    about: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordsInterrupted(Event):
    """A commit failed or waits: requests that would be recorded are refused before they cost anything."""

    reason: str


@dataclass(frozen=True, slots=True)
class RecordsResumed(Event):
    """Records are kept again."""

    reason: str


@dataclass(frozen=True, slots=True)
class RecordFileReplaced(Event):
    """Somebody moved, removed or replaced the file of records; they go on in the one that is there now."""

    reason: str


@dataclass(frozen=True, slots=True)
class WorkerDied(Event):
    """A worker process ended or hung, and another one takes its place. exit_code: negative for the signal that ended it."""

    pid: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class ServerLeaves(Event):
    """The server was told to stop: `/readyz` says no from now on, and after `leave_s` nobody new is let in."""

    leave_s: float


@dataclass(frozen=True, slots=True)
class SupervisorLost(Event):
    """The process that started the workers is gone; this one answers what it has begun and ends."""

    pid: int


Handler = Callable[[Event], None]


class Events:
    """Passes events on to handlers; one that fails is logged and stops nobody."""

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = handlers
        self._recent: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def emit(self, event: Event, *, keep: bool = True) -> None:
        """Logs and passes on `event`, and keeps it for the console."""
        facts = asdict(event)
        with suppress(OSError):  # a full disk must not turn its own report into another error
            log.info(type(event).__name__, **facts)
        if keep:
            self._recent.append({"event": type(event).__name__, "at": time.time(), **facts})
        for handler in self._handlers:
            try:
                handler(event)
            except Exception:
                with suppress(OSError):
                    log.exception("event handler failed", handler=repr(handler))

    def recent(self) -> list[dict[str, Any]]:
        """The last events, newest first."""
        return list(reversed(self._recent))
