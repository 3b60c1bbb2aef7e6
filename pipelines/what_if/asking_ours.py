"""Asks for the answers that a file to grade lacks, our choices', within a stated budget.

Nothing else of a what-if sends anything anywhere.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mixture.llm import LLM
from mixture.run.ledger import Ledger
from pipelines.asking import Asked, Asking, Question
from pipelines.errors import BudgetSpent
from pipelines.what_if.grading import Request

ATTEMPTS = 3


def ask(requests: Sequence[Request], llms: Mapping[str, LLM], budget_usd: float) -> tuple[list[Request], list[str]]:
    """The requests with the answers that came, and sentences on those that did not. Raises AskingStopped where a key is not set."""
    ledger, notes, answers = Ledger(budget_usd), [], dict[tuple[str, str], str]()
    for llm_id in sorted({llm for each in requests for llm in _wanted(each)}):
        questions = [Question(each.call, each.question, "") for each in requests if llm_id in _wanted(each)]
        if llms[llm_id].endpoint is None:
            notes.append(f"{llm_id} has no endpoint: {len(questions)} answers of it are yours to get.")
            continue

        def keep(asked: Asked, llm_id: str = llm_id) -> None:
            if asked.reply is not None:
                answers[asked.question.query_id, llm_id] = asked.reply.text

        try:
            asyncio.run(Asking(llms[llm_id], ledger, ATTEMPTS, keep).run(questions))
        except BudgetSpent as exc:
            notes.append(f"{exc.what} What was answered is in the file.")
            break
    done = [
        replace(
            each,
            answer_ours=answers.get((each.call, each.llm_ours), each.answer_ours),
            answer_logged=each.answer_logged or answers.get((each.call, each.llm_logged), ""),
        )
        for each in requests
    ]
    lacking = sum(not each.answer_ours or not each.answer_logged for each in done)
    return done, [*notes, f"{len(answers):,} answers came; {lacking:,} requests still lack one."]


def _wanted(request: Request) -> list[str]:
    """Whose answers it lacks."""
    ours = [] if request.answer_ours else [request.llm_ours]
    return ours if request.answer_logged else [*ours, request.llm_logged]
