"""Puts questions to one LLM, several at a time, within a budget; stops when its endpoint no longer answers."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mixture.client.protocol import LOGPROBS, Call, Client, Reply
from mixture.client.request_body import headers
from mixture.errors import LLMFailed, LLMRefused
from mixture.llm import LLM
from mixture.run.ledger import Ledger, Reservation
from pipelines.errors import AskingStopped, BudgetSpent
from pipelines.executor import door

FAILURES_IN_A_ROW = 10  # a broken endpoint, not a hard query


@dataclass(frozen=True, slots=True)
class Question:
    """A query of the pool and the hash of how it is asked."""

    query_id: str
    text: str
    asked_with: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question: a reply, or what went wrong."""

    question: Question
    reply: Reply | None
    error: str | None = None


@dataclass(slots=True)
class Asking:
    """Asking one LLM within what `ledger` has left; `keep` is told each result as soon as it is there."""

    llm: LLM
    ledger: Ledger
    attempts: int
    keep: Callable[[Asked], None]
    _failed_in_a_row: int = 0

    async def run(self, questions: Sequence[Question]) -> None:
        """Asks every question.

        Raises BudgetSpent before the budget could be passed, AskingStopped where the endpoint's key is not set, or it fails
        `FAILURES_IN_A_ROW` times.
        """
        try:
            headers(self.llm)
        except LLMRefused as exc:
            next_step = "Set it where this runs: in the shell of `dvc repro`, for jobs in that of `routemoa up`."
            raise AskingStopped(exc.what, next_step=next_step) from exc
        todo = iter(questions)
        async with door.chosen().client(attempts=self.attempts, cool_down_s=1.0) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.llm.limits.concurrency):
                        group.create_task(self._work(client, todo))
            except BaseExceptionGroup as group_failed:
                raise group_failed.exceptions[0] from None  # the first worker that stopped says why

    async def _work(self, client: Client, todo: Iterator[Question]) -> None:
        for question in todo:
            asked = await self._ask(client, question, self._reserve(question))
            self.keep(asked)
            self._judge(asked)

    async def _ask(self, client: Client, question: Question, reserved: Reservation) -> Asked:
        try:
            reply = await client.ask(reserved.call)
        except LLMFailed as failed:
            self.ledger.fail(reserved, failed)
            return Asked(question, None, str(failed))
        self.ledger.settle(reserved, reply.cost_usd)
        return Asked(question, reply)

    def _reserve(self, question: Question) -> Reservation:
        """A call and the money for it. Raises BudgetSpent."""
        call = Call(self.llm, [{"role": "user", "content": question.text}], LOGPROBS)
        reserved = self.ledger.reserve(replace(call, may_retry=partial(self.ledger.reserve_retry, call)))
        if reserved is None:
            spent_usd, unsettled_usd = self.ledger.spent_usd, self.ledger.unsettled_usd
            failed = f" and up to {unsettled_usd:.4f} for calls that run or broke" if unsettled_usd else ""
            raise BudgetSpent(
                f"{self.llm.id}: {spent_usd:.4f} USD spent{failed}, the next could pass answer.budget_usd = {self.ledger.budget_usd}.",
                next_step="What was answered is kept. Raise it in params.yaml, or ask fewer with answer.max_queries; then run this again.",
            )
        return reserved

    def _judge(self, asked: Asked) -> None:
        if asked.reply is not None:
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILURES_IN_A_ROW:
            url, name = (self.llm.endpoint.base_url, self.llm.endpoint.served_name) if self.llm.endpoint else ("nowhere", self.llm.id)
            raise AskingStopped(
                f"{self.llm.id}: {self._failed_in_a_row} calls in a row failed at {url}. The last: {asked.error}",
                next_step=f"See that it answers (bundled: `python -m local.llama {name}`) and run this again; what was answered is kept.",
            )
