"""The ledger of savings: what was spent, and what a baseline would have cost, by day, key and domain.

A request is booked once, into the row of its own day, whenever its record came; a row outlives the records it sums. Each baseline that
somebody asked for has rows of its own and is booked from then on. How far is in `ledger_cursors`. Costs of judges that grade audits are
booked on the day of the opinion.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from mixture.llm import LLM
from monitoring.errors import RecordsRefused
from monitoring.records.ledger_entry import AMOUNTS, BY, DOMAIN, NOBODY, Amounts, Compared, Entry, Where, day_of
from monitoring.records.record_place import PlaceFailed, Statement
from monitoring.records.store import RecordStore
from monitoring.savings import ledger_quality

AT_ONCE = 500  # records of one transaction
DECIDE_S = 3600.0  # within which the monitor says of a record what its domain is; after that nobody waits for it
SPENT, AGAINST = "spent", "against "  # names of cursors: of spending, and of a baseline
COMPARED = "sum(compared), sum(baseline_usd), sum(spent_usd)"
READ = f"""SELECT records.number, created_at, coalesce(asked_by, '{NOBODY}'), {DOMAIN}, llm,
    cost_usd, input_tokens, output_tokens, status, roster, decision
    FROM (SELECT * FROM records WHERE number > ? AND number <= ? ORDER BY number LIMIT {AT_ONCE}) AS records
    LEFT JOIN draws ON draws.number = records.number ORDER BY records.number"""  # noqa: S608  all text is ours
SETTLED = """SELECT min(number) FROM records WHERE number > (SELECT coalesce(max(number), 0) FROM draws)
    AND created_at >= ? AND length(embedding) > 0"""
ADD_SPENT = f"""INSERT INTO ledger_days (day, asked_by, domain, {", ".join(AMOUNTS)}) VALUES (?, ?, ?{", ?" * len(AMOUNTS)})
    ON CONFLICT (day, asked_by, domain) DO UPDATE SET {", ".join(f"{name} = ledger_days.{name} + excluded.{name}" for name in AMOUNTS)}"""  # noqa: S608
ADD_AGAINST = """INSERT INTO ledger_baselines (llm, day, asked_by, domain, compared, baseline_usd, spent_usd) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (llm, day, asked_by, domain) DO UPDATE SET compared = ledger_baselines.compared + excluded.compared,
    baseline_usd = ledger_baselines.baseline_usd + excluded.baseline_usd, spent_usd = ledger_baselines.spent_usd + excluded.spent_usd"""
ADD_JUDGED = """INSERT INTO ledger_judges (day, asked_by, domain, judged_usd) VALUES (?, ?, ?, ?)
    ON CONFLICT (day, asked_by, domain) DO UPDATE SET judged_usd = ledger_judges.judged_usd + excluded.judged_usd"""
MOVE = "INSERT INTO ledger_cursors (name, number) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET number = excluded.number"
UNBOOKED = f"""SELECT record_id, grader, given_at, unbooked_usd, coalesce(asked_by, '{NOBODY}'),
    {DOMAIN} FROM opinions JOIN records ON records.id = record_id
    LEFT JOIN draws ON draws.number = records.number WHERE unbooked_usd <> 0 LIMIT {AT_ONCE}"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Row:
    """What is in the ledger of some requests. against: None where no baseline was asked for. judged_usd: by judges of audits."""

    amounts: Amounts = field(default_factory=Amounts)
    against: Compared | None = None
    judged_usd: float = 0.0


