"""What routing saved, net, against always asking one LLM, and what quality was given up: the ledger by day, key or domain, for people."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from mixture.llm import LLM
from monitoring.quality import given_up
from monitoring.quality.given_up import Change
from monitoring.records.ledger_entry import ASSUMED, Amounts, Compared
from monitoring.records.store import RecordStore
from monitoring.records.traffic import Traffic, best_single
from monitoring.savings import ledger_quality
from monitoring.savings.ledger import Ledger, Row
from registry.pool import Pool

By = Literal["day", "key", "domain"]
TOTAL = "total"
DAYS = 30  # counted where nobody says since when
DAY_S = 86_400.0
MONEY = ("spent_usd", "routed_usd", "others_usd", "failed_usd", "rebilled_usd", "explored_usd")
COUNTS = ("requests", "failed", "routed", "explored", "unpriced")


@dataclass(frozen=True, slots=True)
class Saving:
    """A line of the ledger: what its requests came to, beside the baseline, and the quality given up."""

    name: str
    row: Row
    quality: Change

    @property
    def baseline_usd(self) -> float | None:
        """What the baseline would have cost; None where nothing was compared."""
        return self.row.against.baseline_usd if self.row.against is not None and self.row.against.compared else None

    @property
    def saved_usd(self) -> float | None:
        """Net: failures, other calls, explorations and cache re-writes are in what was spent; judges of audits are taken off."""
        against = self.row.against
        return None if against is None or self.baseline_usd is None else self.baseline_usd - against.spent_usd - self.row.judged_usd

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        usd, saved = self.baseline_usd, self.saved_usd
        amounts = asdict(self.row.amounts)
        return {
            "name": self.name,
            **{name: amounts[name] for name in (*COUNTS, *MONEY)},
            "judged_usd": self.row.judged_usd,
            "compared": 0 if self.row.against is None else self.row.against.compared,
            "baseline_usd": usd,
            "saved_usd": saved,
            "saved_share": saved / usd if usd and saved is not None else None,
            "quality": asdict(self.quality),
        }


@dataclass(frozen=True, slots=True)
class Savings:
    """The ledger over UTC days, both counted. baseline: None where nothing was routed, so that nobody could be compared with."""

    since: date
    until: date
    by: By
    baseline: str | None
    total: Saving
    rows: tuple[Saving, ...]
    assumed: str = field(default=ASSUMED)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "by": self.by,
            "baseline": self.baseline,
            "assumed": self.assumed,
            "total": self.total.as_dict(),
            "rows": [row.as_dict() for row in self.rows],
        }

    def csv(self) -> str:
        """One line a row, with the baseline in each; an unknown value is an empty cell."""
        lines = [_flat(self, row) for row in self.rows]
        written = io.StringIO()
        writer = csv.DictWriter(written, list(_flat(self, self.total)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        return written.getvalue()


def _flat(savings: Savings, row: Saving) -> Mapping[str, Any]:
    told = row.as_dict()
    quality = told.pop("quality")
    name = told.pop("name")
    return {savings.by: name, "baseline": savings.baseline, **told} | {f"quality_{key}": value for key, value in quality.items()}


def report(
    records: RecordStore,
    pool: Pool,
    *,
    since: date | None = None,
    until: date | None = None,
    by: By = "day",
    baseline: str | None = None,
    confidence: float = 0.95,
) -> Savings:
    """Books what came since, and reads the ledger. Blocks. Raises LLMUnknown for a baseline that is not of the pool, RecordsRefused.

    until: today; since: DAYS days. baseline: the LLM with the best mean score in that time, which a team without routing would ask.
    """
    until = until or datetime.fromtimestamp(records.now(), UTC).date()
    since = since or until - timedelta(days=DAYS - 1)
    begins, ends = (datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() for day in (since, until))
    against = _baseline(records, pool, baseline, begins, ends + DAY_S)
    ledger = Ledger(records)
    ledger.book(asked_for(ledger, pool.llms, against))
    rows = ledger.rows(since, until, by, against)
    changes: Mapping[str | None, Change] = {}
    if against is not None:
        changes = given_up.by_name(ledger_quality.beside(records, against.id, since=since, until=until, by=by), confidence=confidence)
    nothing = Change(why="not known: 0 audits")
    lines = [Saving(name, row, changes.get(name, nothing)) for name, row in rows.items()]
    if by != "day":
        lines.sort(key=lambda line: -line.row.amounts.spent_usd)
    total = Saving(TOTAL, _sum(rows.values(), against), changes.get(None, nothing))
    return Savings(since, until, by, None if against is None else against.id, total, tuple(lines))


def asked_for(ledger: Ledger, llms: Sequence[LLM], also: LLM | None = None) -> list[LLM]:
    """Those of the pool's LLMs that somebody asked to be compared with, `also` among them."""
    names = {*ledger.baselines(), *([also.id] if also is not None else [])}
    return [llm for llm in llms if llm.id in names]


def _baseline(records: RecordStore, pool: Pool, named: str | None, since: float, until: float) -> LLM | None:
    if named is not None:
        return pool.by_id(named)
    return best_single(Traffic(records, since, until).promised(), pool)


def _sum(rows: Iterable[Row], against: LLM | None) -> Row:
    rows = list(rows)
    compared = sum((row.against for row in rows if row.against is not None), Compared())
    amounts = sum((row.amounts for row in rows), Amounts())
    return Row(amounts, compared if against is not None else None, sum(row.judged_usd for row in rows))
