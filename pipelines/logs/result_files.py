"""Result files by their place in folders: which files of a folder are meant, and what the names of the folders say."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipelines.errors import ImportRefused


def below(paths: Sequence[Path], what: str) -> Iterator[Path]:
    """The JSON files among `paths` and in the folders among them, sorted. Raises ImportRefused where a folder has none."""
    for path in paths:
        if zipfile.is_zipfile(path):
            raise ImportRefused(
                f"{path}: is an archive, and {what} is told by folders.", next_step=f"Unpack it, name the folder: unzip {path}"
            )
        if not path.is_dir():
            yield path
            continue
        inside = sorted(path.rglob("*.json"))
        if not inside:
            raise ImportRefused(f"{path}: holds no JSON file of {what}.", next_step="Give the folder that it wrote.")
        yield from inside


def newest(paths: Iterable[Path], key_of: dict[Path, tuple[str, ...]]) -> tuple[list[Path], int]:
    """Of files of the same key the last by path, as folders and files are called by time; and how many earlier ones there are."""
    last: dict[tuple[str, ...], Path] = {}
    count = 0
    for path in sorted(paths):
        count += key_of[path] in last
        last[key_of[path]] = path
    return list(last.values()), count
