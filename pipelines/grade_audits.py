"""Grades answers that were drawn for an audit, as far as machines can: `python -m pipelines.grade_audits`.

An answer whose query has a reference (reported with an outcome, or the query pool's) is graded by code, which counts as a person's grade.
Of any other, `label.judge` or `label.reward_model` has an opinion, kept beside: estimated quality (`monitoring.quality.quality`)
takes its error off. The judge spends at most `monitor.audit_usd_per_day` a UTC day: a verdict that could cost more than what is left is
not asked for. Answers that people graded are judged first, for they show the judge's error. The monitor starts this after a draw.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, field
from typing import Any

from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Call, Client, Reply
from mixture.client.request_size import worst_case_usd
from mixture.llm import LLM
from monitoring.audits.audit_queue import BY_CODE, AuditQueue, Opinion
from monitoring.drift import policy
from monitoring.records.record import AUDIT, Record
from monitoring.records.store import RecordStore
from pipelines import params, query_pool
from pipelines.errors import GraderFailed
from pipelines.graders import judge, kinds, names, reward_model, rubric
from pipelines.graders.kinds import Task
from pipelines.graders.query import Query
from pipelines.graders.workers import grade_all
from pipelines.params import Label
from pipelines.project import Project
from registry import pool
from registry.child_process import end_with_parent
from registry.settings import Settings
from scorer.errors import RouteMoAError

AT_ONCE = 200
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Graded:
    """What came of a round: answers graded by code, opinions given, what they cost, and how many are left for another day."""

    by_code: int
    opinions: int
    usd: float
    left: int

    def __str__(self) -> str:
        left = f"; {self.left} wait for another day's budget" if self.left else ""
        return f"{self.by_code} drawn answers graded by code, {self.opinions} opinions given for {self.usd:.4f} USD{left}."


@dataclass(slots=True)
class Counting:
    """A client that counts what its calls cost."""

    inner: Client
    spent_usd: float = field(default=0.0)

    async def ask(self, call: Call) -> Reply:
        """As the inner one."""
        reply = await self.inner.ask(call)
        self.spent_usd += reply.cost_usd
        return reply

    def stream(self, call: Call) -> Any:
        """As the inner one; nothing here streams."""
        return self.inner.stream(call)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of grading on a project's records. usd_per_day: what the judge may spend in a UTC day."""

    project: Project
    store: RecordStore
    label: Label
    usd_per_day: float

    async def grade(self, judging: LLM | None, client: Client) -> Graded:
        """Raises LLMFailed where the judge cannot be asked (what it said before is kept), GraderFailed, RecordsRefused."""
        by_code = await self._by_code()
        opinions, usd, left = (0, 0.0, 0) if judging is None else await self._by_judge(judging, Counting(client))
        if self.label.reward_model is not None:
            opinions += await asyncio.to_thread(self._by_reward_model, self.label.reward_model)
        return Graded(by_code, opinions, usd, left)

    async def _by_code(self) -> int:
        known = _known_queries(self.project)
        tasks: dict[str, tuple[Record, Task]] = {}
        for record in self.store.to_audit(AT_ONCE):
            query = _with_reference(record, known)
            if query is not None and record.answer is not None:
                tasks[record.id] = record, Task(query, record.answer, self.label.timeout_s)
        if not tasks:
            return 0
        results = await asyncio.to_thread(grade_all, [task for _, task in tasks.values()])
        count = 0
        for (record, task), result in zip(tasks.values(), results, strict=True):
            if result.score is not None:
                reference = record.outcome.reference if record.outcome is not None else None
                count += await self.store.report_outcome(record.id, result.score, AUDIT, reference, f"{BY_CODE}{task.query.grader}")
        return count

    async def _by_judge(self, judging: LLM, client: Counting) -> tuple[int, float, int]:
        """Opinions given, what they cost, answers left. No LLM judges its own answers."""
        queue, grader, now = AuditQueue(self.store), f"{names.JUDGE}:{judging.id}", self.store.now()
        every = queue.without_opinion(grader, AT_ONCE)
        waiting = [record for record in every if record.answer is not None and record.llm != judging.id]
        by_judge = judge.Judge(judging, client, self.project.judgements(judging.id))
        room = self.usd_per_day - queue.spent_usd(now - now % DAY_S)
        for at, record in enumerate(waiting):
            query, answer, before = _open_query(record), record.answer or "", client.spent_usd
            if before + _worst_case_usd(judging, query, answer) > room:
                return at, before, len(waiting) - at
            (result,) = await by_judge.grade([(query, answer)])  # one at a time: each opinion is kept as soon as it is paid
            queue.opine({record.id: Opinion(grader, result.score, client.spent_usd - before, self.store.now())})
        return len(waiting), client.spent_usd, 0

    def _by_reward_model(self, called: str) -> int:
        queue, grader = AuditQueue(self.store), f"{names.REWARD_MODEL}:{called}"
        waiting = [record for record in queue.without_opinion(grader, AT_ONCE) if record.answer is not None]
        if not waiting:
            return 0
        model = reward_model.load(called)
        answers = [(_open_query(record), record.answer or "") for record in waiting]
        graded = reward_model.grade(model, answers, self.project.judgements(f"reward-{model.version}")).graded
        given = {record.id: Opinion(grader, each.score, 0.0, self.store.now()) for record, each in zip(waiting, graded, strict=True)}
        queue.opine(given)
        return len(waiting)


