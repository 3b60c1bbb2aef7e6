"""The queue of answers that were drawn for an audit and wait for a person's grade: who claims one, who skips it, and what is known of it.

The order says nothing of the answers (a hash of their ids), so whoever grades from the top and stops grades a random part of them; those
that somebody asked for (`group_actions`) come first. What a judge thinks of an answer is kept apart, and told after a person's
grade, not before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from monitoring.audits.audits import place
from monitoring.errors import AuditClaimed, AuditUnknown
from monitoring.records.record import AUDIT, Record
from monitoring.records.store import RecordStore

ASKED_FOR = "asked for"  # what the reason of a draw begins with that a person wanted
BY_CODE = "grader:"  # what the name of whoever graded begins with, where that was code
CLAIM_S = 900.0  # after which somebody else may grade a claimed answer
MOST_WAITING = 5000  # waiting answers that are put in order; older ones wait until those are graded
UNGRADED = f"drawn = 1 AND coalesce(source, '') <> '{AUDIT}'"
WAITING, HIDDEN = (f"{UNGRADED} AND records.text IS {kept} NULL" for kept in ("NOT", ""))  # nobody can grade what cannot be shown
OPINE = """INSERT INTO opinions (record_id, grader, score, cost_usd, given_at, unbooked_usd) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (record_id, grader) DO UPDATE SET score = excluded.score, cost_usd = excluded.cost_usd, given_at = excluded.given_at,
    unbooked_usd = opinions.unbooked_usd + excluded.unbooked_usd"""
CLAIM = """INSERT INTO claims (record_id, who, claimed_at, skipped) VALUES (?, ?, ?, ?) ON CONFLICT (record_id, who)
    DO UPDATE SET claimed_at = excluded.claimed_at, skipped = excluded.skipped"""
DOMAIN = "coalesce(draws.domain, records.domain)"
OF_DRAWS = "FROM draws JOIN records ON records.number = draws.number LEFT JOIN outcomes ON outcomes.record_id = records.id"


def hidden_in_words(count: int) -> str:
    """What is said of so many drawn answers that cannot be shown; nothing of none."""
    answers = "1 drawn answer" if count == 1 else f"{count} drawn answers"
    set_it = "set ROUTEMOA_STORE_TEXT=true, and later answers can be graded"
    return f"{answers} cannot be shown, for texts are not kept: {set_it}." if count else ""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a machine thinks of a drawn answer: `grader` is `judge:LLM` or `reward_model:NAME`; score in [0, 1], None where it gave none.

    given_at: seconds since the epoch.
    """

    grader: str
    score: float | None
    cost_usd: float
    given_at: float


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A drawn answer. domain: what the monitor calls its domain. why: what made the draw likelier. claimed_by: who grades it now."""

    record: Record
    domain: str | None
    why: tuple[str, ...]
    claimed_by: str | None
    claimed_until: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; query and answer are None where texts are not kept."""
        record = self.record
        reference = None if record.outcome is None or record.outcome.reference is None else asdict(record.outcome.reference)
        return {
            "decision_id": record.id,
            "created_at": record.created_at,
            "scorer_version": record.scorer_version,
            "domain": self.domain,
            "llm": record.llm,
            "promised": record.predicted,
            "expected": record.expected,
            "probability": record.drawn_with,
            "why": list(self.why),
            "query": record.text,
            "answer": record.answer,
            "reference": reference,
            "claimed_by": self.claimed_by,
            "claimed_until": self.claimed_until,
        }


