"""Is the ledger of savings right, and what does it cost? `python -m benchmarks.ledger [--records 5000] [--month 300000] [--replays 200]`.

Three days of made-up decisions of two LLMs (caches, thinking, failures, empty replies that are paid, other calls, late records) go into
a real record file. Printed: the table of `routemoa savings`; the ledger's days against an independent biller; CPU of booking, of looking
again, also at a month of many copies of them, and of booking what came late; how often the interval of the quality given up holds the
truth, also of a period in which it changes, from all of it and from its newest 20,000 answers alone.
"""

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cli.savings import show
from mixture.llm import LLM
from mixture.price import Price
from monitoring.quality.answers import Answers, Doubles, Names
from monitoring.quality.given_up import Beside, Moved, by_name
from monitoring.records.record import COLUMNS, Draw, Record
from monitoring.records.store import RecordStore
from monitoring.savings import savings
from monitoring.savings.ledger import Ledger
from monitoring.savings.ledger_quality import CURSOR
from registry.pool import Pool

FIRST = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
DAYS, DAY_S = 3, 86_400.0
RATES = {  # USD per million tokens: read, from the cache, written, thought
    "dear": (Decimal(3), Decimal("0.3"), Decimal(15), Decimal(15)),
    "cheap": (Decimal("0.25"), Decimal("0.025"), Decimal(2), Decimal("1.5")),
}
POOL = Pool(
    tuple(
        LLM(name, name, Price(float(read), float(written), cache_read=float(cached), reasoning=float(thought)))
        for name, (read, cached, written, thought) in RATES.items()
    )
)
AUDITED = 0.05


class Biller:
    """What providers bill, in exact arithmetic, by day."""

    def __init__(self) -> None:
        self.usd: dict[str, Decimal] = defaultdict(Decimal)

    def bill(self, day: str, llm: str, used: tuple[int, int, int, int]) -> float:
        """One call's USD; used: tokens read, of them cached, written, of them thought."""
        read, cached, written, thought = used
        rates = RATES[llm]
        usd = ((read - cached) * rates[0] + cached * rates[1] + (written - thought) * rates[2] + thought * rates[3]) / 1_000_000
        self.usd[day] += usd
        return float(usd)


def call(rng: np.random.Generator, biller: Biller, day: str, llm: str) -> dict[str, Any]:
    """A call as a decision keeps it."""
    read, written = int(rng.integers(50, 4000)), int(rng.integers(1, 800))
    cached, thought = int(rng.integers(0, read + 1)) * int(rng.random() < 0.5), int(rng.integers(0, written + 1)) * int(rng.random() < 0.3)
    usage = {"input_tokens": read, "output_tokens": written, "cache_read": cached, "reasoning": thought}
    usd = biller.bill(day, llm, (read, cached, written, thought))
    return {"llm": llm, "input_tokens": read, "output_tokens": written, "cost_usd": usd, "usage": usage}


def record(rng: np.random.Generator, biller: Biller, number: int, at: float) -> tuple[Record, float]:
    """A record made at `at`, and how good its answer is. Every twentieth fails, every tenth asks two LLMs, every fiftieth is named."""
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    scores = np.clip(np.array([0.8, 0.75]) + 0.1 * rng.normal(size=2), 0.01, 0.99)
    own = "dear" if rng.random() < 0.3 else "cheap"
    names = (["cheap"] if rng.random() < 0.1 else []) + [own]
    runs = [call(rng, biller, day, llm) for llm in names]
    failed, named = rng.random() < 0.05, rng.random() < 0.02
    lost = [call(rng, biller, day, "cheap")["cost_usd"]] if rng.random() < 0.05 else []  # a reply that was empty, and paid
    usd = sum([*(run["cost_usd"] for run in runs), *lost])
    tree = {"layers": [{"runs": runs}], "synthesis": None, "score": float(scores[int(own == "cheap")])}
    embedding = np.zeros(0 if named else 4, dtype=np.float32)
    made = Record(
        id=f"r-{number}",
        created_at=at,
        virtual_model=own if named else "routemoa",
        scorer_version="" if named else "1",
        roster=() if named else ("dear", "cheap"),
        scores=() if named else tuple(map(float, scores)),
        embedding=embedding,
        decision={"calls": runs} if failed else tree,
        llm=None if failed else own,
        cost_usd=usd,
        latency_s=1.0,
        input_tokens=sum(run["input_tokens"] for run in runs),
        output_tokens=sum(run["output_tokens"] for run in runs),
        status="error" if failed else "ok",
        domain=str(rng.choice(["law", "code"])),
        asked_by=str(rng.choice(["shop", "desk", "night"])),
    )
    return made, float(scores[int(own == "cheap")])