def _known_queries(project: Project) -> dict[str, Query]:
    """The pool's queries that code can grade, by their text; texts with several sets of options are left out."""
    if not project.queries.exists():
        return {}
    by_text: dict[str, Query | None] = {}
    for row in query_pool.rows(project):
        if row["grader"] in kinds.GRADERS:
            text = query_pool.identity(row["text"])[0]
            by_text[text] = None if text in by_text else Query.of(row)
    return {text: query for text, query in by_text.items() if query is not None}


def _with_reference(record: Record, known: dict[str, Query]) -> Query | None:
    reference = record.outcome.reference if record.outcome is not None else None
    if reference is not None:
        return Query(record.id, record.text or "", reference.grader, reference.choices, reference.text)
    return known.get(query_pool.identity(record.text)[0]) if record.text else None


def _worst_case_usd(judging: LLM, query: Query, answer: str) -> float:
    """Of both verdicts; infinite where the judge's price is not known."""
    bare = Call(judging, rubric.messages(rubric.ANSWERS, query, answer, swapped=False), {"max_tokens": judge.VERDICT_TOKENS})
    return 2 * worst_case_usd(bare)


def _open_query(record: Record) -> Query:
    return Query(record.id, record.text or "", names.JUDGE)


async def run(settings: Settings) -> Graded:
    """One round on this host's records. Raises as `Round.grade` does, and for malformed files."""
    project, rules = Project(settings.home), policy.load(settings.home / "params.yaml")
    label = params.load(project.params).label
    judging = pool.load(settings.pool_file).by_id(label.judge) if label.judge else None
    if judging is not None and judging.endpoint is None:
        raise GraderFailed(f"label.judge: {judging.id} has no endpoint.", next_step="Name an LLM that can be called, or null.")
    store = RecordStore.of(settings)
    try:
        async with OpenAIClient() as client:
            return await Round(project, store, label, rules.audit_usd_per_day).grade(judging, client)
    finally:
        await store.close()


def main(arguments: list[str] | None = None) -> None:
    """Prints what was graded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")
    if parser.parse_args(arguments).with_parent:
        end_with_parent()
    try:
        print(asyncio.run(run(Settings())))
    except RouteMoAError as exc:
        sys.exit(" ".join(str(exc).split()))


if __name__ == "__main__":
    main()
