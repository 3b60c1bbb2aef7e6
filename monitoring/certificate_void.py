"""`var/reports/certificate_void.json`: that traffic is no longer what a certificate was measured on, and why; servers follow it.

The monitor writes it and never takes it back: a window in which a test finds nothing does not make an old measurement good again. It holds
until another scorer version serves, or until a person who has looked takes it back (`monitoring.looks.take_void_back`; on a host that
shares no database, by deleting the file).
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from monitoring.drift.verdict import Verdict
from scorer.atomic_write import replacing

NAME = "certificate_void.json"
ANY = ""


@dataclass(frozen=True, slots=True)
class Void:
    """version: of the scorer whose certificate is void; ANY where a file cannot be read, None where there is none. reasons: sentences."""

    version: str | None = None
    at: str = ""
    verdict: str = ""
    reasons: tuple[str, ...] = ()

    def covers(self, version: str) -> bool:
        """Whether the certificate of this scorer version is void."""
        return self.version in {ANY, version}


def reasons(verdict: Verdict) -> tuple[str, ...]:
    """Why a certificate is void after this verdict; empty where it is not.

    Known domains in another mix are no reason to retrain, but a mean over the mix of before says nothing of the mean over another.
    """
    if verdict.kind in {"watch", "retrain"}:
        return verdict.reasons
    mix = verdict.stats.mix
    return verdict.reasons if verdict.kind == "keep" and mix is not None and mix.p_value <= verdict.stats.alpha else ()


def made_by(verdict: Verdict, reports: Path, now: datetime) -> Void | None:
    """That the certificate is void, where this verdict is the first to make it so."""
    found, version = reasons(verdict), verdict.stats.scorer_version
    if not found or read(reports / NAME).covers(version):
        return None
    return Void(version, now.isoformat(timespec="seconds"), verdict.id, found)


def write(reports: Path, void: Void) -> None:
    """Says so to the servers of this host."""
    with replacing(reports / NAME, durable=True) as partial:
        partial.write_text(json.dumps(asdict(void), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Void:
    """What the file says. One that cannot be read makes every certificate void: it was written for a reason."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return Void(str(tree["version"]), str(tree["at"]), str(tree["verdict"]), tuple(map(str, tree["reasons"])))
    except FileNotFoundError:
        return Void()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return Void(ANY, reasons=(f"{path} cannot be read ({type(exc).__name__}).",))
