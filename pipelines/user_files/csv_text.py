"""Rows of CSV text as spreadsheets and data frames write it: any usual separator, a `sep=` line, quotes doubled or escaped."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from pipelines.errors import ImportRefused
from pipelines.user_files.refusals import refuse

SEPARATORS = ",;\t|"  # of two that fit equally well, the earlier
PROBED = 50  # rows that are read to see which separator fits
LONGEST_CELL = 1 << 27  # characters
_NAMED_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's first line


def rows(path: Path, text: str) -> Iterator[Mapping[str, str | None]]:
    """Each row by column name; empty cells are None, and so are those that a spreadsheet leaves off at a row's end.

    Raises ImportRefused for quotes that do not match, a row with more cells than the header, and two columns of one name.
    """
    csv.field_size_limit(LONGEST_CELL)
    named = _NAMED_SEPARATOR.match(text)
    body = text[named.end() :] if named else text
    separator = named[1] if named else max(SEPARATORS, key=lambda each: _fit(body, each))
    lines = _lines(path, body, separator)
    header = [" ".join(cell.split()) for cell in next(lines, (0, []))[1]]
    _refuse_twins(path, header)
    for number, cells in enumerate((cells for _, cells in lines), start=1):
        if any(cells[len(header) :]):
            refuse(path, [(number, "*", f"has more cells than the header ({len(cells)} found)")])
        filled = [*cells, *[""] * (len(header) - len(cells))]
        yield {name: cell or None for name, cell in zip(header, filled, strict=False) if name}


def _fit(text: str, separator: str) -> tuple[int, int]:
    """How well `separator` fits: the rows that it cuts into as many cells as the header, of several; and how many these are."""
    try:
        header, *others = islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), PROBED)
    except (csv.Error, ValueError):  # quotes that only another separator explains; no row
        return 0, 0
    return sum(len(cells) == len(header) for cells in others) if len(header) > 1 else 0, len(header)


def _lines(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that has any. Quotes that are not doubled, as CSV wants, may be escaped."""
    try:
        return iter(_parsed(text, separator, escapes=False))
    except csv.Error as exc:
        if '\\"' in text:
            try:
                return iter(_parsed(text, separator, escapes=True))
            except csv.Error:
                pass  # the first complaint is the one to read
        line, _, reason = str(exc).partition(": ")
        raise ImportRefused(
            f"{path}, line {line}: not CSV ({reason}).",
            next_step='Quote a text that has quotes: "He said ""hi""".',
        ) from exc


def _parsed(text: str, separator: str, *, escapes: bool) -> list[tuple[int, list[str]]]:
    """All rows, blank ones left out. Raises csv.Error, its line first."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, doublequote=not escapes, escapechar="\\" if escapes else None
    )
    parsed: list[tuple[int, list[str]]] = []
    try:
        parsed.extend((reader.line_num, cells) for cells in reader if any(cells))
    except csv.Error as exc:
        raise csv.Error(f"{reader.line_num}: {exc}") from exc
    return parsed


def _refuse_twins(path: Path, header: list[str]) -> None:
    """Raises ImportRefused where two columns have one name: nobody can say which is meant."""
    folded = [name.casefold() for name in header if name]
    twins = sorted({name for name in folded if folded.count(name) > 1})
    if twins:
        raise ImportRefused(f"{path}: has the column {twins[0]!r} twice.", next_step="Rename or remove one of them.")
