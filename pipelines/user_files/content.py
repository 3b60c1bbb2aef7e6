"""A file's rows, whatever it is: Parquet, JSON or CSV, compressed or not, told by what it holds and not by its name."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.user_files import csv_text, json_text

Cells = Mapping[str, Any]  # column name -> value; an empty cell of a CSV file is None

_BYTE_ORDER_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
    """The rows of the file at `path`. Raises ImportRefused, naming the row where it is one that cannot be read."""
    try:
        raw = _unpacked(path, path.read_bytes())
    except OSError as exc:
        raise ImportRefused(f"{path}: cannot be read ({exc.strerror or exc}).", next_step="Check the path.") from exc
    if raw[:4] == b"PAR1":
        return _numbered(_parquet(path, raw))
    if raw[:2] == b"PK":
        raise ImportRefused(f"{path}: is an Excel workbook or another ZIP archive.", next_step="Save the sheet as CSV (UTF-8).")
    text = _decoded(path, raw)
    if text.lstrip()[:1] in {"{", "["} and not _is_csv(path, text):
        return _numbered(json_text.rows(path, text))
    return _numbered(csv_text.rows(path, text))


def documents(path: Path) -> list[Any]:
    """The JSON values in the file at `path`, whole. Raises ImportRefused."""
    try:
        raw = _unpacked(path, path.read_bytes())
    except OSError as exc:
        raise ImportRefused(f"{path}: cannot be read ({exc.strerror or exc}).", next_step="Check the path.") from exc
    return list(json_text.values(path, _decoded(path, raw)))


def _numbered(rows: Iterable[Cells]) -> Content:
    return Content([Row(number, cells) for number, cells in enumerate(rows, start=1)])


def _is_csv(path: Path, text: str) -> bool:
    """Whether a file called so is a table though it begins with a bracket, as a first column may."""
    return path.suffix.lower() in {".csv", ".tsv"} and not json_text.begins(text)


def _unpacked(path: Path, raw: bytes) -> bytes:
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as exc:
        raise ImportRefused(f"{path}: is compressed by gzip and damaged or cut off ({exc}).", next_step="Write or fetch it again.") from exc


def _decoded(path: Path, raw: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise ImportRefused(
            f"{path}, line {line}: byte {exc.start} is not {encoding.removesuffix('-sig').upper()}.", next_step="Save the file as UTF-8."
        ) from exc


def _parquet(path: Path, raw: bytes) -> Iterable[Cells]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(io.BytesIO(raw)).iter_batches():
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as exc:
        raise ImportRefused(f"{path}: not a Parquet file ({exc}).", next_step="Write it again.") from exc
