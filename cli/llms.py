"""`routemoa llms`, `add-llm` and `set-llm`: who is in the pool."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cli import project
from cli.entry_options import default, entry
from cli.errors import Unconfirmed
from mixture.llm import LLM
from registry.settings import Settings

if TYPE_CHECKING:
    from registry.asking_cost import AskingCost

commands = typer.Typer()

NAMES = {"self_assessment": "way to judge", "effort_way": "way to be told its effort"}  # of fields, where `set-llm` speaks of them
SELF_ASSESSMENT = "How it is asked to judge its own answer and its peers' (by routemoa-layers): in_text, json_schema or none."
KEY = "The environment variable that holds the key; never the key."
PUBLISHED = "Take the published price of this one, such as openai/gpt-4o-mini; by itself, where the address is a known provider's."

EFFORT = "How hard it thinks: none, minimal, low, medium, high, xhigh, max, or a number of thinking tokens; by itself nothing is said."
EFFORT_WAY = (
    "The field by which its endpoint is told: reasoning_effort, reasoning, thinking or chat_template_kwargs; by itself, by its host."
)


def _level_or_budget(written: str) -> str | int:
    """An effort as a pool entry has it; the entry's schema says whether it is one."""
    return int(written) if written.isdecimal() else written


EffortOption = Annotated[Any, typer.Option("--effort", help=EFFORT, parser=_level_or_budget, metavar="LEVEL|TOKENS")]
EffortWay = Annotated[str | None, typer.Option(help=EFFORT_WAY)]
PriceFrom = Annotated[str | None, typer.Option(metavar="PROVIDER/MODEL", help=PUBLISHED)]
InputPrice = Annotated[float | None, typer.Option(help="USD per million input tokens; with --output-price.")]
OutputPrice = Annotated[float | None, typer.Option(help="USD per million output tokens; with --input-price.")]


@commands.command()
def llms() -> None:
    """List the pool: who exists, where, at what price.

    Example: `routemoa llms`
    """
    from registry import pool

    settings = project.existing()
    table = Table(Column("id", no_wrap=True), title=escape(str(settings.pool_file)), title_justify="left")
    for column in ("name", "status", "endpoint", "USD per 1M in / out", "capabilities"):
        table.add_column(column, overflow="fold")
    for llm in pool.load(settings.pool_file).llms:
        effort = "" if llm.effort is None else f", effort {llm.effort}"
        where = f"{llm.endpoint.base_url} ({llm.endpoint.served_name}{effort})" if llm.endpoint else "recorded"
        table.add_row(
            llm.id,
            escape(llm.name),
            llm.status,
            escape(where),
            f"{llm.price.input:g} / {llm.price.output:g}" if llm.price.known else "unknown",
            ", ".join(sorted(llm.capabilities)),
        )
    Console().print(table)


@commands.command("add-llm")
def add_llm(
    llm_id: Annotated[str, typer.Argument(metavar="ID", help="a-z, 0-9 and '-'.")],
    *,
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible address, such as http://127.0.0.1:8000/v1.")],
    served_name: Annotated[str, typer.Option(help="What that server calls it.")],
    name: Annotated[str | None, typer.Option(help="For people.", show_default="the id")] = None,
    api_key_env: Annotated[str | None, typer.Option(help=KEY)] = None,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    price_from: PriceFrom = None,
    effort: EffortOption = None,
    effort_way: EffortWay = None,
    system: Annotated[str | None, typer.Option(help="System text it is always asked with.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Text after each query.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature.", show_default=default("temperature"))] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer.", show_default=default("max_tokens"))] = None,
    context_window: Annotated[int | None, typer.Option(help="Tokens it can read.", show_default=default("context_window"))] = None,
    capabilities: Annotated[list[str] | None, typer.Option("--capability", help="tools, vision or json; may be repeated.")] = None,
    data_policy: Annotated[list[str] | None, typer.Option(help="A tag of yours, such as eu; may be repeated.")] = None,
    self_assessment: Annotated[str | None, typer.Option(help=SELF_ASSESSMENT, show_default=default("self_assessment"))] = None,
    max_training_queries: Annotated[int | None, typer.Option(help="Asked of the query pool.", show_default="400; with --full: all")] = None,
    full: Annotated[bool, typer.Option("--full", help="Train the whole scorer anew, instead of fitting this LLM's row alone.")] = False,
    retrain: Annotated[bool, typer.Option(help="Start the job that asks it, labels it and retrains the scorer.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether the price of asking it is all right.")] = False,
) -> None:
    """Add an LLM to the pool: checked, probed with one call, and (unless --no-retrain) asked some queries and fitted into the scorer.

    Example: `routemoa add-llm mine --base-url http://127.0.0.1:8000/v1 --served-name m --input-price 0.1 --output-price 0.2`
    """
    named = entry(locals())
    settings = project.existing()
    price = _price(input_price, output_price, price_from or _published_at(base_url, served_name, input_price, output_price))
    new_entry = {**named, "price": price, "trained": "jointly" if full else "row"}
    console = Console(soft_wrap=True)
    llm = asyncio.run(_join(llm_id, new_entry, settings, lambda llm: _accept(llm, settings, console, ask=retrain and not yes)))
    console.print(f"{llm.id} is in {settings.pool_file}.", highlight=False, markup=False)
    trained = "the whole scorer is trained anew" if full else "its row of the scorer is fitted, the other LLMs' scores stay as they are"
    if retrain:
        from registry.jobs import Jobs

        job = Jobs.of(settings).submit("retrain", {"reason": f"{llm.id} joined", "llm": llm.id})
        console.print(
            f"Job {job.id} asks it, once a worker runs (`routemoa up`); then {trained}. Follow it: "
            f"routemoa jobs {job.id} --follow. End it: routemoa cancel {job.id}",
            highlight=False,
        )
    else:
        console.print(f"`routemoa retrain` asks it; then {trained}.", highlight=False)


