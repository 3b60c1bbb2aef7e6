"""Grader `judge`: an LLM of the pool scores answers to open questions, each twice; every judgement is bought once and kept.

The second time everything comes in the other order (pipelines.graders.rubric). The label is the mean of both verdicts; where one of them
has no score, there is no label.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mixture.client.protocol import Call, Client
from mixture.errors import LLMFailed
from mixture.llm import LLM, Message, Prompt
from pipelines import journal
from pipelines.graders import rubric
from pipelines.graders.kinds import Graded
from pipelines.graders.query import Query
from pipelines.graders.rubric import ANSWERS, Rubric

VERSION = "2"
VERDICT_TOKENS = 24  # a verdict is one short line


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a judge said of one answer, both in [0, 1]: in the plain order and in the other; None: no score."""

    plain: float | None
    swapped: float | None

    @property
    def score(self) -> float | None:
        """The mean of both."""
        return None if self.plain is None or self.swapped is None else (self.plain + self.swapped) / 2

    @property
    def apart(self) -> float | None:
        """How far the judge is from itself."""
        return None if self.plain is None or self.swapped is None else abs(self.plain - self.swapped)


@dataclass(frozen=True, slots=True)
class Judge:
    """An LLM that grades by a rubric; `kept` is the file of its judgements. The LLM's own prompt style is left out."""

    llm: LLM
    client: Client
    kept: Path
    rubric: Rubric = ANSWERS

    async def grade(self, answers: Sequence[tuple[Query, str]], advance: Callable[[], None] = lambda: None) -> list[Graded]:
        """One result an answer, in order. Raises as `verdicts` does."""
        verdicts = await self.verdicts(answers, advance)
        return [
            Graded(query.query_id, each.score, "" if each.score is not None else f"a judgement has no score ({each})", each.apart)
            for (query, _), each in zip(answers, verdicts, strict=True)
        ]

    async def verdicts(self, answers: Sequence[tuple[Query, str]], advance: Callable[[], None] = lambda: None) -> list[Verdicts]:
        """Both verdicts on each answer, in order: what was judged before is read, not asked.

        Raises LLMFailed where a call fails; the judgements bought so far are kept, so that a second run goes on from there.
        """
        replies = {row["key"]: row["text"] for row in journal.rows(self.kept)}
        turns = asyncio.Semaphore(self.llm.limits.concurrency)
        bare = replace(self.llm, prompt=Prompt())
        with journal.Journal(self.kept) as bought:

            async def ask(query: Query, answer: str, *, swapped: bool) -> float | None:
                messages = rubric.messages(self.rubric, query, answer, swapped=swapped)
                key = self._key(messages)
                async with turns:
                    if key not in replies:
                        reply = await self.client.ask(Call(bare, messages, {"temperature": 0.0, "max_tokens": VERDICT_TOKENS}))
                        replies[key] = reply.text
                        bought.append({"key": key, "query_id": query.query_id, "text": reply.text, "cost_usd": reply.cost_usd})
                if swapped:
                    advance()
                return rubric.parse(replies[key])

            async def all_of(*, swapped: bool) -> list[float | None]:
                try:
                    async with asyncio.TaskGroup() as group:
                        tasks = [group.create_task(ask(query, answer, swapped=swapped)) for query, answer in answers]
                except* LLMFailed as failed:
                    raise failed.exceptions[0] from None
                return [task.result() for task in tasks]

            # one order after the other: an endpoint that caches prompts computes each system text once
            plain, swapped = await all_of(swapped=False), await all_of(swapped=True)
        return [Verdicts(*each) for each in zip(plain, swapped, strict=True)]

    def _key(self, messages: Sequence[Message]) -> str:
        """The same judge asked the same words gives the same judgement."""
        served = self.llm.endpoint.served_name if self.llm.endpoint else self.llm.id
        return hashlib.sha256(json.dumps([VERSION, served, VERDICT_TOKENS, messages]).encode()).hexdigest()
