"""What a retraining would do, said before: what it is for, what it takes in, whom it asks, for how many USD, what is expected of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from mixture.llm import LLM
from monitoring.group_actions import Chosen
from monitoring.record import Record, is_audited
from monitoring.records import RecordStore
from pipelines import harvest_cost, query_pool, second_round
from pipelines.answer_store import AnswerStore
from pipelines.consensus import callable_llms
from pipelines.graders.names import OPEN
from pipelines.harvest import Harvest, Row
from pipelines.harvest_cost import Bill
from pipelines.params import Params
from pipelines.project import Project
from registry.pool import Pool
from registry.settings import Settings

PRIOR = 10  # audits that a promise counts as much as, in what is expected of a group


@dataclass(frozen=True, slots=True)
class Cause:
    """A group that the retraining is for: its answers, their mean promise, how many were audited and what these brought on average."""

    name: str
    answers: int
    promised: float
    audited: int
    outcome: float | None

    @property
    def expected(self) -> float:
        """What promises will be there if audits are right, drawn towards the present ones by PRIOR audits."""
        return (PRIOR * self.promised + self.audited * (self.outcome or 0.0)) / (PRIOR + self.audited)

    def __str__(self) -> str:
        size = f"{self.name}: {self.answers} answers, promised {self.promised:.2f}"
        if self.outcome is None:
            return f"{size}, none audited: what a retraining is worth there, audits tell (`routemoa groups audit {self.name!r}`)."
        return f"{size}, {self.audited} audited at {self.outcome:.2f}; promises there are expected at about {self.expected:.2f} afterwards."


@dataclass(frozen=True, slots=True)
class Plan:
    """causes: why. harvest: what is taken in; pending: how many queries are asked about to see whether the pool agrees.

    missing: LLM id -> queries of the pool, taken in or there before, that it is asked. bills: what that comes to. most_usd: of each LLM.
    """

    causes: Sequence[Cause]
    harvest: Harvest
    pending: int
    missing: dict[str, int]
    bills: Sequence[Bill]
    most_usd: float

    @property
    def usd(self) -> float:
        """About what asking and judging cost."""
        return sum(bill.usd for bill in self.bills)

    def lines(self) -> Iterator[str]:
        """For a person."""
        if self.causes:
            yield "For:"
            yield from (f"  {cause}" for cause in self.causes)
        yield f"Takes in: {self.harvest}"
        graders = [str(row["grader"]) for row in self.harvest.new]
        opinions = sum(grader in OPEN for grader in graders)
        if graders:
            yield f"  graded by a reference: {len(graders) - opinions}, by label.judge or label.reward_model: {opinions}"
        if self.pending:
            yield f"  asked of all LLMs, and taken in where these agree: {self.pending}"
        asked = ", ".join(f"{llm} {count}" for llm, count in self.missing.items() if count)
        yield f"Asks: {asked or 'nobody'}."
        yield f"Costs about {self.usd:.4f} USD; asking ends at {self.most_usd:g} USD an LLM (answer.budget_usd)."
        yield "Expected: promises that fit the harvested queries; better choices where another LLM turns out to be better there."
        yield "A gate compares the new version with the one that serves; nothing is promoted by itself."

    def show(self, console: Console) -> None:
        """Prints the lines and the bills."""
        for line in self.lines():
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        if self.bills:
            console.print(harvest_cost.table(self.bills))


def make(project: Project, pool: Pool, settings: Params, harvest: Harvest, groups: Sequence[Chosen]) -> Plan:
    """The plan of a retraining that takes `harvest` in for `groups`. Raises TableRefused where there is no query pool."""
    members = frozenset(each for group in groups for each in group.members)
    pending = _pending(project, harvest, members) if members else []
    coming = [*harvest.new, *harvest.regraded, *pending]
    there = query_pool.read(project)
    texts = dict(zip(there["query_id"], there["text"], strict=True))
    missing, bills = {}, list(harvest_cost.bills(project, pool, settings, replace(harvest, new=[*harvest.new, *pending])))
    new_ids = {row["query_id"] for row in coming}
    for llm in callable_llms(pool.llms):
        asked = set(AnswerStore(project, llm).current(texts)["query_id"])
        older = [each for each in second_round.first_missing(project, llm, there, settings, asked) if each not in new_ids]
        billed = sum(bill.calls for bill in bills if bill.llm == llm.id and bill.role == "answers")
        missing[llm.id] = len(older) + billed
        if older:
            bills.append(_of_older(project, llm, [texts[each] for each in older]))
    return Plan([_cause(project, group) for group in groups], harvest, len(pending), missing, bills, settings.answer.budget_usd)


def _pending(project: Project, harvest: Harvest, members: frozenset[str]) -> list[Row]:
    """Queries of the groups that nothing would grade."""
    asked = {query_pool.identity(each.text)[0] for each in RecordStore.of(Settings(home=project.home)).of_ids(sorted(members)) if each.text}
    return [row for row in harvest.ungradable if query_pool.identity(str(row["text"]))[0] in asked]


def _of_older(project: Project, llm: LLM, texts: Sequence[str]) -> Bill:
    """What asking queries costs that were in the pool before."""
    output_tokens = harvest_cost.mean_output(project, llm) * len(texts)
    return harvest_cost.bill(
        llm, "earlier queries", len(texts), sum(harvest_cost.prompt_tokens(llm, text) for text in texts), output_tokens
    )


def _cause(project: Project, group: Chosen) -> Cause:
    records: list[Record] = [each for each in RecordStore.of(Settings(home=project.home)).of_ids(group.members) if each.status == "ok"]
    outcomes = [each.outcome.score for each in records if is_audited(each) and each.outcome is not None]
    promised = sum(each.predicted or 0.0 for each in records) / max(1, len(records))
    return Cause(group.name, len(records), promised, len(outcomes), sum(outcomes) / len(outcomes) if outcomes else None)
