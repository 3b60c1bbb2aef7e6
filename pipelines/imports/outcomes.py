"""Checks the answers and scores a user wants to import against the staged queries and the pool, and stages them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.graders.names import RECORDED
from pipelines.imports import llm_names
from pipelines.imports.checks import Staged
from pipelines.tables import ELSEWHERE, USAGE_PARTS
from pipelines.user_files.refusals import Complaint, refuse
from pipelines.user_files.tables import AnswerRow, Table
from registry.entry import check_id

ANSWERED = {"text", "finish_reason", "input_tokens", "output_tokens", *USAGE_PARTS, "cost_usd", "latency_s", "mean_logprob"}


def stage_answers(staged: Staged, table: Table[AnswerRow], llms: Mapping[str, str]) -> None:
    """Stages the outcomes of a user's file; their queries are staged or in the pool. llms: names of known LLMs -> their ids.

    Raises ImportRefused naming the rows that cannot be taken.
    """
    complaints: list[Complaint] = []
    called: dict[str, str] = {}  # LLM id -> the name that has it in this file
    seen: set[tuple[str, str]] = set()
    left_out = {own_id for own_id in staged.contradicted.values() if own_id is not None}
    now = datetime.now(UTC)
    for row in table.rows:
        if row.query_id in left_out:
            staged.unasked.append(row.number)
            continue
        llm = llms.get(row.llm) or llm_names.id_of(row.llm)
        try:
            query_id = staged.links.find(row.query_id, row.query)
        except ValueError as exc:
            complaints.append((row.number, "query_id" if row.query_id is not None or row.query is None else "query", str(exc)))
            continue
        if (complaint := _name_complaint(called, llm, row.llm)) is not None:
            complaints.append((row.number, "llm", complaint))
        elif row.score is None and row.text is None:
            staged.unanswered.append(row.number)
        elif (query_id, llm) in seen:  # the same query twice in a file is one query: its first outcome counts
            staged.repeated.append(row.number)
        else:
            seen.add((query_id, llm))
            _keep(staged, row, query_id, llm, now)
    refuse(table.path, complaints)
    if not seen:
        raise ImportRefused(
            f"{table.path}: no row has a score or an answer to a query that is taken.", next_step="Fill the column of scores or of answers."
        )


def _keep(staged: Staged, row: AnswerRow, query_id: str, llm: str, now: datetime) -> None:
    staged.names.setdefault(llm, row.llm)
    if row.score is not None:
        label = {"query_id": query_id, "llm": llm, "score": row.score, "grader": RECORDED, "grader_version": ELSEWHERE}
        staged.labels.setdefault(llm, []).append(label)
    if row.text is not None:
        staged.answers.setdefault(llm, []).append(_answer(row, query_id, llm, now))


def _name_complaint(called: dict[str, str], llm: str, name: str) -> str | None:
    """Why an LLM of this name cannot have this id."""
    if called.setdefault(llm, name) != name:
        return f"{name!r} gives the id {llm!r}, as {called[llm]!r} does; rename one"
    try:
        check_id(llm)
    except ValueError as exc:
        return f"{name!r}: {str(exc).rstrip('.')}"
    return None


def _answer(row: AnswerRow, query_id: str, llm: str, now: datetime) -> dict[str, Any]:
    """A row of ANSWERS; what the user's file does not know stays null."""
    taken = row.model_dump(include=ANSWERED)
    return {**taken, "query_id": query_id, "llm": llm, "sample": 0, "error": None, "asked_at": now, "asked_with": ELSEWHERE}