@commands.command("set-llm")
def set_llm(
    llm_id: Annotated[str, typer.Argument(metavar="ID", help="An LLM of the pool.")],
    *,
    status: Annotated[Literal["active", "retired"] | None, typer.Option(help="Retired: no longer asked, trained on or routed to.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where it listens now; with --served-name. A recorded LLM goes live so.")] = None,
    served_name: Annotated[str | None, typer.Option(help="What that server calls it.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help=KEY)] = None,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    price_from: PriceFrom = None,
    self_assessment: Annotated[str | None, typer.Option(help=SELF_ASSESSMENT)] = None,
    effort: EffortOption = None,
    effort_way: EffortWay = None,
) -> None:
    """Retire an LLM or take it back, give it another price, endpoint or effort, or have it judge otherwise.

    Nobody is asked; servers follow within seconds, training at the next.

    Example: `routemoa set-llm mine --status retired`
    """
    from registry import pool

    changed = entry(locals())
    settings = project.existing()
    if (base_url is None) != (served_name is None) or (api_key_env is not None and base_url is None):
        raise typer.BadParameter("an endpoint is --base-url and --served-name together, and --api-key-env where it needs a key")
    if "endpoint" in changed:
        changed["endpoint"].setdefault("api_key_env", None)  # the key of the endpoint before is not this one's
    if (input_price, output_price, price_from) != (None, None, None):
        changed["price"] = _price(input_price, output_price, price_from)
    if not changed:
        raise typer.BadParameter(
            "name something to change: --status, --base-url with --served-name, a price, --effort, or --self-assessment"
        )
    llm = pool.change(settings.pool_file, llm_id, changed)
    console = Console(soft_wrap=True)
    facts = [f"is {changed['status']}"] if "status" in changed else []
    others = " and ".join(NAMES.get(name, name) for name in changed if name != "status")
    facts += [f"has another {others}"] if others else []
    console.print(f"{llm.id} {' and '.join(facts)} in {settings.pool_file}.", highlight=False, markup=False)
    trained = "" if set(changed) == {"self_assessment"} else "; `routemoa retrain` makes a scorer version of it"
    console.print(f"Servers follow within seconds{trained}.", highlight=False, markup=False)


def _accept(llm: LLM, settings: Settings, console: Console, *, ask: bool) -> None:
    """Says what asking `llm` will cost, and has a person agree to it where `ask`.

    Raises Unconfirmed where nobody can be asked, typer.Exit where the person does not agree.
    """
    cost = _asking_cost(llm, settings)
    console.print(
        f"{llm.id} answered its probe. {cost or 'There are no queries in this project to ask it yet.'}", highlight=False, markup=False
    )
    if not ask or cost is None:
        return
    if not sys.stdin.isatty():
        raise Unconfirmed(
            f"Nobody is here to agree to that price; {llm.id} was not added.", next_step="Add --yes, or --no-retrain to ask it later."
        )
    if not typer.confirm("Go on?"):
        console.print(f"{llm.id} was not added.", highlight=False, markup=False)
        raise typer.Exit(1)


def _asking_cost(llm: LLM, settings: Settings) -> "AskingCost | None":
    """What asking it will cost; None where the project has no queries."""
    from pipelines import asking_cost, params
    from pipelines.project import Project
    from registry import pool

    where = Project(settings.home)
    if not where.queries.is_file():
        return None
    return asking_cost.estimate(where, llm, pool.load(settings.pool_file), params.load(where.params))


async def _join(llm_id: str, new_entry: dict[str, Any], settings: Settings, accept: Callable[[LLM], None]) -> LLM:
    """The LLM, in the pool after it answered its probe and `accept` did not raise."""
    import stamina.instrumentation

    from mixture.client.openai import OpenAIClient
    from registry import joining

    stamina.instrumentation.set_on_retry_hooks([])  # what comes of the retries is said once, in the error
    whole = joining.with_joining_defaults(new_entry)
    async with OpenAIClient() as client:
        accept(await joining.probe(llm_id, whole, pool_file=settings.pool_file, client=client))
    return joining.add(llm_id, whole, pool_file=settings.pool_file)


def _published_at(base_url: str, served_name: str, *prices: float | None) -> str | None:
    """What the package of published prices calls the LLM at this address, where no other price is named and it knows its provider."""
    from mixture.llm import Endpoint
    from registry.prices import genai

    return None if any(each is not None for each in prices) else genai.name_at(Endpoint(base_url, served_name))


def _price(input_price: float | None, output_price: float | None, price_from: str | None) -> dict[str, Any]:
    """A pool entry's price: the two numbers, or the published schedule. Raises BadParameter where neither or both are there."""
    if price_from is not None and input_price is None and output_price is None:
        from registry.entry_price import entry_of
        from registry.prices import genai

        listed = entry_of(genai.published(price_from, datetime.now(UTC).date()))
        return {} if listed is None else listed.spelled_out()
    if price_from is None and input_price is not None and output_price is not None:
        return {"input": input_price, "output": output_price}
    raise typer.BadParameter("give both --input-price and --output-price, or --price-from PROVIDER/MODEL")
