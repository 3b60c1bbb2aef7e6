"""Vectors of texts, kept by content: a text is embedded once per encoder, whatever splits or labels change.

A folder per encoder state and precision, of parts that are only ever added: hashes of texts and their vectors, each part named by its
hashes and put there by an atomic rename, so that none is half written and two processes do not overwrite each other's. What versions
before kept in one file beside the folder is read as one more part.
"""

import hashlib
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scorer.atomic_write import replacing
from scorer.types import Floats

HASH_BYTES = 32
SAVE_EVERY_S = 60.0  # a killed run loses at most this much embedding
MOST_IN_PART = 65_536  # vectors: 100 MB at 384 dims, which is what reading and writing hold at once beside the result
Batches = Callable[[list[str]], Iterable[tuple[Sequence[int], Floats]]]  # places in the texts, and their vectors


def vectors(folder: Path, texts: Sequence[str], compute: Batches, title: str) -> Floats:
    """queries_QD of `texts`: read from the parts in `folder`, what is missing computed and added to them."""
    slots: dict[bytes, int] = {}
    places = [slots.setdefault(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), len(slots)) for text in texts]
    found = _Found(list(slots), len(texts))
    for part in _parts(folder):
        found.read(part, slots)
    if missing := np.flatnonzero(~found.known_S).tolist():
        text_of = dict(zip(places, texts, strict=True))
        saved = time.monotonic()
        for batch, vectors_BD in _with_bar(compute([text_of[slot] for slot in missing]), len(missing), title):
            found.add([missing[place] for place in batch], vectors_BD)
            if len(found.unsaved) >= MOST_IN_PART or time.monotonic() - saved > SAVE_EVERY_S:
                found.save(folder)
                saved = time.monotonic()
        found.save(folder)
    return found.spread(places)


class _Found:
    """The vectors of distinct texts that are known so far, in the order of their `keys`; `unsaved`: those that no part holds.

    count: of all texts, for which there is room from the start: no second array is made for those that are there twice.
    """

    def __init__(self, keys: Sequence[bytes], count: int) -> None:
        self._keys = keys
        self._count = count
        self.vectors_SD: Floats = np.empty((count, 0), dtype=np.float32)
        self.known_S: NDArray[np.bool_] = np.zeros(len(keys), dtype=bool)
        self.unsaved: list[int] = []

    def read(self, part: Path, slots: dict[bytes, int]) -> None:
        """Takes what is wanted of a part; one that cannot be read is as good as none."""
        try:
            with part.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                held = arrays["keys_N32"].tobytes()
                wanted = [slots.get(held[at : at + HASH_BYTES], -1) for at in range(0, len(held), HASH_BYTES)]
                rows = [row for row, slot in enumerate(wanted) if slot >= 0 and not self.known_S[slot]]
                if rows:
                    self._put([wanted[row] for row in rows], arrays["vectors_ND"][rows])
        except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile):
            return

    def add(self, slots: Sequence[int], vectors_BD: Floats) -> None:
        """Takes what was computed."""
        self._put(slots, vectors_BD)
        self.unsaved += slots

    def spread(self, places: Sequence[int]) -> Floats:
        """queries_QD: of each text, by its place among the distinct ones, which is never beyond its own; from the end, so none is lost."""
        if len(self._keys) < self._count:
            for end in range(self._count, 0, -MOST_IN_PART):
                part = slice(max(0, end - MOST_IN_PART), end)
                self.vectors_SD[part] = self.vectors_SD[places[part]]
        return self.vectors_SD

    def save(self, folder: Path) -> None:
        """Writes a part of what is unsaved."""
        if not self.unsaved:
            return
        held = b"".join(self._keys[slot] for slot in self.unsaved)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{hashlib.sha256(held).hexdigest()[:16]}.npz") as partial, partial.open("wb") as file:
            keys_N32 = np.frombuffer(held, dtype=np.uint8).reshape(-1, HASH_BYTES)
            np.savez(file, keys_N32=keys_N32, vectors_ND=self.vectors_SD[self.unsaved])
        self.unsaved = []

    def _put(self, slots: Sequence[int], vectors_BD: Floats) -> None:
        if not self.vectors_SD.shape[1]:
            self.vectors_SD = np.empty((self._count, vectors_BD.shape[1]), dtype=np.float32)
        self.vectors_SD[slots] = vectors_BD
        self.known_S[slots] = True


def _parts(folder: Path) -> list[Path]:
    """The one file of versions before, and the parts, in an order of their own."""
    return [*filter(Path.exists, [folder.with_name(f"{folder.name}.npz")]), *sorted(folder.glob("*.npz"))]


def _with_bar(batches: Iterable[tuple[Sequence[int], Floats]], total: int, title: str) -> Iterator[tuple[Sequence[int], Floats]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        for batch, vectors_BD in batches:
            yield batch, vectors_BD
            progress.advance(task, len(batch))
