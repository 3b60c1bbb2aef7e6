"""`routemoa shadow` and `routemoa canary`: scorer versions beside the champion, started, ended, and what is known of them."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project

if TYPE_CHECKING:
    from monitoring.policies.canary import Looked
    from monitoring.policies.policy_value import Row
    from monitoring.policies.shadow_value import ShadowValue
    from monitoring.policies.shadows import Comparison

commands = typer.Typer()
DAYS = 30
DAY_S = 86_400.0
PERCENT = 100
Version = Annotated[
    str | None,
    typer.Argument(metavar="VERSION", help="A number, or challenger; without one, what is known so far is shown.", show_default=False),
]
Stop = Annotated[bool, typer.Option("--stop", help="End the one that runs.")]


def share(text: str) -> float:
    """`10%` or `0.1`, `2pt` or `0.02`."""
    number = text.strip().removesuffix("%").removesuffix("pt")
    try:
        value = float(number) / (PERCENT if number != text.strip() else 1)
    except ValueError as exc:
        raise typer.BadParameter(f"{text!r} is no share: write 10% or 0.1, 2pt or 0.02") from exc
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{text!r} is not between 0 and 1: write 10% or 0.1, 2pt or 0.02")
    return value


@commands.command()
def shadow(version: Version = None, *, stop: Stop = False) -> None:
    """Have a scorer version score live traffic beside the champion, without asking any LLM; or show how it compares.

    Example: `routemoa shadow challenger`
    """
    from registry import beside, versions

    settings, console = project.settings(), Console(soft_wrap=True)
    if stop:
        left = beside.stop_shadow(settings=settings)
        console.print("There was no shadow." if left is None else f"Version {left.version} is no shadow any more.", highlight=False)
    elif version is not None:
        started = beside.start_shadow(versions.find(version, settings=settings).version, settings=settings)
        console.print(
            f"Version {started.version} is the shadow: servers score their traffic with it within 5 seconds. `routemoa shadow` compares, "
            f"`routemoa shadow --stop` ends it.",
            highlight=False,
        )
    else:
        _show_shadow(console)


@commands.command()
def canary(
    version: Version = None,
    *,
    stop: Stop = False,
    share_: Annotated[
        float, typer.Option("--share", parser=share, metavar="SHARE", help="The share of sessions or keys that it answers, at most half.")
    ] = "10%",  # type: ignore[assignment]
    by: Annotated[Literal["session", "key"], typer.Option(help="What stays with one version.")] = "session",
    floor: Annotated[
        float, typer.Option(parser=share, metavar="POINTS", help="It may be promoted once it is surely not worse by so much.")
    ] = "2pt",  # type: ignore[assignment]
    harm: Annotated[
        float, typer.Option(parser=share, metavar="POINTS", help="It is rolled back once it is surely worse by more than this.")
    ] = "0pt",  # type: ignore[assignment]
    audited: Annotated[
        float,
        typer.Option(
            parser=share, metavar="SHARE", help="The share of its answers that are audited where the two versions choose differently."
        ),
    ] = "20%",  # type: ignore[assignment]
    promote: Annotated[bool, typer.Option("--promote", help="Promote it by itself once it may be.")] = False,
    override: Annotated[str | None, typer.Option(help="Why it answers although its gate has not passed.", show_default=False)] = None,
    reason: Annotated[str, typer.Option(help="Why it ends, with --stop.")] = "a person ended it",
) -> None:
    """Have a scorer version answer a share of live traffic until audits decide; or show how it does.

    Example: `routemoa canary challenger --share 10% --by session`
    """
    from pydantic import ValidationError

    from registry import beside, versions
    from registry.canary_plan import CanaryPlan
    from registry.validation_errors import explain

    settings, console = project.settings(), Console(soft_wrap=True)
    if stop:
        left = beside.end_canary(reason, settings=settings)
        console.print("There was no canary." if left is None else f"Version {left.version} is no canary any more.", highlight=False)
    elif version is not None:
        then: Literal["promote", "wait"] = "promote" if promote else "wait"
        try:
            plan = CanaryPlan(share=share_, by=by, floor=floor, harm=harm, audited=audited, then=then)
        except ValidationError as exc:
            raise typer.BadParameter(explain(exc, CanaryPlan)) from exc
        number = versions.find(version, settings=settings).version
        started = beside.start_canary(number, plan, override=override, settings=settings)
        console.print(
            f"Version {started.version} answers {plan.share:.0%} of {plan.by}s within 5 seconds, until audits decide or "
            f"`routemoa canary --stop`. `routemoa canary` shows how it does.",
            highlight=False,
        )
    else:
        _show_canary(console)


def _show_shadow(console: Console) -> None:
    from monitoring.policies import shadow_value, shadows
    from monitoring.records.store import RecordStore
    from registry import local_store

    settings = project.existing()
    active, (published, _) = local_store.current(settings.var), local_store.beside(settings.var)
    if active is None or published is None:
        console.print("There is no shadow on this host. `routemoa shadow VERSION` starts one.", highlight=False)
        return
    store = RecordStore.of(settings)
    pair, since = (active.version, published.version), store.now() - DAYS * DAY_S
    found = shadows.compare(store, *pair, since)
    _print_shadow(found, shadow_value.estimate(store, *pair, since) if found.requests else None, console)


def _print_shadow(found: "Comparison", everywhere: "ShadowValue | None", console: Console) -> None:
    ours, theirs = found.champion, found.challenger
    agree = "" if found.agreement is None else f"; both choose the same on {found.agreement:.0%}"
    console.print(f"Version {theirs.version} scored {found.requests:,} requests of version {ours.version}{agree}.", highlight=False)
    if everywhere is None:
        return
    table = Table("", Column("champion", justify="right"), Column("shadow", justify="right"), box=SIMPLE_HEAD, pad_edge=False)
    table.add_row("version", ours.version, theirs.version)
    table.add_row("promised quality", *(f"{each.promised:.3f}" if each.promised is not None else "" for each in (ours, theirs)))
    table.add_row("expected cost, USD", f"{ours.usd:.4f}", f"{theirs.usd:.4f}")
    if everywhere.ours is not None and everywhere.theirs is not None:
        for name, *cells in _by_exploration(everywhere.ours, everywhere.theirs):
            table.add_row(name, *cells)
    for llm, first, second in found.by_llm:
        table.add_row(f"chosen: {escape(llm)}", f"{first:,}", f"{second:,}")
    console.print(table)
    agreed = found.agreed
    if agreed.value is not None:
        between = f" ({agreed.low:.3f} to {agreed.high:.3f})" if agreed.low is not None and agreed.high is not None else ""
        console.print(
            f"Where they agree: quality {agreed.value:.3f}{between}, {agreed.audited} audits. {agreed.why}".rstrip(), highlight=False
        )
    for why, count in found.why_not.items():
        console.print(f"It could choose nobody for {count}: {escape(why)}", highlight=False)
    for line in _told(everywhere, found.why):
        console.print(line, highlight=False, markup=False)


def _by_exploration(ours: "Row", theirs: "Row") -> list[tuple[str, str, str]]:
    """Rows of the table: what either's choices are worth over all requests, chance left out."""
    return [
        ("quality in points, by exploration", ours.quality.points(), theirs.quality.points()),
        ("  less the champion's", "", theirs.quality_difference.points(signed=True)),
        ("USD a request", ours.usd.usd(), theirs.usd.usd()),
        ("  less the champion's", "", theirs.usd_difference.usd(signed=True)),
    ]


