"""What of the product is installed here. The core serves; what else there is to run needs an extra: `pip install 'routemoa[train]'`.

The extras and what they bring are read from the installed distribution, as pyproject.toml declares them.
"""

from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from registry.errors import ExtraMissing

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PRODUCT = "routemoa"


def need(*extras: str) -> None:
    """Returns where everything that `extras` bring is installed.

    Raises ExtraMissing, which names the extras to install. In a checkout that was never installed nothing is known, and nothing is raised.
    """
    lacking = {extra: missing for extra in extras if (missing := sorted({each.name for each in brought(extra) if not _installed(each)}))}
    if not lacking:
        return
    names = ", ".join(sorted({name for missing in lacking.values() for name in missing}))
    raise ExtraMissing(f"Not installed: {names}.", next_step=f"pip install '{PRODUCT}[{','.join(lacking)}]'")


def brought(extra: str = "") -> Iterator["Requirement"]:
    """What an extra adds to the core, other extras that it names included; for "" what the core requires."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires(PRODUCT) or []
    except metadata.PackageNotFoundError:
        return
    for required in map(Requirement, lines):
        if required.marker is None:
            belongs = not extra
        else:
            belongs = required.marker.evaluate({"extra": extra}) and (not extra or not required.marker.evaluate({"extra": ""}))
        if belongs and required.name == PRODUCT:
            for other in sorted(required.extras):
                yield from brought(other)
        elif belongs:
            yield required


def names() -> list[str]:
    """The extras that there are, in the order of pyproject.toml."""
    try:
        return metadata.metadata(PRODUCT).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def _installed(required: "Requirement") -> bool:
    try:
        return required.specifier.contains(metadata.version(required.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False