class AuditQueue:
    """The queue in the record file of this host, safe from any process. Every method blocks, and raises RecordsRefused.

    Of answers whose texts are not kept it shows how many there are, and none: `get` still finds one, for whoever knows it by its id.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def count(self, domain: str | None = None) -> int:
        """How many answers wait for a grade, in all or of a domain."""
        return self._count(WAITING, domain)

    def hidden(self, domain: str | None = None) -> int:
        """How many more were drawn that cannot be shown, because their texts are not kept."""
        return self._count(HIDDEN, domain)

    def waiting(self, who: str, *, most: int = 20, domain: str | None = None) -> list[Waiting]:
        """Up to `most` of them for `who`: none that they skipped or that somebody else has claimed."""
        now = self._store.now()
        where, values = _of_domain(domain)
        rows = self._store.ask(
            f"""SELECT records.id, draws.why {OF_DRAWS}
                WHERE {where} AND NOT EXISTS (
                    SELECT 1 FROM claims WHERE claims.record_id = records.id
                    AND ((who = ? AND skipped = 1) OR (who <> ? AND skipped = 0 AND claimed_at > ?)))
                ORDER BY draws.number DESC LIMIT {MOST_WAITING}""",  # noqa: S608  all text is ours
            (*values, who, who, now - CLAIM_S),
        )
        first = sorted(rows, key=lambda row: (not (row[1] or "").startswith(ASKED_FOR), place(row[0], "queue")))[:most]
        return self._of([record_id for record_id, _ in first])

    def get(self, decision_id: str) -> Waiting:
        """The drawn answer of that decision, graded or not. Raises AuditUnknown."""
        found = self._of([decision_id])
        if not found:
            next_step = "`routemoa audits` and GET /v1/audits list those that wait for a grade."
            raise AuditUnknown(f"No answer that was drawn for an audit is called {decision_id!r}.", next_step=next_step)
        return found[0]

    def claim(self, decision_id: str, who: str) -> Waiting:
        """Keeps it for `who` for CLAIM_S seconds. Raises AuditUnknown, AuditClaimed."""
        found = self.get(decision_id)
        if found.claimed_by not in {None, who}:
            raise AuditClaimed(
                f"{found.claimed_by} grades {decision_id} now.", next_step="Take another one; it is free again within a quarter of an hour."
            )
        self._note(decision_id, who, skipped=False)
        return self.get(decision_id)

    def skip(self, decision_id: str, who: str) -> None:
        """Shows it to `who` no more; others still see it. Raises AuditUnknown."""
        self.get(decision_id)
        self._note(decision_id, who, skipped=True)

    def opinions(self, decision_id: str) -> list[Opinion]:
        """What machines think of it."""
        rows = self._store.ask(
            "SELECT grader, score, cost_usd, given_at FROM opinions WHERE record_id = ? ORDER BY given_at", (decision_id,)
        )
        return [Opinion(*row) for row in rows]

    def opine(self, given: Mapping[str, Opinion]) -> None:
        """Keeps opinions, by decision id; one of the same grader replaces the one before."""
        rows = [(record_id, each.grader, each.score, each.cost_usd, each.given_at, each.cost_usd) for record_id, each in given.items()]
        self._store.change(OPINE, rows)

    def spent_usd(self, since: float) -> float:
        """What opinions cost that were given since then (seconds since the epoch)."""
        return float(self._store.ask("SELECT coalesce(sum(cost_usd), 0) FROM opinions WHERE given_at >= ?", (since,))[0][0])

    def without_opinion(self, grader: str, most: int) -> list[Record]:
        """Drawn answers whose text is kept and on which this grader has given none, those that people graded too: they show its own error.

        These come first, then the order of the queue. What code graded needs no opinion, and is of another kind than what only people can.
        """
        rows = self._store.ask(
            f"""SELECT records.id, coalesce(source, '') {OF_DRAWS} WHERE drawn = 1 AND records.text IS NOT NULL
                AND coalesce(reported_by, '') NOT LIKE '{BY_CODE}%' AND NOT EXISTS (
                SELECT 1 FROM opinions WHERE opinions.record_id = records.id AND grader = ?)
                ORDER BY draws.number DESC LIMIT {MOST_WAITING}""",  # noqa: S608
            (grader,),
        )
        first = [row[0] for row in sorted(rows, key=lambda row: (row[1] != AUDIT, place(row[0], "queue")))[:most]]
        by_id = {record.id: record for record in self._store.of_ids(first)}
        return [by_id[each] for each in first if each in by_id]

    def _count(self, which: str, domain: str | None) -> int:
        where, values = _of_domain(domain, which)
        return int(self._store.ask(f"SELECT count(*) {OF_DRAWS} WHERE {where}", values)[0][0])

    def _note(self, decision_id: str, who: str, *, skipped: bool) -> None:
        self._store.change(CLAIM, [(decision_id, who, self._store.now(), int(skipped))])

    def _of(self, ids: Sequence[str]) -> list[Waiting]:
        """Those of these that were drawn, in this order."""
        records = {record.id: record for record in self._store.of_ids(ids) if record.drawn_with is not None}
        since = self._store.now() - CLAIM_S
        found = []
        for record_id in ids:
            if record_id not in records:
                continue
            ((domain, why),) = self._store.ask(
                f"SELECT {DOMAIN}, why {OF_DRAWS} WHERE id = ?",
                (record_id,),
            )
            claims = self._store.ask(
                "SELECT who, claimed_at FROM claims WHERE record_id = ? AND skipped = 0 AND claimed_at > ? ORDER BY claimed_at DESC",
                (record_id, since),
            )
            by, until = (claims[0][0], claims[0][1] + CLAIM_S) if claims else (None, None)
            found.append(Waiting(records[record_id], domain, tuple(filter(None, (why or "").split("; "))), by, until))
        return found


def _of_domain(domain: str | None, which: str = WAITING) -> tuple[str, tuple[str, ...]]:
    """Those draws, in all or of a domain; one that was asked for by a group's name is of that group, whatever its caller called it."""
    if domain is None:
        return which, ()
    return f"{which} AND ({DOMAIN} = ? OR draws.why = ?)", (domain, f"{ASKED_FOR}: {domain}")
