"""Is the ledger of savings right, and what does it cost? `python -m benchmarks.ledger [--records 5000] [--replays 200]`.

Three days of made-up decisions of two LLMs (caches, thinking, failures, empty replies that are paid, other calls, late records) go into
a real record file. Printed: the table of `routemoa savings`; the ledger's days against an independent biller; CPU of booking, of looking
again, and of booking what came late; how often the interval of the quality given up holds the truth.
"""

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cli.savings import show
from mixture.llm import LLM
from mixture.price import Price
from monitoring import savings
from monitoring.given_up import by_name
from monitoring.ledger import Ledger
from monitoring.quality import Answers
from monitoring.record import Draw, Record
from monitoring.records import RecordStore
from monitoring.served_answers import Beside
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


def coverage(rng: np.random.Generator, replays: int, bias: float, elsewhere: float, n: int = 3000) -> tuple[float, float]:
    """How often the interval of what was given up holds it, and half its width in points.

    Promises of the baseline are too high by `bias` where it answers, by a part `elsewhere` of it where others do.
    """
    held, width = 0, 0.0
    for _ in range(replays):
        score_N, own_N = rng.beta(5, 2, size=n), rng.random(n) < 0.3
        best_N = np.clip(score_N - bias * np.where(own_N, 1.0, elsewhere), 0, 1)
        other_N = np.clip(best_N - 0.05 + 0.1 * rng.normal(size=n), 0, 1)
        quality_N = np.where(own_N, best_N, other_N)
        drawn_N = rng.random(n) < AUDITED
        forecast_N = np.where(own_N, score_N, np.clip(other_N + bias, 0, 1))
        names_N = np.full(n, "x")
        answers = Answers(
            names_N,
            np.where(rng.random(n) < 0.5, "law", "code"),
            np.where(own_N, "dear", "cheap"),
            names_N,
            forecast_N,
            forecast_N,
            np.where(drawn_N, AUDITED, np.nan),
            np.where(drawn_N, (rng.random(n) < quality_N).astype(np.float64), np.nan),
            np.full(n, np.nan),
            np.zeros(n),
        )
        change = by_name(Beside(answers, names_N, score_N), "dear", "day")[None]
        truth = float((quality_N - best_N).mean())
        if change.low is not None and change.high is not None:
            held += change.low <= truth <= change.high
            width += change.high - change.low
    return held / replays, 50 * width / replays


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--replays", type=int, default=200)
    asked = parser.parse_args()
    rng, biller, console = np.random.default_rng(0), Biller(), Console(width=140, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        place = RecordStore(Path(folder) / "records.db").place
        store = RecordStore(place, clock=lambda: FIRST + DAYS * DAY_S + 2 * 3600)
        last = asked.records // 100
        made = [record(rng, biller, at, FIRST + DAYS * DAY_S * float(rng.random())) for at in range(asked.records)]
        keep(store, rng, made[:-last])
        period = {"since": date(2026, 11, 2), "until": date(2026, 11, 2 + DAYS - 1), "baseline": "dear"}
        clock = time.process_time()
        savings.report(store, POOL, **period)  # type: ignore[arg-type]
        booking = time.process_time() - clock
        clock = time.process_time()
        Ledger(store).rows(period["since"], period["until"], "day", POOL.by_id("dear"))  # type: ignore[arg-type]
        again = time.process_time() - clock
        keep(store, rng, made[-last:])
        clock = time.process_time()
        Ledger(store).book([POOL.by_id("dear")])
        new = time.process_time() - clock
        found = savings.report(store, POOL, **period)  # type: ignore[arg-type]
        show(found, console)
    apart = max(abs(Decimal(repr(row.row.amounts.spent_usd)) - biller.usd[row.name]) for row in found.rows)
    console.print(f"\nLedger's days against the biller's: at most {float(apart):.1e} USD apart, of {float(sum(biller.usd.values())):.4f}.")
    console.print(
        f"CPU: {1e6 * booking / (asked.records - last):.0f} us a record to book it and one baseline, {1e3 * again:.1f} ms to look again,"
    )
    console.print(f"{1e3 * new:.1f} ms to book {last} that came late.")
    for bias, elsewhere, where in (
        (0.0, 1.0, ""),
        (0.15, 1.0, " everywhere"),
        (0.15, 0.5, ", half elsewhere"),
        (0.15, 0.0, ", only its own"),
    ):
        share, half = coverage(rng, asked.replays, bias, elsewhere)
        console.print(
            f"Interval of the quality given up, promises {bias:.2f} too high{where}: "
            f"holds in {share:.1%} of {asked.replays} replays, {half:.1f} points to each side."
        )


if __name__ == "__main__":
    main()
