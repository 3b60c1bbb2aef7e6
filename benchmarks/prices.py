"""Prices by LLM from a YAML file, for recorded outcomes that come without costs (benchmarks/prices.yaml, or your own)."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mixture.llm import Price
from pipelines.errors import TableRefused
from registry.errors import PriceUnknown
from registry.near_matches import near_matches
from registry.validation_errors import explain


class Listed(BaseModel):
    """USD per million tokens, and where that stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    source: str = Field(min_length=1)


class PriceList(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llms: dict[str, Listed]


def read(path: Path) -> dict[str, Listed]:
    """LLM -> its price. Raises TableRefused, naming the entry, its field and value."""
    shape = "It must read `llms: {NAME: {input: USD, output: USD, source: WHERE}}`, USD per million tokens."
    try:
        return PriceList.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8"))).llms
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise TableRefused(f"{path}: cannot be read ({exc}).", next_step=f"Name a price file. {shape}") from exc
    except ValidationError as exc:
        raise TableRefused(f"{path}: {explain(exc, PriceList)}", next_step=shape) from exc


def of(llms: Iterable[str], listed: Mapping[str, Listed]) -> tuple[Price, ...]:
    """The prices of these LLMs in their order. Raises PriceUnknown, naming near ones."""
    found = []
    for llm in llms:
        if llm not in listed:
            near = ", ".join(near_matches(llm, listed))
            next_step = f"Add it to the price file{f' (it has {near})' if near else ''}, or leave it out with --without."
            raise PriceUnknown(f"no price is listed for {llm!r}.", next_step=next_step)
        found.append(Price(listed[llm].input, listed[llm].output))
    return tuple(found)
