"""Rows of CSV text as spreadsheets and data frames write it: any usual separator, a `sep=` line, quotes doubled or escaped."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from pipelines.errors import ImportRefused
from pipelines.user_files.refusals import refuse

SEPARATORS = ",;\t|"  # of two that fit equally well, the earlier
PROBED = 50  # rows that are read to see which separator fits
FIRST_LINE = 100  # characters among which a separator is named
LONGEST_CELL = 1 << 27  # characters
_NAMED_SEPARATOR = re.compile(r'\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's first line


def rows(path: Path, opened: Callable[[], TextIO]) -> Iterator[Mapping[str, str | None]]:
    """Each row by column name; empty cells are None, and so are those that a spreadsheet leaves off at a row's end.

    opened: the text from its start, which is read more than once and never held whole. Raises ImportRefused for quotes that do not match,
    a row with more cells than the header, and two columns of one name.
    """
    csv.field_size_limit(LONGEST_CELL)
    with opened() as text:
        named = _NAMED_SEPARATOR.match(text.read(FIRST_LINE))
    table = _Table(opened, named.end() if named else 0)
    separator = named[1] if named else max(SEPARATORS, key=table.fit)
    lines = table.parsed(separator, escapes=table.escapes(path, separator))
    header = [" ".join(cell.split()) for cell in next(lines, [])]
    _refuse_twins(path, header)
    for number, cells in enumerate(lines, start=1):
        if any(cells[len(header) :]):
            refuse(path, [(number, "*", f"has more cells than the header ({len(cells)} found)")])
        filled = [*cells, *[""] * (len(header) - len(cells))]
        yield {name: cell or None for name, cell in zip(header, filled, strict=False) if name}


@dataclass(frozen=True, slots=True)
class _Table:
    """CSV text from character `start` on."""

    opened: Callable[[], TextIO]
    start: int

    def fit(self, separator: str) -> tuple[int, int]:
        """How well `separator` fits: the rows that it cuts into as many cells as the header, of several; and how many these are."""
        try:
            with self._body() as text:
                header, *others = islice(csv.reader(text, delimiter=separator), PROBED)
        except (csv.Error, ValueError):  # quotes that only another separator explains; no row
            return 0, 0
        return sum(len(cells) == len(header) for cells in others) if len(header) > 1 else 0, len(header)

    def escapes(self, path: Path, separator: str) -> bool:
        """Whether quotes are escaped, where they are not doubled, as CSV wants. Raises ImportRefused where neither reads all of it."""
        try:
            self._check(separator, escapes=False)
        except csv.Error as exc:
            with self._body() as text:
                escaped = any('\\"' in line for line in text)
            try:
                if escaped:
                    self._check(separator, escapes=True)
                    return True
            except csv.Error:
                pass  # the first complaint is the one to read
            line, _, reason = str(exc).partition(": ")
            raise ImportRefused(
                f"{path}, line {line}: not CSV ({reason}).", next_step='Quote a text that has quotes: "He said ""hi""".'
            ) from exc
        return False

    def parsed(self, separator: str, *, escapes: bool) -> Iterator[list[str]]:
        """The cells of each row that has any. Raises csv.Error, its line first."""
        with self._body() as text:
            reader = csv.reader(text, delimiter=separator, strict=True, doublequote=not escapes, escapechar="\\" if escapes else None)
            try:
                yield from (cells for cells in reader if any(cells))
            except csv.Error as exc:
                raise csv.Error(f"{reader.line_num}: {exc}") from exc

    def _check(self, separator: str, *, escapes: bool) -> None:
        for _ in self.parsed(separator, escapes=escapes):
            pass

    def _body(self) -> TextIO:
        text = self.opened()
        text.read(self.start)
        return text


def _refuse_twins(path: Path, header: list[str]) -> None:
    """Raises ImportRefused where two columns have one name: nobody can say which is meant."""
    folded = [name.casefold() for name in header if name]
    twins = sorted({name for name in folded if folded.count(name) > 1})
    if twins:
        raise ImportRefused(f"{path}: has the column {twins[0]!r} twice.", next_step="Rename or remove one of them.")