class Ledger:
    """The ledger beside the records of a place, safe from any process. Every method blocks, and raises RecordsRefused."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records

    def book(self, baselines: Iterable[LLM] = ()) -> int:
        """Books what came since, for spending, each of `baselines`, and judges; how many records were new to spending.

        Records whose domain the monitor may still name wait DECIDE_S for it; `rows` counts them all the same.
        """
        until, new = self._settled(), 0
        while booked := self._book_some(_spending(), until):
            new += booked
        for llm in baselines:
            for each in (_money(llm), _quality(llm)):
                while self._book_some(each, until):
                    pass
        while self._book_judges():
            pass
        return new

    def baselines(self) -> list[str]:
        """The LLMs that somebody asked to be compared with."""
        names = self._records.ask("SELECT name FROM ledger_cursors ORDER BY name")
        return [name.removeprefix(AGAINST) for (name,) in names if name.startswith(AGAINST)]

    def rows(self, since: date, until: date, by: str, baseline: LLM | None) -> dict[str, Row]:
        """For each day, key or domain (`by`) the sums over the UTC days `since` to `until`, both counted; call `book` first.

        What is not booked yet is read from its records.
        """
        column, during = BY[by], (since.isoformat(), until.isoformat())
        spent: dict[str, Amounts] = defaultdict(Amounts)
        against: dict[str, Compared] = defaultdict(Compared)
        judged: dict[str, float] = defaultdict(float)
        sums = ", ".join(f"sum({name})" for name in AMOUNTS)
        within = "WHERE day >= ? AND day <= ?"
        for name, *values in self._records.ask(f"SELECT {column}, {sums} FROM ledger_days {within} GROUP BY {column}", during):  # noqa: S608
            spent[name] += _amounts(values)
        for name, usd in self._records.ask(f"SELECT {column}, sum(judged_usd) FROM ledger_judges {within} GROUP BY {column}", during):  # noqa: S608
            judged[name] += float(usd)
        if baseline is not None:
            query = f"SELECT {column}, {COMPARED} FROM ledger_baselines {within} AND llm = ? GROUP BY {column}"  # noqa: S608
            for name, compared, usd, own in self._records.ask(query, (*during, baseline.id)):
                against[name] += Compared(int(compared), float(usd), float(own))
        for entry in self._unbooked(SPENT, *during):
            spent[_name(entry, by)] += entry.amounts
        for entry in self._unbooked(AGAINST + baseline.id, *during) if baseline is not None else ():
            against[_name(entry, by)] += entry.against(baseline) if baseline is not None else Compared()
        return {
            name: Row(spent[name], against[name] if baseline is not None else None, judged[name])
            for name in sorted({*spent, *against, *judged})
        }

    def totals(self) -> tuple[float, dict[str, Compared]]:
        """USD spent since the first request, and what is booked against each baseline. Reads no record."""
        ((spent,),) = self._records.ask("SELECT coalesce(sum(spent_usd), 0) FROM ledger_days")
        rows = self._records.ask(f"SELECT llm, {COMPARED} FROM ledger_baselines GROUP BY llm")  # noqa: S608
        return float(spent), {llm: Compared(int(count), float(usd), float(own)) for llm, count, usd, own in rows}

    def judged_usd(self) -> float:
        """What judges of audits cost since the first one."""
        return float(self._records.ask("SELECT coalesce(sum(judged_usd), 0) FROM ledger_judges")[0][0])

    def _settled(self) -> int:
        """The number up to which nobody will say anything more of a record's domain."""
        ((first,),) = self._records.ask(SETTLED, (self._records.now() - DECIDE_S,))
        return int(first) - 1 if first is not None else 2**62

    def _book_some(self, account: "_Account", until: int) -> int:
        """Books the next records of an account, AT_ONCE at most; how many. They are read outside of the transaction that books them."""
        name = account.cursor
        after = self._cursor(name)
        rows = self._records.ask(account.read, (after, until))
        sums = account.statements(rows)
        last = int(rows[-1][0]) if rows else after
        try:
            with self._records.place.writing() as connection:
                at = connection.execute("SELECT number FROM ledger_cursors WHERE name = ?", (name,)).fetchone()
                if (at[0] if at is not None else 0) != after:
                    return 1  # another process booked meanwhile: see what is left
                if rows or at is None:
                    for statement, values in sums:
                        connection.execute(statement, values)
                    connection.execute(MOVE, (name, last))
        except PlaceFailed as exc:
            raise RecordsRefused(f"{self._records.place.name}: cannot be booked ({exc}).", next_step=self._records.place.next_step) from exc
        return len(rows)

    def _book_judges(self) -> int:
        """Books opinions' costs, AT_ONCE at most; how many."""
        if not self._records.ask("SELECT 1 FROM opinions WHERE unbooked_usd <> 0 LIMIT 1"):
            return 0
        try:
            with self._records.place.writing() as connection:
                rows = connection.execute(UNBOOKED).fetchall()
                for record_id, grader, given_at, usd, asked_by, domain in rows:
                    connection.execute(ADD_JUDGED, (day_of(given_at), asked_by, domain, usd))
                    connection.execute("UPDATE opinions SET unbooked_usd = 0 WHERE record_id = ? AND grader = ?", (record_id, grader))
        except PlaceFailed as exc:
            raise RecordsRefused(f"{self._records.place.name}: cannot be booked ({exc}).", next_step=self._records.place.next_step) from exc
        return len(rows)

    def _unbooked(self, name: str, since: str, until: str) -> Iterator[Entry]:
        after = self._cursor(name)
        while rows := self._records.ask(READ, (after, 2**62)):
            yield from (entry for entry in map(_entry, rows) if since <= entry.day <= until)
            after = int(rows[-1][0])

    def _cursor(self, name: str) -> int:
        found = self._records.ask("SELECT number FROM ledger_cursors WHERE name = ?", (name,))
        return int(found[0][0]) if found else 0


def _entry(row: Sequence[Any]) -> Entry:
    _, created_at, asked_by, domain, llm, usd, read, written, status, roster, decision = row
    return Entry(created_at, asked_by, domain, llm, usd, read, written, status == "ok", roster != "[]", orjson.loads(decision))


@dataclass(frozen=True, slots=True)
class _Account:
    """What one cursor books: the rows that `read` finds after it, as statements."""

    cursor: str
    read: str
    statements: Callable[[Sequence[Sequence[Any]]], list[Statement]]


def _spending() -> _Account:
    def statements(rows: Sequence[Sequence[Any]]) -> list[Statement]:
        spent: dict[Where, Amounts] = defaultdict(Amounts)
        for entry in map(_entry, rows):
            spent[_where(entry)] += entry.amounts
        return [(ADD_SPENT, (*where, *(getattr(each, name) for name in AMOUNTS))) for where, each in spent.items()]

    return _Account(SPENT, READ, statements)


def _money(llm: LLM) -> _Account:
    def statements(rows: Sequence[Sequence[Any]]) -> list[Statement]:
        against: dict[Where, Compared] = defaultdict(Compared)
        for entry in map(_entry, rows):
            against[_where(entry)] += entry.against(llm)
        return [(ADD_AGAINST, (llm.id, *where, each.compared, each.baseline_usd, each.spent_usd)) for where, each in against.items()]

    return _Account(AGAINST + llm.id, READ, statements)


def _quality(llm: LLM) -> _Account:
    return _Account(ledger_quality.CURSOR + llm.id, ledger_quality.READ, lambda rows: ledger_quality.statements(rows, llm.id))


def _where(entry: Entry) -> Where:
    return entry.day, entry.asked_by, entry.domain


def _name(entry: Entry, by: str) -> str:
    return _where(entry)[list(BY).index(by)]


def _amounts(values: Sequence[Any]) -> Amounts:
    counted: Any = {name: (float if name.endswith("_usd") else int)(value) for name, value in zip(AMOUNTS, values, strict=True)}
    return Amounts(**counted)
