"""How a folder of recorded outcomes is read, from a YAML file (benchmarks/sets/*.yaml, or your own): which LLMs, which queries, what
answers cost; and the command line that the benchmarks on recorded outcomes share.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from benchmarks.report import BUILT
from mixture.price import Price
from pipelines.errors import TableRefused
from registry.entry_price import PriceEntry
from registry.errors import PriceUnknown
from registry.validation_errors import explain
from scorer.near_matches import near_matches

Parsed = TypeVar("Parsed", bound=BaseModel)


class Reading(BaseModel):
    """How a folder of recorded outcomes is read.

    llms: those compared (none named: all), without those of `without`; complete: only LLMs with an outcome for every query.
    group: the column that says which queries belong together (best per group is told it; leaving one out leaves it out).
    keep: one of the folder's own splits, cut anew by hash; None takes its train, val and test, or cuts by hash where it has no splits.
    text: the column of outcomes.parquet with the answers' texts; `pred` holds bare final answers.
    prices: a file of USD per million tokens by LLM, for outcomes without costs. Tokens are taken as recorded; else a query's are its
    characters / 4 and an answer's are `output_tokens`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    llms: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    complete: bool = False
    group: str = "dataset"
    keep: str | None = None
    text: str = "response"
    prices: Path | None = None
    output_tokens: float | None = Field(default=None, ge=0)


def parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """A command line that names recorded outcomes and where figures go: `build/benchmarks/OUT` unless `--out` says otherwise."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path)
    made.add_argument("--set", type=Path, help="YAML: which LLMs and queries of the folder, and prices (benchmarks/sets)")
    made.add_argument("--out", type=Path, default=BUILT / out)
    return made


def named(arguments: argparse.Namespace) -> Reading:
    """What `--set` names; the whole folder where it names nothing. Raises TableRefused."""
    return read_reading(arguments.set) if arguments.set else Reading()


def read_reading(path: Path) -> Reading:
    """A set's YAML file. Raises TableRefused, naming the key and its value."""
    return _parsed(path, Reading, f"Its keys are {', '.join(Reading.model_fields)}.")


def _parsed(path: Path, kind: type[Parsed], shape: str) -> Parsed:
    try:
        return kind.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise TableRefused(f"{path}: cannot be read ({exc}).", next_step=f"Name a YAML file. {shape}") from exc
    except ValidationError as exc:
        raise TableRefused(f"{path}: {explain(exc, kind)}", next_step=shape) from exc


def prices_of(llms: Iterable[str], listed: Mapping[str, PriceEntry]) -> list[Price]:
    """The prices of these LLMs in their order. Raises PriceUnknown, naming near ones."""
    prices = []
    for llm in llms:
        if llm not in listed:
            near = ", ".join(near_matches(llm, listed))
            next_step = f"Add it to the price file{f' (it has {near})' if near else ''}, or name it in the set's `without`."
            raise PriceUnknown(f"no price is listed for {llm!r}.", next_step=next_step)
        prices.append(Price(listed[llm].input, listed[llm].output))
    return prices
