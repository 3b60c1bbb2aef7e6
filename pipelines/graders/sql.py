"""Check `sql` of the grader `verifier`: the answer's query, run on a small table, gives the rows of a reference query."""

import re
import sqlite3
from collections import Counter
from contextlib import closing

STEPS = 200_000  # instructions of SQLite's machine before a query counts as endless; the tables have five rows
MOST_ROWS = 1_000
_FENCED = re.compile(r"```\w*\n?(.*?)```", re.DOTALL)
_QUERY = re.compile(r"\b(?:SELECT|WITH)\b[^;]*", re.IGNORECASE)
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def same_rows(answer: str, *, setup: str, query: str) -> bool:
    """Whether the first query in `answer` gives the same rows as `query`, in any order; reading is all it may do."""
    fenced = _FENCED.search(answer)
    match = _QUERY.search(fenced[1] if fenced else answer)
    if match is None:
        return False
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(setup)
        expected = _rows(database, query)
        database.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
        database.set_progress_handler(lambda: 1, STEPS)
        try:
            return _rows(database, match[0]) == expected
        except sqlite3.Error:
            return False


def _rows(database: sqlite3.Connection, query: str) -> Counter[tuple[object, ...]]:
    rows = database.execute(query).fetchmany(MOST_ROWS)
    return Counter(tuple(round(cell, 6) if isinstance(cell, float) else cell for cell in row) for row in rows)
