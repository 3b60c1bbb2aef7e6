"""Asking other LLMs about a sample of a log of one: how many questions a budget pays for, what they cost, and what grades the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mixture.client.request_size import expected_input_tokens
from pipelines import harvest_cost, query_pool
from pipelines.errors import ImportRefused
from pipelines.graders.names import JUDGE
from pipelines.graders.query import Query
from pipelines.harvest import Harvest
from pipelines.imports.checks import Defaults, Scored, beside, stage_queries
from pipelines.imports.logged_rows import Rows
from pipelines.params import Params
from pipelines.project import Project
from pipelines.user_files.tables import AnswerRow, QueryRow, Table
from registry.pool import Pool

GRADES = "Set label.judge (a pool id) or label.reward_model in params.yaml: without either nothing grades an open question."


@dataclass(frozen=True, slots=True)
class Offer:
    """The sample that is paid for, and what asking it is expected to cost."""

    rows: Rows
    bills: Sequence[harvest_cost.Bill]

    @property
    def usd(self) -> float:
        """Of all bills."""
        return sum(bill.usd for bill in self.bills)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who would be asked: the pool of a project, as its parameters say; the questions come in under `defaults`."""

    project: Project
    pool: Pool
    settings: Params
    defaults: Defaults

    def require(self) -> None:
        """Raises ImportRefused where nobody could be asked, or nothing would grade what they say."""
        if not [llm for llm in self.pool.active if llm.endpoint]:
            raise ImportRefused("No LLM of the pool has an endpoint to ask.", next_step="Add one: routemoa add-llm.")
        if grades(self.settings) is None:
            raise ImportRefused("Nothing would grade what other LLMs answer.", next_step=GRADES)

    def within(self, budget_usd: float, rows: Rows) -> Offer:
        """The largest first part of `rows` whose asking is expected to cost at most the budget. Raises ImportRefused where it is none."""
        self.require()
        if not rows.queries.rows:
            raise ImportRefused("The log has no question to ask others.", next_step="Log prompts for a while, and import again.")
        others = [row for row in query_pool.rows(self.project) if row["source"] != self.defaults.source]
        low, high = 0, len(rows.queries.rows)
        while low < high:
            middle = (low + high + 1) // 2
            if self._offer(middle, rows, others).usd <= budget_usd:
                low = middle
            else:
                high = middle - 1
        if not low:
            one = self._offer(1, rows, others).usd
            raise ImportRefused(
                f"${budget_usd:g} pays for no question: one costs about ${one:.4f}.",
                next_step="Raise --budget, or retire LLMs that need not be asked.",
            )
        return self._offer(low, rows, others)

    def _offer(self, count: int, rows: Rows, others: Sequence[Mapping[str, Any]]) -> Offer:
        """The first `count` questions with what asking them costs."""
        kept = rows.queries.rows[:count]
        numbers = {row.number for row in kept}
        first = Table(rows.queries.path, kept, rows.queries.notes)
        staged = beside(others, {})
        stage_queries(staged, first, self.defaults, Scored())
        bills = harvest_cost.bills(self.project, self.pool, self.settings, Harvest(new=list(staged.rows.values())))
        answers = [row for row in rows.answers.rows if row.number in numbers]
        bills += [replace(bill, role="judges the log's") for bill in self._judging(kept, answers)]
        notes = [*rows.notes, f"{count} of the {len(rows.queries.rows)} in the sample are paid for."]
        return Offer(Rows(first, Table(rows.answers.path, answers), notes), bills)

    def _judging(self, queries: Sequence[QueryRow], answers: Sequence[AnswerRow]) -> list[harvest_cost.Bill]:
        """What grading the log's own answers costs: they are compared with the others'."""
        by_id: dict[str | None, Query] = {row.query_id: Query(row.query_id or "", row.text, JUDGE) for row in queries}
        said = [(by_id[row.query_id], row) for row in answers if row.text is not None]
        tokens: list[tuple[Query, float]] = [
            (
                query,
                row.output_tokens
                if row.output_tokens is not None
                else expected_input_tokens([{"role": "assistant", "content": row.text}], {}),
            )
            for query, row in said
        ]
        return harvest_cost.judging(self.pool, self.settings, tokens)


def grades(settings: Params) -> str | None:
    """What grades open questions; None where nothing does."""
    return settings.label.judge or settings.label.reward_model
