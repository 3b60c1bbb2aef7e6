"""What was learnt of a scorer version as a small file of numbers, `var/learned.npz`, no pickle: a monitor writes it, servers follow."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitoring.errors import LearnedRefused
from monitoring.learning.features import Features
from monitoring.learning.learned import Learned
from scorer.atomic_write import replacing

NAME = "learned.npz"
MOST_BYTES = 64 << 20
ARRAYS = {  # axes of each: D dims of an embedding, P of the shared space, K features beside the 1, L LLMs, F = 1 + K, C = 2
    "centre_D": "D",
    "projection_DP": "DP",
    "mean_K": "K",
    "basis_PK": "PK",
    "mean_CLF": "CLF",
    "root_CLFF": "CLFF",
    "changed_L": "L",
    "outcomes_L": "L",
    "since_L": "L",
}


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What was learnt of `version`, LLMs in the order of `roster`; made at `at`, seconds since the epoch.

    outcomes_L: how many speak of each LLM; since_L: how many of them came since it is likeliest to have changed.
    """

    version: str
    roster: tuple[str, ...]
    at: float
    learned: Learned
    outcomes_L: tuple[int, ...]
    since_L: tuple[int, ...]


def write(path: Path, table: Table) -> None:
    """Replaces the file in one step; readers see the old one or the new one."""
    learned = table.learned
    arrays: dict[str, Any] = {name: getattr(learned.features, name) for name in ("centre_D", "projection_DP", "mean_K", "basis_PK")}
    arrays |= {name: getattr(learned, name) for name in ("mean_CLF", "root_CLFF", "changed_L")}
    arrays |= {"outcomes_L": np.array(table.outcomes_L), "since_L": np.array(table.since_L)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, version=np.array(table.version), roster=np.array(table.roster), at=np.array(table.at), **arrays)


def read(path: Path) -> Table | None:
    """The file's content, None where there is none yet. Raises LearnedRefused for one that is no such table."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refused(path, f"more than {MOST_BYTES >> 20} MB")
        with np.load(path, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in ("version", "roster", "at", *ARRAYS)}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
        raise _refused(path, f"{type(exc).__name__}: {exc}") from exc
    _check(path, content)
    features = Features(*(content[name] for name in ("centre_D", "projection_DP", "mean_K", "basis_PK")))
    return Table(
        version=str(content["version"]),
        roster=tuple(map(str, content["roster"])),
        at=float(content["at"]),
        learned=Learned(features, *(content[name] for name in ("mean_CLF", "root_CLFF", "changed_L"))),
        outcomes_L=tuple(map(int, content["outcomes_L"])),
        since_L=tuple(map(int, content["since_L"])),
    )


def _check(path: Path, content: dict[str, Any]) -> None:
    """Every axis of one length wherever it is named, every number finite."""
    sizes: dict[str, int] = {"L": len(content["roster"]), "C": 2, "F": len(content["mean_K"]) + 1}
    for name, axes in ARRAYS.items():
        array = content[name]
        if array.ndim != len(axes) or any(sizes.setdefault(axis, size) != size for axis, size in zip(axes, array.shape, strict=True)):
            raise _refused(path, f"{name} has the shape {array.shape}")
        if array.dtype.kind not in "fi" or not np.isfinite(array).all():
            raise _refused(path, f"{name} holds something else than finite numbers")
    if ((content["changed_L"] < 0) | (content["changed_L"] > 1)).any():
        raise _refused(path, "changed_L holds no probabilities")


def _refused(path: Path, why: str) -> LearnedRefused:
    return LearnedRefused(f"{path}: cannot be used ({why}).", next_step="Delete the file: the monitor writes it again from the outcomes.")
