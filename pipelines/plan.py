"""What a retraining would do, said before: what it is for, what it takes in, whom it asks, for how many USD, what is expected of it.

`python -m pipelines.plan [--harvest] [--group NAME]...` prints it as JSON (`Plan.as_dict`).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console

from mixture.llm import LLM
from monitoring.audits.group_actions import Actions, Chosen
from monitoring.records.record import Record, is_audited
from monitoring.records.store import RecordStore
from pipelines import harvest, harvest_cost, params, query_pool, second_round
from pipelines.answer_store import AnswerStore
from pipelines.consensus import callable_llms
from pipelines.graders.names import OPEN
from pipelines.harvest import Harvest, Row
from pipelines.harvest_cost import Bill
from pipelines.params import Params
from pipelines.project import Project
from registry import pool
from registry.pool import Pool
from registry.settings import Settings
from scorer.errors import RouteMoAError

PRIOR = 10  # audits that a promise counts as much as, in what is expected of a group


@dataclass(frozen=True, slots=True)
class Cause:
    """A group that the retraining is for: its answers, their mean promise, how many were audited and what these brought on average."""

    name: str
    answers: int
    promised: float
    audited: int
    outcome: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"expected": self.expected}

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

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready. new: queries that would come in; pending: those that do where the pool agrees; missing: LLM id -> queries asked.

        usd_by_llm: about what asking and judging by each comes to.
        """
        counts = {"new": len(self.harvest.new), "pending": self.pending, "missing": self.missing}
        usd = {llm: sum(bill.usd for bill in self.bills if bill.llm == llm) for llm in sorted({bill.llm for bill in self.bills})}
        causes = [cause.as_dict() for cause in self.causes]
        return {"lines": list(self.lines()), "usd": self.usd, "most_usd": self.most_usd, "usd_by_llm": usd, "causes": causes, **counts}

    def show(self, console: Console) -> None:
        """Prints the lines and the bills."""
        for line in self.lines():
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        if self.bills:
            console.print(harvest_cost.table(self.bills))


def make(project: Project, llms: Pool, settings: Params, found: Harvest, groups: Sequence[Chosen]) -> Plan:
    """The plan of a retraining that takes `found` in for `groups`. Raises TableRefused where there is no query pool."""
    members = frozenset(each for group in groups for each in group.members)
    pending = _pending(project, found, members) if members else []
    coming = [*found.new, *found.regraded, *pending]
    there = query_pool.read(project)
    texts = dict(zip(there["query_id"], there["text"], strict=True))
    missing, bills = {}, list(harvest_cost.bills(project, llms, settings, replace(found, new=[*found.new, *pending])))
    new_ids = {row["query_id"] for row in coming}
    for llm in callable_llms(llms.llms):
        asked = set(AnswerStore(project, llm).current(texts)["query_id"])
        older = [each for each in second_round.first_missing(project, llm, there, settings, asked) if each not in new_ids]
        billed = sum(bill.calls for bill in bills if bill.llm == llm.id and bill.role == "answers")
        missing[llm.id] = len(older) + billed
        if older:
            bills.append(_of_older(project, llm, [texts[each] for each in older]))
    return Plan([_cause(project, group) for group in groups], found, len(pending), missing, bills, settings.answer.budget_usd)


def _pending(project: Project, found: Harvest, members: frozenset[str]) -> list[Row]:
    """Queries of the groups that nothing would grade."""
    asked = {query_pool.identity(each.text)[0] for each in RecordStore.of(Settings(home=project.home)).of_ids(sorted(members)) if each.text}
    return [row for row in found.ungradable if query_pool.identity(str(row["text"]))[0] in asked]


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


def of_project(settings: Settings, groups: Sequence[Chosen], *, harvesting: bool) -> Plan:
    """The plan of a retraining of the project that is there now. Raises as `make` does, and for malformed files."""
    project = Project(settings.home)
    parsed = params.load(project.params)
    found = harvest.look(project, parsed.label) if harvesting else Harvest()
    return make(project, pool.load(settings.pool_file), parsed, found, groups)


def main(arguments: list[str] | None = None) -> None:
    """Prints the plan as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--harvest", action="store_true", help="as a retraining that takes served queries in")
    parser.add_argument("--group", action="append", default=[], help="for this group of unknown queries; may be repeated")
    command_line = parser.parse_args(arguments)
    settings = Settings()
    try:
        actions = Actions(settings.var, RecordStore.of(settings))
        groups = [actions.find(each) for each in command_line.group]
        made = of_project(settings, groups, harvesting=command_line.harvest or bool(groups))
    except RouteMoAError as exc:
        sys.exit(" ".join(str(exc).split()))
    print(json.dumps(made.as_dict()))


if __name__ == "__main__":
    main()
