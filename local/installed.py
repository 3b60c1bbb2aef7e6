"""What the installed product weighs, extra by extra, and under which licences it stands: `routemoa installed`.

Read from the metadata of what is installed here; nothing is fetched. An extra that is not installed whole is left out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from registry import extras

if TYPE_CHECKING:
    from packaging.requirements import Requirement

CLASSIFIER = "License :: OSI Approved :: "
COPYLEFT = re.compile(r"\b[AL]?GPL|GNU|\bMPL|Mozilla|\bEPL|\bCDDL|\bEUPL", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Weight:
    """An extra's whole installation, the core included. size: bytes of the files that its packages list."""

    extra: str
    packages: frozenset[str]
    size: int


def weights() -> list[Weight]:
    """That of the core (extra "") first, then of every extra that is installed whole."""
    return [found for extra in ("", *extras.names()) if (found := weight(extra)) is not None]


def licence(package: str) -> str:
    """What its metadata say: the expression, else the classifiers, else the first line of the free text; else "unknown"."""
    about = metadata.metadata(package)
    classified = [line.removeprefix(CLASSIFIER) for line in about.get_all("Classifier") or [] if line.startswith(CLASSIFIER)]
    free = (about["License"] if "License" in about else "").strip().splitlines()  # noqa: SIM401 - the protocol has no get
    if "License-Expression" in about:
        return about["License-Expression"]
    return " and ".join(classified) or (free[0] if free else "unknown")


def copyleft(packages: Iterable[str]) -> dict[str, str]:
    """Those whose licence may ask something of who passes them on, and that licence."""
    return {name: text for name in sorted(packages) if COPYLEFT.search(text := licence(name))}


def clashes() -> dict[str, list[str]]:
    """Our import packages that another installed distribution brings too, and which ones do."""
    owners = metadata.packages_distributions()
    ours = [name for name, distributions in owners.items() if extras.PRODUCT in distributions]
    return {name: others for name in sorted(ours) if (others := sorted(set(owners[name]) - {extras.PRODUCT}))}


def weight(extra: str) -> Weight | None:
    """That of one extra; None where it is not installed whole."""
    packages: set[str] = {extras.PRODUCT}
    waiting = [*extras.brought(""), *(extras.brought(extra) if extra else ())]
    seen: set[tuple[str, str]] = set()
    while waiting:
        required = waiting.pop()
        for wanted in ("", *sorted(required.extras)):
            key = (_canonical(required.name), wanted)
            if key in seen:
                continue
            seen.add(key)
            try:
                waiting += _requires(*key)
            except metadata.PackageNotFoundError:
                return None
            packages.add(key[0])
    return Weight(extra, frozenset(packages), sum(map(_size, packages)))


@cache
def _requires(package: str, extra: str) -> tuple["Requirement", ...]:
    from packaging.requirements import Requirement

    lines = map(Requirement, metadata.requires(package) or [])
    return tuple(line for line in lines if line.marker is None or line.marker.evaluate({"extra": extra}))


@cache
def _size(package: str) -> int:
    files = (Path(file.locate()) for file in metadata.files(package) or [])
    return sum(file.stat().st_size for file in files if file.is_file())


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)
