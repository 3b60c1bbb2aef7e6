"""What a what-if says in words and rows, the same on a terminal and on the page: the headline first."""

import re
from collections.abc import Iterable, Iterator, Mapping

from pipelines.logs.money import dollars
from pipelines.what_if.compare import Compared, Part
from pipelines.what_if.report import Report
from pipelines.what_if.spent import Spent
from registry.certificate import points
from scorer.metrics import Interval

ELSEWHERE = ("always this LLM", "would have cost", "beside what was spent")
ALONE = "What one LLM alone would have cost on the same tokens"
QUALITY_UNKNOWN = "Whether its answers are as good, this table does not say."
BY_LLM = ("LLM of the log", "calls", "spent", "share")
BY_KEY = ("key", "calls", "spent", "share")
SETTINGS = ("a dollar is worth", "calls moved", "would have cost", "beside what was spent", "quality, points")
PARTS = ("calls", "spent", "would have cost", "quality, points")
HASH = re.compile("[0-9a-f]{32,}")  # of a key: its ends tell it apart
THE_SAME, NEXT_TO_NOTHING = 0.0005, 0.02  # shares

Row = tuple[str, ...]


def headline(report: Report) -> str:
    """What was spent, what it could have been, and what is not known of that."""
    spent = report.spent
    if not spent.priced:
        return f"What you spent is not known: none of {spent.calls:,} calls can be priced."
    about = "about " if spent.estimated == spent.priced else ""
    days = f" from {spent.first} to {spent.last}" if spent.days > 1 else f" on {spent.first}" if spent.first else ""
    some = f", as far as {spent.priced:,} of {spent.calls:,} calls have a price" if spent.priced < spent.calls else ""
    said = f"You spent {about}{dollars(spent.usd)}{days}{some}."
    return f"{said} {_routed(report) if report.scorer is not None else _alone(report)}"


def _alone(report: Report) -> str:
    """With the cheapest LLM for everything, as far as prices tell it."""
    spent = report.spent
    if not spent.elsewhere:
        return "No LLM of the pool has a price to compare with."
    name, usd = next(iter(spent.elsewhere.items()))
    unknown = report.next_steps.why if report.next_steps is not None else "unknown."
    return f"Always {name} would have cost {dollars(usd)}: {_beside(usd, spent.usd)}, if its answers are good enough: {unknown}"


def _routed(report: Report) -> str:
    """With routing, as it is forecast."""
    if report.best is None:
        within = f" within {points(report.floor)} of quality" if report.floor is not None and report.settings else ""
        return f"Nobody can say yet that routing saves anything{within}: too little is known of how others answer such calls."
    best = report.best
    of = f"{dollars(best.baseline_usd)} that the {report.judged:,} judged calls cost by {report.baseline}"
    return (
        f"Routing would have cost {percent(best.saved)} than the {of}, its quality {in_points(best.quality)} points beside it"
        f"{f' (at most {points(report.floor)} may be lost)' if report.floor is not None else ''}, by 95 % intervals."
    )


def log_lines(report: Report) -> Iterator[str]:
    """What was read, and why some of it does not count."""
    left_out = sum(report.left_out.values())
    if left_out:
        why = ", ".join(f"{count:,} {reason}" for reason, count in report.left_out.items())
        yield f"{report.log}: {report.lines + left_out:,} lines read, {report.lines:,} count; {left_out:,} do not: {why}."
    else:
        yield f"{report.log}: {report.lines:,} lines read, all count."


def period_lines(spent: Spent) -> Iterator[str]:
    """When, how much a month, sessions and the cache."""
    if spent.days:
        yield f"Period: {spent.first} to {spent.last} (UTC), {f'{spent.days} days, both counted' if spent.days > 1 else 'a single day'}."
    if spent.usd_a_month is not None:
        yield f"About {dollars(spent.usd_a_month)} a month: what was spent, over {spent.days} days, times 30.4."
    if spent.sessions:
        yield f"{spent.sessions:,} sessions."
    if spent.cached_share is not None:
        yield f"{_share(spent.cached_share)} of the prompt tokens came out of a cache."


def spent_lines(spent: Spent) -> Iterator[str]:
    """What the log cost, and what of it nobody can price."""
    if not spent.priced:
        yield f"{spent.calls:,} calls, none of them priced: what they cost is not known."
    else:
        about = "about " if spent.estimated == spent.priced else ""
        yield f"{spent.calls:,} calls, {spent.priced:,} of them priced: {about}{dollars(spent.usd)} at the prices of then."
    if spent.estimated:
        told = f"The tokens of {spent.estimated:,} are estimated by the lengths of their texts, for the log does not count them"
        yield f"{told}: so is their money."
    if spent.stated_usd is not None:
        yield f"Those that state a cost state {dollars(spent.stated_usd)}, and are {dollars(spent.stated_as_priced_usd)} at our prices."
    if spent.overcached:
        yield (
            f"{spent.overcached:,} calls count more cached tokens than prompt tokens: all of these are billed as cached, none at the full "
            f"rate. If the prompt comes on top, they cost {dollars(spent.overcached_usd)} more."
        )
    for why, count in spent.not_priced.items():
        yield f"Not priced: {count:,} ({why})."


