"""What a look comes to, on one screen: what changed, where, since when, how sure, what it costs, what to do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from monitoring.drift.groups import SCATTERED, Group
from monitoring.drift.verdict import Verdict
from monitoring.drift.window import Window
from monitoring.records.record import Record

QUESTIONS: Mapping[str, str] = {
    "changed": "What changed",
    "where": "Where",
    "since": "Since when",
    "sure": "How sure",
    "costs": "What it costs",
    "do": "What to do",
}
MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Summary:
    """An answer to each of QUESTIONS, in a sentence or two."""

    changed: str
    where: str
    since: str
    sure: str
    costs: str
    do: str

    def markdown(self) -> str:
        """The questions with their answers, one a paragraph."""
        return "\n\n".join(f"**{question}.** {asdict(self)[name]}" for name, question in QUESTIONS.items())


def of(window: Window, verdict: Verdict) -> Summary:
    """The summary of a look."""
    return Summary(
        changed=" ".join(verdict.reasons),
        where=_where(window),
        since=_since(window),
        sure=_sure(verdict),
        costs=_costs(window),
        do=" ".join(_do(window, verdict)),
    )


def _where(window: Window) -> str:
    groups = [f"{_called(group)} ({group.queries} queries, {group.share:.0%})" for group in window.groups[:MOST_NAMED]]
    shortfalls = [
        f"{group.group} ({group.gap:.2f} below promises on {group.audits} audits)"
        for group in window.stats.promises.groups[1:]
        if group.gap > 0 and group.wealth > 1
    ]
    parts = [
        f"Unlike anything labelled: {', '.join(groups)}." if groups else "",
        f"Worse than promised: {', '.join(shortfalls[:MOST_NAMED])}." if shortfalls else "",
    ]
    return " ".join(filter(None, parts)) or "Nowhere in particular."


def _called(group: Group) -> str:
    about = ", ".join(group.words or group.tags or [f"nearest to {', '.join(group.nearest)}"])
    return f"{group.name}: {about}"


def _since(window: Window) -> str:
    stats, alike = window.stats, [group for group in window.groups if group.name != SCATTERED] or window.groups
    members = {each for group in alike for each in group.members}
    if not stats.n:
        return "No query was scored yet."
    first = min((record.created_at for record in window.records if record.id in members), default=None)
    window_is = (
        f"This window is of {_time(stats.since)} to {_time(stats.until)} (window {stats.index} of scorer version {stats.scorer_version})."
    )
    if first is None:
        return window_is
    earlier, later = (sum(group.growth[at] for group in alike) for at in (0, 1))
    return f"The first such query came {_time(first)}; {earlier} in the older half of the window, {later} in the newer. {window_is}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _sure(verdict: Verdict) -> str:
    stats = verdict.stats
    parts = []
    if stats.shift is not None:
        smallest = min(stats.shift.adjusted, key=stats.shift.adjusted.__getitem__)
        parts.append(f"Smallest adjusted p is {stats.shift.adjusted[smallest]:.2g} ({smallest}; alarm at {stats.alpha:.2g}).")
        parts.append(f"Surely over {stats.novel_low:.0%} of queries are novel, {stats.novel_expected:.0%} are expected.")
    if stats.promises.audits:
        odds = min(stats.promises.wealth, 1e6)
        parts.append(f"{stats.promises.audits} audits: odds of {odds:.3g} to 1 against promises being kept.")
    else:
        parts.append("Nothing is audited, so nothing is known of quality.")
    return " ".join(parts)


def _costs(window: Window) -> str:
    stats = window.stats
    of_groups = sum(group.cost_usd for group in window.groups)
    money = f"{stats.cost_usd:.4f} USD for {stats.n} answers" + (f", {of_groups:.4f} of it for unknown queries." if window.groups else ".")
    money += _energy(window.records)
    if stats.quality is None or stats.promised is None:
        return money
    low, high = stats.quality.low, stats.quality.high
    if low is None or high is None:
        return f"{money} Promised {stats.promised:.2f}; too few audits to estimate quality."
    return f"{money} Estimated quality {stats.quality.value:.2f} ({low:.2f} to {high:.2f}), promised {stats.promised:.2f}."


def _energy(records: Sequence[Record]) -> str:
    """What is known of it; nothing where no LLM's energy is."""
    known = [kwh for record in records if (kwh := record.decision.get("energy_kwh")) is not None]
    unmetered = sum(bool(record.decision.get("unmetered")) or record.decision.get("energy_kwh") is None for record in records)
    unknown = f"; {unmetered} asked LLMs of unknown energy" if unmetered else ""
    return f" {sum(known):.3g} kWh for {len(known)} of them{unknown}." if known else ""


def _do(window: Window, verdict: Verdict) -> Iterator[str]:
    """Commands, the most useful first."""
    if verdict.kind in {"keep", "too-little-data"}:
        yield "Nothing." if verdict.kind == "keep" else "Wait for more queries."
        return
    unnamed = next((group for group in window.groups if group.name not in window.named and group.name != SCATTERED), None)
    unaudited = next((group for group in window.groups if not group.audited[0]), None)
    if unaudited is not None:
        kept = any(record.text is not None for record in window.records if record.id in unaudited.members)
        first = "" if kept else " once texts are kept (ROUTEMOA_STORE_TEXT=true), for nobody can grade what cannot be shown"
        yield f"Have some of {unaudited.name!r} audited{first}: `routemoa groups audit {unaudited.name!r}`, then `routemoa grade`."
    if unnamed is not None:
        yield f"Name it: `routemoa groups name {unnamed.name!r} NAME`."
    if verdict.kind == "retrain":
        yield "See what a retraining would cost: `routemoa retrain --plan --harvest`; the job that this verdict started: `routemoa jobs`."
    else:
        yield "Look at the domains below; nothing is retrained yet."
