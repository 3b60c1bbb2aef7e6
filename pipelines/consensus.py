"""Asks the pool what nothing could grade, and takes in where it agrees: `python -m pipelines.consensus --job JOB`.

Queries of the groups that a job names (`monitoring.audits.group_actions`), those without reference, check or judge, are put to every
LLM that can be called. Where two LLMs of different weights or more, and over half of those with a readable final answer, give the same
one, that is the query's reference, and code grades every LLM's answer by it. Labels from consensus cost some .02 of quality beside checked
ones (docs/results/sensitivity.md); a reference that a person reports later replaces it. All answers stay in the journals: bought once.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from mixture.choose import final_answers
from mixture.llm import LLM
from mixture.reading import numeric
from mixture.run.ledger import Ledger
from monitoring.audits.group_actions import groups_of
from pipelines import harvest, params
from pipelines.answer_store import AnswerStore
from pipelines.graders import kinds
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query
from pipelines.harvest import Harvest
from pipelines.missing_answers import Missing, ask, one_run
from pipelines.params import Params
from pipelines.project import Project
from registry import pool
from registry.settings import Settings
from scorer.errors import RouteMoAError

FEWEST = 2  # LLMs on different weights that must agree
SHARE = 0.5  # of the readable answers, which more must give
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Queries of which `rows` got a reference by consensus, of `asked` ones."""

    asked: int
    rows: Sequence[Row]

    def __str__(self) -> str:
        return f"consensus: {len(self.rows)} of {self.asked} queries that nothing else grades got a reference."


def callable_llms(llms: Iterable[LLM]) -> list[LLM]:
    """Those that can be asked."""
    return [llm for llm in llms if llm.endpoint is not None and llm.status != "retired"]


def by_consensus(row: Row, answers: Mapping[str, str], families: Mapping[str, str], *, timeout_s: float) -> Row | None:
    """`row` with the answer that the pool agrees on as its reference, None where it does not agree or code cannot tell.

    answers: by LLM id; families: LLM id -> weights. What agrees is the final answers in normal form (`mixture.choose.final_answers`).
    """
    groups = final_answers.groups(dict(answers))
    readable = sum(map(len, groups.values()))
    for answer, llms in sorted(groups.items(), key=lambda each: -len(each[1])):
        if len({families[llm] for llm in llms}) < FEWEST or len(llms) <= SHARE * readable:
            return None
        grader = "number" if numeric.read(answer) is not None else "exact"
        agreed = dict(row) | {"grader": grader, "reference": answer, "licence": f"{row['licence']}; reference by consensus"}
        grades = [kinds.grade(Task(Query.of(agreed), answers[llm], timeout_s)).score for llm in llms]
        return agreed if all(grade == 1 for grade in grades) else None
    return None


def agree(project: Project, rows: Sequence[Row], llms: Sequence[LLM], settings: Params) -> Agreed:
    """Asks every LLM what it was never asked of `rows`, within `answer.budget_usd` each. Raises as `missing_answers.ask` does."""
    texts = {str(row["query_id"]): str(row["text"]) for row in rows}
    with ExitStack() as locks:
        every = []
        for llm in llms:
            locks.enter_context(one_run(project, llm))
            asked = set(AnswerStore(project, llm).current(texts)["query_id"])
            every.append(Missing.of(llm, texts, [each for each in texts if each not in asked], Ledger(settings.answer.budget_usd)))
        ask(project, every, settings.answer.retries + 1)
    answers: dict[str, dict[str, str]] = {query_id: {} for query_id in texts}
    for llm in llms:
        current = AnswerStore(project, llm).current(texts)
        for query_id, text in current.loc[current["error"].isna(), ["query_id", "text"]].itertuples(index=False):
            answers[str(query_id)][llm.id] = str(text)
    families = {llm.id: llm.family for llm in llms}
    found = [by_consensus(row, answers[str(row["query_id"])], families, timeout_s=settings.label.timeout_s) for row in rows]
    return Agreed(len(rows), [row for row in found if row is not None])


def main(arguments: list[str] | None = None) -> None:
    """Prints how many queries got a reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, help="whose groups are asked about")
    command_line = parser.parse_args(arguments)
    settings = Settings()
    project = Project(settings.home)
    try:
        parsed = params.load(project.params)
        decisions = {each for group in groups_of(settings, command_line.job) for each in group.members}
        pending = harvest.look(project, parsed.label, of=decisions).ungradable
        agreed = agree(project, pending, callable_llms(pool.load(settings.pool_file).llms), parsed)
        harvest.take(project, Harvest(new=agreed.rows))
        print(agreed)
    except RouteMoAError as exc:
        sys.exit(" ".join(str(exc).split()))


if __name__ == "__main__":
    main()