def _told(everywhere: "ShadowValue", why: str) -> list[str]:
    """On what that rests, what was left out, and why it cannot be told."""
    rests = f"By exploration: {everywhere.requests:,} requests, {everywhere.explored:,} of them drawn, {everywhere.audited:,} audited."
    left = [f"Not judged: {count:,} ({reason})." for reason, count in everywhere.not_judged.items()]
    return [rests, *left, *([why, everywhere.why] if everywhere.why else [])]


def _show_canary(console: Console) -> None:
    from monitoring.policies import canary as canaries
    from monitoring.records.store import RecordStore
    from registry import local_store

    settings = project.existing()
    active, (_, published) = local_store.current(settings.var), local_store.beside(settings.var)
    if active is None or published is None:
        console.print("There is no canary on this host. `routemoa canary VERSION` starts one.", highlight=False)
        return
    _print_canary(canaries.look(RecordStore.of(settings), active.version, published), console)


def _print_canary(found: "Looked", console: Console) -> None:
    shown = found.as_dict()
    console.print(found.sentence(), highlight=False)
    table = Table("", Column("champion", justify="right"), Column("canary", justify="right"), box=SIMPLE_HEAD, pad_edge=False)
    table.add_row("version", found.against, found.version)
    for name, label, form in (
        ("requests", "requests", "{:,}"),
        ("failed", "without an answer", "{:.1%}"),
        ("cost_usd", "USD an answer", "{:.6f}"),
        ("audits", "audits where they differ", "{:,}"),
        ("mean", "their mean grade", "{:.3f}"),
    ):
        values = (shown[name]["champion"], shown[name]["canary"])
        table.add_row(label, *("" if value is None else form.format(value) for value in values))
    console.print(table)
