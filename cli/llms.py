"""`routemoa llms`, `add-llm` and `set-llm`: who is in the pool."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from mixture.llm import LLM

commands = typer.Typer()

SELF_ASSESSMENT = "How it is asked to judge its own answer and its peers' (by routemoa-layers): in_text, json_schema or none."


@commands.command()
def llms() -> None:
    """List the pool: who exists, where, at what price."""
    from registry import pool
    from registry.settings import Settings

    settings = Settings()
    table = Table(Column("id", no_wrap=True), title=escape(str(settings.pool_file)), title_justify="left")
    for column in ("name", "status", "endpoint", "USD per 1M in / out", "capabilities"):
        table.add_column(column, overflow="fold")
    for llm in pool.load(settings.pool_file).llms:
        where = f"{llm.endpoint.base_url} ({llm.endpoint.served_name})" if llm.endpoint else "recorded"
        table.add_row(
            llm.id,
            escape(llm.name),
            llm.status,
            escape(where),
            f"{llm.price.input:g} / {llm.price.output:g}",
            ", ".join(sorted(llm.capabilities)),
        )
    Console().print(table)


@commands.command("add-llm")
def add_llm(
    llm_id: Annotated[str, typer.Argument(metavar="ID", help="a-z, 0-9 and '-'.")],
    *,
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible address, such as http://127.0.0.1:8000/v1.")],
    served_name: Annotated[str, typer.Option(help="What that server calls it.")],
    name: Annotated[str | None, typer.Option(help="For people (default: the id).")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The environment variable that holds the key; never the key.")] = None,
    input_price: Annotated[float | None, typer.Option(help="USD per million input tokens.")] = None,
    output_price: Annotated[float | None, typer.Option(help="USD per million output tokens.")] = None,
    price_from: Annotated[str | None, typer.Option(metavar="PROVIDER/MODEL", help="Take the published price of this one.")] = None,
    system: Annotated[str, typer.Option(help="System text it is always asked with.")] = "",
    suffix: Annotated[str, typer.Option(help="Text after each query.")] = "",
    temperature: Annotated[float, typer.Option(help="Sampling temperature.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 256,
    context_window: Annotated[int, typer.Option(help="Tokens it can read.")] = 4096,
    capability: Annotated[list[str] | None, typer.Option(help="tools, vision or json; may be repeated.")] = None,
    data_policy: Annotated[list[str] | None, typer.Option(help="A tag of yours, such as eu; may be repeated.")] = None,
    self_assessment: Annotated[str, typer.Option(help=SELF_ASSESSMENT)] = "in_text",
    max_training_queries: Annotated[int | None, typer.Option(help="Of the query pool's queries (default: 400; with --full: all).")] = None,
    full: Annotated[bool, typer.Option("--full", help="Train the whole scorer anew, instead of fitting this LLM's row alone.")] = False,
    retrain: Annotated[bool, typer.Option(help="Start the job that asks it, labels it and retrains the scorer.")] = True,
) -> None:
    """Add an LLM to the pool: checked, probed with one call, and (unless --no-retrain) asked some queries and fitted into the scorer."""
    from registry.joining import with_joining_defaults
    from registry.settings import Settings

    settings = Settings()
    entry: dict[str, Any] = {
        "name": name or llm_id,
        "status": "active",
        "endpoint": {"base_url": base_url, "served_name": served_name, "api_key_env": api_key_env},
        "prompt": {"system": system, "suffix": suffix},
        "decoding": {"temperature": temperature, "max_tokens": max_tokens, "seed": 0},
        "price": _price(input_price, output_price, price_from),
        "context_window": context_window,
        "capabilities": capability or [],
        "data_policy": data_policy or [],
        "self_assessment": self_assessment,
        "trained": "jointly" if full else "row",
    }
    if max_training_queries is not None:
        entry["max_training_queries"] = max_training_queries
    llm = asyncio.run(_join(llm_id, with_joining_defaults(entry), settings))
    console = Console(soft_wrap=True)
    console.print(f"{llm.id} answered its probe and is in {settings.pool_file}.", highlight=False, markup=False)
    trained = "the whole scorer is trained anew" if full else "its row of the scorer is fitted, the other LLMs' scores stay as they are"
    console.print(f"It is to be asked {_asked(llm, settings.home)} queries of the pool; then {trained}.", highlight=False, markup=False)
    if retrain:
        from registry.jobs import Jobs

        job = Jobs(settings.var / "jobs.db").submit("retrain", {"reason": f"{llm.id} joined"})
        console.print(f"Job {job.id} does it; follow it with `routemoa jobs`.", highlight=False)


class Status(StrEnum):
    """Whether an LLM is asked, trained on and routed to."""

    ACTIVE = "active"
    RETIRED = "retired"


@commands.command("set-llm")
def set_llm(
    llm_id: Annotated[str, typer.Argument(metavar="ID", help="An LLM of the pool.")],
    *,
    status: Annotated[Status | None, typer.Option(help="Retired: no longer asked, trained on or routed to.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where it listens now; with --served-name. A recorded LLM goes live so.")] = None,
    served_name: Annotated[str | None, typer.Option(help="What that server calls it.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The environment variable that holds the key; never the key.")] = None,
    input_price: Annotated[float | None, typer.Option(help="USD per million input tokens; with --output-price.")] = None,
    output_price: Annotated[float | None, typer.Option(help="USD per million output tokens.")] = None,
    price_from: Annotated[str | None, typer.Option(metavar="PROVIDER/MODEL", help="Take the published price of this one.")] = None,
    self_assessment: Annotated[str | None, typer.Option(help=SELF_ASSESSMENT)] = None,
) -> None:
    """Retire an LLM or take it back, give it another price or endpoint, or have it judge otherwise.

    Nobody is asked; servers follow at once, training at the next.
    """
    from registry import pool
    from registry.settings import Settings

    settings = Settings()
    fields: dict[str, Any] = {}
    if status is not None:
        fields["status"] = status.value
    if (base_url is None) != (served_name is None) or (api_key_env is not None and base_url is None):
        raise typer.BadParameter("an endpoint is --base-url and --served-name together, and --api-key-env where it needs a key")
    if base_url is not None:
        fields["endpoint"] = {"base_url": base_url, "served_name": served_name, "api_key_env": api_key_env}
    if (input_price, output_price, price_from) != (None, None, None):
        fields["price"] = _price(input_price, output_price, price_from)
    if self_assessment is not None:
        fields["self_assessment"] = self_assessment
    if not fields:
        raise typer.BadParameter("name something to change: --status, --base-url with --served-name, a price, or --self-assessment")
    llm = pool.change(settings.pool_file, llm_id, fields)
    console = Console(soft_wrap=True)
    changed = " and ".join({"self_assessment": "way to judge"}.get(name, name) for name in fields)
    console.print(f"{llm.id} has another {changed} in {settings.pool_file}.", highlight=False, markup=False)
    trained = "" if set(fields) == {"self_assessment"} else "; `routemoa retrain` makes a scorer version of it"
    console.print(f"Servers follow at once{trained}.", highlight=False, markup=False)


def _asked(llm: LLM, home: Path) -> str:
    """How many queries `pipelines.answer` will ask: all, or as many as a cap allows."""
    from pyarrow import parquet

    from pipelines import params

    caps = [cap for cap in (llm.max_training_queries, params.load(home / "params.yaml").answer.max_queries) if cap is not None]
    pool = home / "data" / "queries.parquet"
    if not pool.is_file():
        return f"at most {min(caps)}" if caps else "all"
    count = parquet.read_metadata(pool).num_rows
    return f"{min([*caps, count])} of {count}"


async def _join(llm_id: str, entry: dict[str, Any], settings: Any) -> LLM:
    from mixture.client.openai import OpenAIClient
    from registry import joining

    async with OpenAIClient() as client:
        return await joining.join(llm_id, entry, pool_file=settings.pool_file, client=client)


def _price(given_in: float | None, given_out: float | None, price_from: str | None) -> dict[str, float]:
    from registry import prices

    if price_from is not None and given_in is None and given_out is None:
        price = prices.published(price_from)
        return {"input": price.input, "output": price.output}
    if price_from is None and given_in is not None and given_out is not None:
        return {"input": given_in, "output": given_out}
    raise typer.BadParameter("give both --input-price and --output-price, or --price-from PROVIDER/MODEL")
