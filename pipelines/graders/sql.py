"""Check `sql` of the grader `verifier`: the answer's query, run on a small table, gives the rows of a reference query."""

import re
import sqlite3
from collections import Counter
from contextlib import closing

STEPS = 200_000  # instructions of SQLite's machine before a query counts as endless; the tables have five rows
MOST_ROWS = 1_000
_FENCED = re.compile(r"```\w*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_QUERY = re.compile(r"\b(?:SELECT\b|WITH\s+(?:RECURSIVE\s+)?\w+\s*(?:\([^()]*\)\s*)?AS\b)", re.IGNORECASE)
_MOST_TRIED = 20
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def same_rows(answer: str, *, setup: str, query: str) -> bool:
    """Whether the query in `answer` gives the same rows as `query`, in any order; reading is all it may do."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(setup)
        expected = _rows(database, query)
        database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
        database.set_progress_handler(lambda: 1, STEPS)
        statement = next((text for text in _asked(answer) if _is_query(database, text)), None)
        try:
            return statement is not None and _rows(database, statement) == expected
        except sqlite3.Error:
            return False


def _asked(answer: str) -> list[str]:
    """What may be the answer's query: in its last block of code that holds one, else what begins a line, else what stands in a sentence."""
    blocks = [block for block in _FENCED.findall(answer) if _QUERY.search(block)]
    text = blocks[-1] if blocks else answer
    matches = list(_QUERY.finditer(text))
    first_on_line = [match for match in matches if not text[: match.start()].rpartition("\n")[2].strip()]
    rest = [match for match in matches if match not in first_on_line]
    starts = [match.start() for match in [*first_on_line, *rest]][:_MOST_TRIED]
    return [text[start:].partition(";")[0].partition("\0" if blocks else "\n\n")[0] for start in starts]


def _is_query(database: sqlite3.Connection, text: str) -> bool:
    """Whether `text` is SQL that this database understands."""
    try:
        database.execute(f"EXPLAIN {text}")
    except sqlite3.Error:
        return False
    return True


def _rows(database: sqlite3.Connection, query: str) -> Counter[tuple[object, ...]]:
    matches = database.execute(query).fetchmany(MOST_ROWS)
    return Counter(tuple(round(cell, 6) if isinstance(cell, float) else cell for cell in row) for row in matches)
