"""The what-if as one object, as JSON, and as lines and tables for a terminal."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mixture.llm import LLM
from pipelines.logs.money import usd
from pipelines.what_if import history
from pipelines.what_if.compare import Compared, Part
from pipelines.what_if.history import Billed
from registry.certificate import points
from scorer.metrics import Interval

ASSUMED = (
    "Another LLM would have read the same tokens, with the same parts of them cached, for a session stays with the LLM of its first text.",
    "Its answer would have been longer or shorter than the logged one as its recorded answers are than those of the LLM that was asked.",
    "Intervals are of 95 %, each by itself: from how scores and costs came out on labelled queries of the same kinds, nothing else.",
    "Where no labelled query is like a call, it is taken that the quality of another LLM's answer may have been anything.",
)


ELSEWHERE = ("the same tokens by", "USD", "saved, quality unknown")
MOST_ELSEWHERE = 20  # lines on a terminal; the page has all


@dataclass(frozen=True, slots=True)
class Spent:
    """What the log cost: calls (requests), those priced, USD at our prices, and as stated there by the calls that state it (None: none).

    elsewhere: what the priced calls would have cost on the same tokens with one other LLM alone, the cheapest first.
    """

    calls: int
    priced: int
    estimated: int
    usd: float
    stated_usd: float | None
    stated_as_priced_usd: float
    by_llm: Mapping[str, tuple[int, float]]
    not_priced: Mapping[str, int]
    elsewhere: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, billed: Iterable[Billed], others: Sequence[LLM] = ()) -> "Spent":
        """Of all calls, gone through once. others: LLMs at whose prices the same tokens are told, too."""
        told, stated, by_llm = Counter[str](), {"USD": 0.0, "as priced": 0.0, "calls": 0.0}, dict[str, tuple[int, float]]()
        not_priced: Counter[str] = Counter()
        alone = {llm.id: 0.0 for llm in others if llm.price.known}
        for each in billed:
            told["calls"] += each.requests
            if each.why_not:
                not_priced[each.why_not] += 1
            if each.usd is None or each.usage is None:
                continue
            told["priced"] += each.requests
            told["estimated"] += each.requests * each.estimated
            count, spent = by_llm.get(str(each.call.llm), (0, 0.0))
            by_llm[str(each.call.llm)] = (count + each.requests, spent + each.usd)
            if each.call.cost_usd is not None:
                stated["USD"] += each.call.cost_usd
                stated["as priced"] += each.usd
                stated["calls"] += 1
            for llm in others:
                if llm.price.known:
                    alone[llm.id] += history.at(llm.price, each.call, each.usage)
        return cls(
            calls=told["calls"],
            priced=told["priced"],
            estimated=told["estimated"],
            usd=sum(spent for _, spent in by_llm.values()),
            stated_usd=stated["USD"] if stated["calls"] else None,
            stated_as_priced_usd=stated["as priced"],
            by_llm=dict(sorted(by_llm.items(), key=lambda pair: -pair[1][1])),
            not_priced=dict(not_priced.most_common()),
            elsewhere=dict(sorted(alone.items(), key=lambda pair: pair[1])) if by_llm else {},
        )


@dataclass(frozen=True, slots=True)
class Report:
    """log: what it is of. scorer: which version, None where there is none. settings: from the one that spends most on. best: by the floor.

    graded: the quality by graded requests, at which value of a dollar. notes: what a reader must know. share: of the sessions, drawn to
    be judged.
    """

    log: str
    spent: Spent
    scorer: str | None = None
    baseline: str = ""
    judged: int = 0
    sessions: int = 0
    share: float = 1.0
    not_judged: Mapping[str, int] = field(default_factory=dict)
    settings: tuple[Compared, ...] = ()
    floor: float | None = None
    best: Compared | None = None
    graded: tuple[float, Interval] | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "assumed": list(ASSUMED)}


def show(report: Report, console: Console) -> None:
    """Prints it."""
    for line in (*spent_lines(report.spent), *verdict_lines(report)):
        console.print(line, highlight=False, markup=False)
    if report.settings:
        console.print(_settings(report))
    elif report.spent.elsewhere:
        console.print(_elsewhere(report.spent))
    if report.best is not None:
        for kind, parts in report.best.parts.items():
            if len(parts) > 1:
                console.print(_parts(kind, parts))
    for line in (*report.notes, *(f"Assumed: {each}" for each in ASSUMED if report.settings)):
        console.print(line, highlight=False, markup=False)


def spent_lines(spent: Spent) -> list[str]:
    """What the log cost, and what of it nobody can price."""
    if not spent.priced:
        lines = [f"{spent.calls:,} calls, none of them priced: what they cost is not known."]
    else:
        told = "about " if spent.estimated == spent.priced else ""
        lines = [f"{spent.calls:,} calls, {spent.priced:,} of them priced: {told}${usd(spent.usd)} at the prices of then."]
    if spent.estimated:
        told = f"The tokens of {spent.estimated:,} are estimated by the lengths of their texts, for the log does not count them"
        lines.append(f"{told}: so is their money.")
    if spent.stated_usd is not None:
        lines.append(f"Those that state a cost state ${usd(spent.stated_usd)}, and are ${usd(spent.stated_as_priced_usd)} at our prices.")
    return lines + [f"Not priced: {count:,} ({why})." for why, count in spent.not_priced.items()]


def verdict_lines(report: Report) -> list[str]:
    """Who could be judged, and what the best setting within the floor brings."""
    if report.scorer is None:
        return []
    lines = [f"Judged by {report.scorer}: {report.judged:,} calls in {report.sessions:,} sessions, beside {report.baseline}."]
    if report.share < 1:
        lines.append(
            f"They are a sample: {report.share:.1%} of the sessions, drawn by a hash of their names. Calls and USD from here on are the "
            f"sample's; shares and points are the log's, and their intervals allow for the draw{_draw(report.best)}."
        )
    unpriced = report.spent.not_priced
    lines += [f"Not judged: {count:,} ({why})." for why, count in report.not_judged.items() if why not in unpriced]
    if report.best is not None:
        best, within = report.best, f" within {points(report.floor)}" if report.floor is not None else ""
        lines.append(
            f"Best{within}: a dollar worth {best.value_of_a_dollar:g} right answers. It saves {percent(best.saved)} of "
            f"${usd(best.baseline_usd)}; quality {in_points(best.quality)} points."
        )
    elif report.settings and report.floor is not None:
        lines.append(f"No setting surely stays within {points(report.floor)}: grade some requests, or give a wider floor.")
    if report.graded is not None:
        dollar, interval = report.graded
        lines.append(f"By the graded requests, at a dollar worth {dollar:g}: quality {in_points(interval)} points.")
    return lines


def _draw(best: Compared | None) -> str:
    if best is None:
        return ""
    quality, saved = (100 * margin for margin in best.draw)
    return f" (alone, at the best setting: {quality:.2f} points of quality and {saved:.2f} % of what is saved, either way)"


def percent(interval: Interval) -> str:
    """`41 % [38, 44]`."""
    ends = (
        f" [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"
        if interval.low == interval.low
        else " (no interval: too few labelled costs)"
    )
    return f"{100 * interval.mean:.0f} %{ends}"


def in_points(interval: Interval) -> str:
    """`-0.4 [-1.6, +0.8]`."""
    if interval.low <= -1 and interval.high >= 1:
        return f"{100 * interval.mean:+.1f} as forecast (cannot be judged yet: too few labels like it)"
    return f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def elsewhere_rows(spent: Spent) -> list[tuple[str, str, str]]:
    """LLM, USD, share of what the log cost that would be saved: of every LLM of the pool."""
    return [(name, usd(alone), f"{1 - alone / spent.usd:.0%}" if spent.usd else "") for name, alone in spent.elsewhere.items()]


def _elsewhere(spent: Spent) -> Table:
    table = Table(*ELSEWHERE, box=SIMPLE_HEAD, pad_edge=False)
    for row in elsewhere_rows(spent)[:MOST_ELSEWHERE]:
        table.add_row(*row)
    return table


def _settings(report: Report) -> Table:
    table = Table("a dollar is worth", "calls moved", "USD", "saved", "quality, points", box=SIMPLE_HEAD, pad_edge=False)
    for each in report.settings:
        mark = " *" if each == report.best else ""
        row = (
            f"{each.value_of_a_dollar:g}{mark}",
            f"{each.moved:.0%}",
            usd(each.usd.mean),
            percent(each.saved),
            in_points(each.quality),
        )
        table.add_row(*row)
    return table


def _parts(kind: str, parts: Sequence[Part]) -> Table:
    table = Table(kind, "calls", "USD then", "USD ours", "quality, points", box=SIMPLE_HEAD, pad_edge=False)
    for each in sorted(parts, key=lambda part: -part.calls)[:12]:
        table.add_row(each.name, f"{each.calls:,}", usd(each.baseline_usd), usd(each.usd), in_points(each.quality))
    return table