def verdict_lines(report: Report) -> Iterator[str]:
    """Who could be judged, and how the best setting and the graded requests came out."""
    if report.scorer is None:
        return
    yield f"Judged by {report.scorer}: {report.judged:,} calls in {report.sessions:,} sessions, beside {report.baseline}."
    if report.share < 1:
        yield (
            f"They are a sample: {report.share:.1%} of the sessions, drawn by a hash of their names. Calls and USD from here on are the "
            f"sample's; shares and points are the log's, and their intervals allow for the draw{_draw(report.best)}."
        )
    for why, count in report.not_judged.items():
        if why not in report.spent.not_priced:
            yield f"Not judged: {count:,} ({why})."
    if report.best is not None:
        within = f" within {points(report.floor)}" if report.floor is not None else ""
        yield f"Best{within}: a dollar worth {report.best.value_of_a_dollar:g} right answers."
    elif report.settings and report.floor is not None:
        yield f"No setting surely stays within {points(report.floor)}: grade some requests, or give a wider floor."
    if report.graded is not None:
        dollar, interval = report.graded
        yield f"By the graded requests, at a dollar worth {dollar:g}: quality {in_points(interval)} points."


def elsewhere_rows(spent: Spent, most: int | None = None) -> Iterator[Row]:
    """Of every LLM of the pool and of the log, the cheapest first; `most` of them beside those of the log, which are marked."""
    for at, (name, usd) in enumerate(spent.elsewhere.items()):
        if most is None or at < most or name in spent.logged:
            mark = " (in your log)" if name in spent.logged else ""
            yield f"{name}{mark}", dollars(usd), _beside(usd, spent.usd)


def sum_rows(sums: Mapping[str, tuple[int, float]], total: float) -> Iterator[Row]:
    """Name, calls, USD, share of all."""
    for name, (calls, usd) in sums.items():
        shown = f"{name[:8]}…{name[-4:]}" if HASH.fullmatch(name) else name
        yield shown, f"{calls:,}", dollars(usd), _share(usd / total) if total else ""


def setting_rows(report: Report) -> Iterator[Row]:
    """One for each value of a dollar; the best is marked."""
    for each in report.settings:
        yield (
            f"{each.value_of_a_dollar:g}{' *' if each == report.best else ''}",
            _share(each.moved),
            dollars(each.usd.mean),
            percent(each.saved),
            in_points(each.quality),
        )


def part_rows(parts: Iterable[Part]) -> Iterator[Row]:
    """The largest first."""
    for each in sorted(parts, key=lambda part: -part.calls):
        yield each.name, f"{each.calls:,}", dollars(each.baseline_usd), dollars(each.usd), in_points(each.quality)


def percent(saved: Interval) -> str:
    """`41 % less [38, 44]` of a share saved; `124 % more [120, 128]`."""
    way, sign = ("more", -1) if saved.mean < 0 else ("less", 1)
    low, high = sorted((100 * sign * saved.low, 100 * sign * saved.high))
    ends = f" [{low:.0f}, {high:.0f}]" if saved.low == saved.low else " (no interval: too few labelled costs)"
    return f"{100 * sign * saved.mean:.0f} % {way}{ends}"


def in_points(interval: Interval) -> str:
    """`-0.4 [-1.6, +0.8]`."""
    if interval.low <= -1 and interval.high >= 1:
        return f"{100 * interval.mean:+.1f} as forecast (cannot be judged yet: too few labels like it)"
    return f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _beside(usd: float, spent: float) -> str:
    """`77 % less`, `124 % more`, with a digit behind the point where it is next to nothing."""
    if not spent:
        return "more than nothing" if usd else "the same"
    share = usd / spent - 1
    if abs(share) < THE_SAME:
        return "the same"
    return f"{100 * abs(share):.{0 if abs(share) >= NEXT_TO_NOTHING else 1}f} % {'more' if share > 0 else 'less'}"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _draw(best: Compared | None) -> str:
    if best is None:
        return ""
    quality, saved = (100 * margin for margin in best.draw)
    return f" (alone, at the best setting: {quality:.2f} points of quality and {saved:.2f} % of what is saved, either way)"
