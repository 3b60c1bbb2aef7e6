"""What LLMs cost, from a YAML or JSON file: NAME: {input, output}, such entries under `llms:`, or a pool file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipelines.errors import TableRefused
from registry.entry_price import PriceEntry
from registry.validation_errors import explain

SHAPE = "Write NAME: {input: USD, output: USD}, USD per million tokens; all of them may stand under llms:."


Prices = Mapping[str, PriceEntry]


def read(path: Path) -> dict[str, PriceEntry]:
    """The price of each LLM that the file names. Raises TableRefused, naming the entry, its field and value."""
    try:
        loaded = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, PriceEntry]).validate_python(_entries(loaded))
    except OSError as exc:
        raise TableRefused(f"{path}: cannot be read ({exc.strerror}).", next_step="Check the path.") from exc
    except (YAMLError, UnicodeDecodeError) as exc:
        raise TableRefused(f"{path}: neither YAML nor JSON ({exc}).", next_step=SHAPE) from exc
    except ValidationError as exc:
        raise TableRefused(f"{path}: {explain(exc, PriceEntry)}", next_step=SHAPE) from exc


def _entries(loaded: Any) -> Any:
    """The entries by LLM; of a pool's entry, its price."""
    entries = loaded["llms"] if isinstance(loaded, dict) and set(loaded) == {"llms"} else loaded
    if not isinstance(entries, dict):
        return entries
    return {name: entry.get("price", entry) if isinstance(entry, dict) else entry for name, entry in entries.items()}
