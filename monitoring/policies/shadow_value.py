"""What a shadow's choices would have brought, from the traffic that it scored: `policy_value` on whom it would have asked first.

Whom it would have asked was decided by the server once the request was answered, and lies beside the record; nothing is scored again.
Each host's monitor writes `var/reports/shadow_value.json` for its servers, at most every EVERY_S, of at most the latest MOST requests.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from monitoring.policies import policy_value
from monitoring.policies.logged_actions import Target
from monitoring.policies.logged_traffic import Traffic
from monitoring.policies.off_policy import Value
from monitoring.policies.policy_value import Row
from monitoring.records.record_batches import RecordBatches
from monitoring.records.store import RecordStore
from registry import local_store
from registry.settings import Settings
from scorer.atomic_write import replacing

NAME = "shadow_value.json"
MOST = 3_000  # requests, the latest: each takes 2 ms of CPU to decide again (15 LLMs)
EVERY_S = 600.0
DAYS_S = 30 * 86_400.0
NOT_SCORED = "the shadow did not score it"
SELECT = f"""SELECT records.id, records.status, shadows.record_id, shadows.llm FROM records
    LEFT JOIN shadows ON shadows.record_id = records.id AND shadows.scorer_version = ?
    WHERE records.scorer_version = ? AND length(embedding) > 0 AND records.number >= (
        SELECT min(records.number) FROM shadows JOIN records ON records.id = shadows.record_id
        WHERE shadows.scorer_version = ? AND served_version = ? AND scored_at >= ?)
    ORDER BY records.number DESC LIMIT {MOST}"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class ShadowValue:
    """requests: that were judged; audited, explored: of them. at: seconds since the epoch.

    ours: what the champion does without chance; theirs: what the shadow would have done. None where no request was judged.
    """

    champion: str
    challenger: str
    at: float
    requests: int
    audited: int
    explored: int
    not_judged: Mapping[str, int]
    ours: Row | None
    theirs: Row | None

    @property
    def why(self) -> str:
        """Why its quality cannot be told; empty where it can."""
        if self.theirs is not None:
            return f"{self.theirs.quality.why} {self.theirs.advice}".strip() if self.theirs.quality.why else ""
        reasons = "; ".join(f"{count:,}: {reason}" for reason, count in self.not_judged.items())
        return f"No request can be judged{f' ({reasons})' if reasons else ''}."

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "why": self.why}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "ShadowValue":
        """What `as_dict` made of one. Raises KeyError, TypeError."""
        rows = {name: tree[name] and _row(tree[name]) for name in ("ours", "theirs")}
        return cls(**{name: tree[name] for name in cls.__dataclass_fields__} | rows)


def _row(tree: Mapping[str, Any]) -> Row:
    parts: dict[str, Any] = {name: Value(**part) if isinstance(part, dict) else part for name, part in tree.items()}
    return Row(**parts)


def estimate(store: RecordStore, champion: str, challenger: str, since: float) -> ShadowValue:
    """Of the champion's requests since the shadow began, and since then (seconds since the epoch). Blocks. Raises RecordsRefused."""
    rows = store.ask(SELECT, (challenger, champion, challenger, champion, since))
    asked = {record_id: llm or "" for record_id, _, scored, llm in rows if scored is not None}
    kept = [record_id for record_id, status, *_ in rows if record_id in asked or status != "ok"]
    traffic = Traffic.of(RecordBatches(store, kept), None)
    if lost := len(rows) - len(kept):
        traffic = replace(traffic, not_judged={**traffic.not_judged, NOT_SCORED: lost})
    found = policy_value.evaluate(traffic, [Target(f"version {challenger}", asked=asked)], version=challenger, floor=None)
    ours, theirs = found.rows or (None, None)
    counts = (found.requests, found.audited, found.explored, found.not_judged)
    return ShadowValue(champion, challenger, store.now(), *counts, ours, theirs)


@dataclass(slots=True)
class ShadowValues:
    """One a monitor. `step` does nothing where there is no shadow, and where the last estimate is younger than EVERY_S."""

    settings: Settings
    _pair: tuple[str, str] | None = None
    _at: float = 0.0

    def step(self) -> ShadowValue | None:
        """Estimates and writes where it is time to; what it wrote, else None. Raises RecordsRefused."""
        active, (shadow, _) = local_store.current(self.settings.var), local_store.beside(self.settings.var)
        if active is None or shadow is None or shadow.version == active.version:
            return None
        store, pair = RecordStore.of(self.settings), (active.version, shadow.version)
        if pair == self._pair and 0 <= store.now() - self._at < EVERY_S:
            return None
        found = estimate(store, *pair, store.now() - DAYS_S)
        write(self.settings.var / "reports", found)
        self._pair, self._at = pair, found.at
        return found


def write(reports: Path, found: ShadowValue) -> None:
    """For this host's servers."""
    with replacing(reports / NAME) as partial:
        partial.write_text(json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8")


def read(reports: Path, champion: str, challenger: str) -> ShadowValue | None:
    """The last one of these two versions; None where the monitor wrote none yet, or an earlier release's does."""
    try:
        found = ShadowValue.from_dict(json.loads((reports / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if (found.champion, found.challenger) == (champion, challenger) else None