def keep(store: RecordStore, rng: np.random.Generator, made: list[tuple[Record, float]]) -> None:
    """Appends records, draws audits and grades them; on the last day only a few are graded."""

    async def appended() -> None:
        writing = RecordStore(store.place)
        await asyncio.gather(*(writing.append(each) for each, _ in made))
        store.decide_draws([Draw(each.id, AUDITED, bool(rng.random() < AUDITED)) for each in store.undecided(len(made))])
        right = {each.id: quality for each, quality in made}
        for each in store.to_audit(len(made)):
            if each.id in right and each.created_at < FIRST + (DAYS - 1) * DAY_S:
                await writing.report_outcome(each.id, float(rng.random() < right[each.id]), "audit")
        await writing.close()

    asyncio.run(appended())


def beside(answers: Answers, score_N: Doubles, name_N: Names) -> Beside:
    """The sums and audits of these answers beside `dear`, as the ledger has them of records."""
    known_N, own_N = ~np.isnan(score_N), answers.llm_N == "dear"
    all_of = {}
    for name in np.unique(name_N):
        for domain in np.unique(answers.domain_N):
            at_N = known_N & (name_N == name) & (answers.domain_N == domain)
            moved_N = at_N & ~own_N
            all_of[str(name), str(domain)] = Moved(
                int(at_N.sum()), int(moved_N.sum()), float(answers.forecast_N[moved_N].sum()), float(score_N[moved_N].sum())
            )
    graded_N = known_N & ~np.isnan(answers.drawn_with_N) & ~(np.isnan(answers.grade_N) & np.isnan(answers.opinion_N))
    _, audits = answers.of(graded_N).summed()
    graded = len(audits.grade_M)
    return Beside("dear", all_of, audits, name_N[graded_N], own_N[graded_N], score_N[graded_N], graded, graded)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Answers in the order they were given, what the scorer promised of `dear`, and of each the quality given up in truth."""

    answers: Answers
    score_N: Doubles
    change_N: Doubles

    def of(self, rows: slice) -> Beside:
        """Some of them."""
        within = np.arange(len(self.score_N))[rows]
        return beside(self.answers.of(within), self.score_N[within], np.full(len(within), "x"))


def world(
    rng: np.random.Generator,
    n: int = 3000,
    *,
    bias: float = 0.0,
    elsewhere: float = 1.0,
    own: float = 0.3,
    share: float = AUDITED,
    worse: float = 0.05,
    until: float = 1.0,
) -> World:
    """N answers, a share `own` of them by `dear`; `cheap` is `worse`, from the part `until` of the time on as good.

    Promises of the baseline are too high by `bias` where it answers, by a part `elsewhere` of it where others do.
    """
    score_N, own_N = rng.beta(5, 2, size=n), rng.random(n) < own
    best_N = np.clip(score_N - bias * np.where(own_N, 1.0, elsewhere), 0, 1)
    gap_N = np.where(np.arange(n) < until * n, worse, 0.0)
    other_N = np.clip(best_N - gap_N + 0.1 * rng.normal(size=n), 0, 1)
    quality_N = np.where(own_N, best_N, other_N)
    drawn_N = rng.random(n) < share
    forecast_N = np.where(own_N, score_N, np.clip(other_N + bias, 0, 1))
    names_N = np.full(n, "x")
    answers = Answers(
        version_N=names_N,
        domain_N=np.where(rng.random(n) < 0.5, "law", "code"),
        llm_N=np.where(own_N, "dear", "cheap"),
        key_N=names_N,
        forecast_N=forecast_N,
        promised_N=forecast_N,
        drawn_with_N=np.where(drawn_N, share, np.nan),
        grade_N=np.where(drawn_N, (rng.random(n) < quality_N).astype(np.float64), np.nan),
        opinion_N=np.full(n, np.nan),
        usd_N=np.zeros(n),
    )
    return World(answers, score_N, quality_N - best_N)


def coverage(worlds: Iterable[World], rows: slice = slice(None)) -> tuple[float, float]:
    """How often the interval of what was given up, from these rows alone, holds what all gave up; and half its width in points."""
    held, width, replays = 0, 0.0, 0
    for each in worlds:
        change = by_name(each.of(rows))[None]
        replays += 1
        if change.low is not None and change.high is not None:
            held += change.low <= float(each.change_N.mean()) <= change.high
            width += change.high - change.low
    return held / replays, 50 * width / replays


def month(store: RecordStore, answers: int) -> None:
    """Copies of what is there, with draws and grades, until about so many are served; each has its own id and number."""
    ((most, count),) = store.ask("SELECT max(number), count(*) FROM records")
    columns = ", ".join(COLUMNS[1:])
    copied = f"INSERT INTO records (number, id, {columns}) SELECT number + ?, id || '-' || ?, {columns} FROM records WHERE number <= ?"  # noqa: S608
    for copy in range(1, answers // count):
        after = copy * most
        with store.place.writing() as connection:
            connection.execute(copied, (after, copy, most))
            connection.execute(
                """INSERT INTO draws (number, probability, drawn, drawn_at, domain, why)
                SELECT number + ?, probability, drawn, drawn_at, domain, why FROM draws WHERE number <= ?""",
                (after, most),
            )
            connection.execute(
                """INSERT INTO outcomes (record_id, score, source, reported_at) SELECT record_id || '-' || ?, score, source, reported_at
                FROM outcomes JOIN records ON records.id = record_id WHERE number <= ?""",
                (copy, most),
            )


class Clock:
    """CPU of this process since it was last asked, in seconds."""

    def __init__(self) -> None:
        self._at = time.process_time()

    def __call__(self) -> float:
        """How much."""
        before, self._at = self._at, time.process_time()
        return self._at - before


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--month", type=int, default=300_000)
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--answers", type=int, default=60_000)
    asked = parser.parse_args()
    rng, biller, console = np.random.default_rng(0), Biller(), Console(width=140, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(RecordStore(Path(folder) / "records.db").place, clock=lambda: FIRST + DAYS * DAY_S + 2 * 3600)
        last = asked.records // 100
        made = [record(rng, biller, at, FIRST + DAYS * DAY_S * float(rng.random())) for at in range(asked.records)]
        period = (date(2026, 11, 2), date(2026, 11, 2 + DAYS - 1))

        def report() -> savings.Savings:
            return savings.report(store, POOL, since=period[0], until=period[1], baseline="dear")

        keep(store, rng, made[:-last])
        clock = Clock()
        report()
        booking = clock()
        report()
        again = clock()
        keep(store, rng, made[-last:])
        clock()
        Ledger(store).book([POOL.by_id("dear")])
        new = clock()
        found = report()
        show(found, console)
        store.change("DELETE FROM ledger_answers", [()])
        store.change("DELETE FROM ledger_cursors WHERE name = ?", [(CURSOR + "dear",)])
        clock()
        Ledger(store).book([POOL.by_id("dear")])
        quality = clock()
        month(store, asked.month)
        report()
        clock()
        of_month = report().total
        look = clock()
    apart = max(abs(Decimal(repr(row.row.amounts.spent_usd)) - biller.usd[row.name]) for row in found.rows)
    console.print(f"\nLedger's days against the biller's: at most {float(apart):.1e} USD apart, of {float(sum(biller.usd.values())):.4f}.")
    audits = of_month.quality.audits + of_month.quality.baseline_audits
    rows = {
        "CPU, us a record, to book its money and that of one baseline": (booking - quality) / (asked.records - last) * 1e6,
        "CPU, us a record, to book its quality beside that baseline": quality / asked.records * 1e6,
        f"CPU, ms, to look again at {asked.records - last:,} requests": again * 1e3,
        f"CPU, ms, to book {last} that came late": new * 1e3,
        f"CPU, ms, to look again at {of_month.row.amounts.requests:,} requests, {audits:,} of them audited": look * 1e3,
    }
    lines = ["| of the ledger | |", "|---|---|", *(f"| {what} | {value:.0f} |" for what, value in rows.items()), ""]
    lines += ["| quality given up, 95 % | answers | holds | points to each side |", "|---|---|---|---|"]
    for bias, elsewhere, where in (
        (0.0, 1.0, "promises are kept"),
        (0.15, 1.0, "promises are .15 too high"),
        (0.15, 0.5, "promises are .15 too high, half as much where others answer"),
        (0.15, 0.0, "promises are .15 too high, only where the baseline answers"),
    ):
        share, half = coverage(world(rng, bias=bias, elsewhere=elsewhere) for _ in range(asked.replays))
        lines.append(f"| {where} | 3,000 | {share:.1%} | {half:.1f} |")
    changing = [world(rng, asked.answers, worse=0.15, until=0.6) for _ in range(asked.replays)]
    newest = slice(-20_000, None)
    for what, part in (("the period", slice(None)), ("its newest 20,000 alone", newest)):
        share, half = coverage(changing, part)
        size = len(range(*part.indices(asked.answers)))
        lines.append(
            f"| the other LLM is .15 worse for three fifths of the time, then as good: {what} | {size:,} | {share:.1%} | {half:.1f} |"
        )
    print("\n".join(["", "<!-- ledger -->", *lines, "<!-- /ledger -->"]))


if __name__ == "__main__":
    main()
