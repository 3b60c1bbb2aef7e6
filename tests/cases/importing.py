"""Whether a user's files come in whole, or are refused in a sentence that says where and what to do."""

import json
import re
import tempfile
from pathlib import Path

from pipelines import tables
from pipelines.errors import ImportRefused
from pipelines.imports.checks import Defaults
from pipelines.imports.importing import Imported, import_files
from pipelines.project import Project
from pipelines.user_files import values
from pipelines.user_files.tables import read_answers, read_queries

PLACED = re.compile(r"row \d+, field '|, line \d+:|: row \d+ is |: is |: has |: no column |: no row ")  # where in the file, and what


def imported(folder: Path) -> str:
    """What is wrong with the import of the files in `folder`; "" where nothing is."""
    queries, answers = (next(iter(folder.glob(f"{name}.*")), None) for name in ("queries", "answers"))
    options = json.loads((folder / "opts.json").read_text()) if (folder / "opts.json").exists() else {}
    if "grader" in options:
        options["grader"] = values.grader(options["grader"])
    with tempfile.TemporaryDirectory() as home:
        try:
            done = import_files(Project(Path(home)), queries, answers, Defaults(**{"name": "case"} | options))
        except ImportRefused as exc:
            left = [path for path in (Path(home) / "data").rglob("*") if path.is_file()]
            return "" if PLACED.search(str(exc)) and not left else f"refused without its place, or something was written: {exc}"
        except Exception as exc:  # what a case must never do; the others are to be run
            return f"{type(exc).__name__}: {exc}"
        return _whole(Project(Path(home)), done, queries, answers)


def _whole(project: Project, done: Imported, queries: Path | None, answers: Path | None) -> str:
    """Whether every row is there or named as left out, and each query is found again by its owner's id, with its text and options."""
    pool = tables.read_if_there(project.queries, tables.QUERIES).set_index("query_id")
    own_ids = tables.read_if_there(project.recorded_ids("case"), tables.OWN_IDS).set_index("own_id")["query_id"]
    asked = read_queries(queries).rows if queries else []
    if len(asked) != done.new_queries + done.known_queries + len(done.contradicted):
        return f"{len(asked)} queries in the file, {done}"
    for row in asked:
        if row.number in done.contradicted or row.query_id is None:
            continue
        query = pool.loc[own_ids[row.query_id]]
        options = [option for _, option in row.choices]
        if not query["text"].startswith(row.text.strip()) or list(query["choices"]) != options:
            return f"the query {row.query_id!r} became {query['text']!r}"
        if missing := [option for option in options if option.casefold() not in query["text"].casefold()]:
            return f"the LLM is not told the options {missing} of {row.query_id!r}"
    answered = read_answers(answers).rows if answers else []
    left_out = {*done.unasked, *done.repeated, *done.unanswered}
    scored = sum(row.score is not None for row in answered if row.number not in left_out)
    told = sum(row.text is not None for row in answered if row.number not in left_out)
    return "" if (scored, told) == (done.labels, done.answers) else f"{scored} scores and {told} answers in the file, {done}"
