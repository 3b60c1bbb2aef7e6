"""A file's rows, whatever it is: Parquet, JSON or CSV, compressed or not, told by what it holds and not by its name."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.user_files import csv_text, json_text, opened

Cells = Mapping[str, Any]  # column name -> value; an empty cell of a CSV file is None
PEEKED = 1 << 16  # characters that tell what a text is
BATCH = 1_000  # rows of a Parquet file that are read at once


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, by its place there: from 1, without the header."""

    number: int
    cells: Cells


@dataclass(slots=True)
class Content:
    """The rows of a file, and sentences on what was recognised or left out of it."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(path: Path) -> Content:
    """The rows of the file at `path`, all of them. Raises ImportRefused, naming the row where it is one that cannot be read."""
    return Content(list(rows(path)))


def rows(path: Path) -> Iterator[Row]:
    """The rows of the file at `path` as they are read, those of an archive's files one after the other. Raises ImportRefused."""
    number = 0
    for part in opened.parts(path):
        for cells in _rows(part):
            number += 1
            yield Row(number, cells)


def documents(path: Path) -> list[Any]:
    """The JSON values in the file at `path`, whole. Raises ImportRefused."""
    return [value for part in opened.parts(path) for value in _values(part)]


def _rows(part: opened.Part) -> Iterator[Cells]:
    """Raises ImportRefused."""
    if part.head[:4] == b"PAR1":
        yield from _parquet(part)
        return
    try:
        with opened.readable(part.path), part.text() as text:
            start = text.read(PEEKED)
        if start.lstrip()[:1] in {"{", "["} and not _is_csv(part.name, start):
            with opened.readable(part.path), part.text() as text:
                yield from json_text.rows(part.shown, text)
        else:
            with opened.readable(part.path):
                yield from csv_text.rows(part.shown, part.text)
    except UnicodeDecodeError as exc:
        raise opened.misencoded(part) from exc


def _values(part: opened.Part) -> list[Any]:
    try:
        with opened.readable(part.path), part.text() as text:
            return list(json_text.values(part.shown, text))
    except UnicodeDecodeError as exc:
        raise opened.misencoded(part) from exc


def _is_csv(name: str, start: str) -> bool:
    """Whether a file called so is a table though it begins with a bracket, as a first column may."""
    return Path(name).suffix.lower() in {".csv", ".tsv"} and not json_text.begins(start)


def _parquet(part: opened.Part) -> Iterator[Cells]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with part.open() as raw:
            for batch in pq.ParquetFile(raw if raw.seekable() else io.BytesIO(raw.read())).iter_batches(BATCH):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as exc:
        raise ImportRefused(f"{part.shown}: not a Parquet file ({exc}).", next_step="Write it again.") from exc
