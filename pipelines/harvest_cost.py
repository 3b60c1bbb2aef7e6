"""What asking the pool about harvested queries would cost, as the texts and each LLM's earlier answers tell, at the pool's prices."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Column, Table

from mixture.client.request_size import expected_input_tokens
from mixture.llm import LLM
from pipelines.answer_store import AnswerStore
from pipelines.graders import judge, rubric
from pipelines.graders.names import OPEN
from pipelines.graders.query import Query
from pipelines.harvest import Harvest, Row
from pipelines.params import Params
from pipelines.project import Project
from registry.pool import Pool


@dataclass(frozen=True, slots=True)
class Bill:
    """What one LLM is expected to be asked: calls, tokens of all of them together, USD. role: `answers` or `judges`."""

    llm: str
    role: str
    calls: int
    input_tokens: float
    output_tokens: float
    usd: float


def bills(project: Project, pool: Pool, settings: Params, harvest: Harvest) -> list[Bill]:
    """One for each LLM that has an endpoint and is not retired, as far as it would be asked; then the judge's."""
    rows = [*harvest.new, *harvest.regraded]
    answering, judged = [], []
    for llm in pool.llms:
        if llm.endpoint is None or llm.status == "retired":
            continue
        asked = _to_ask(project, llm, rows)
        output_tokens = mean_output(project, llm)
        inputs = [prompt_tokens(llm, query.text) for query in asked]
        if asked:
            answering.append(bill(llm, "answers", len(asked), sum(inputs), len(asked) * output_tokens))
        judged += [(query, output_tokens) for query in asked if query.grader in OPEN]
    return [*answering, *judging(pool, settings, judged)]


def table(every: Sequence[Bill]) -> Table:
    """The bills with their sum, for a person."""
    shown = Table("LLM", "", *(Column(name, justify="right") for name in ("calls", "tokens in", "out", "USD, about")))
    for bill in every:
        shown.add_row(bill.llm, bill.role, str(bill.calls), f"{bill.input_tokens:,.0f}", f"{bill.output_tokens:,.0f}", f"{bill.usd:.4f}")
    shown.add_row("all", "", str(sum(bill.calls for bill in every)), "", "", f"{sum(bill.usd for bill in every):.4f}")
    return shown


def _to_ask(project: Project, llm: LLM, rows: Sequence[Row]) -> list[Query]:
    """The harvested queries that `llm` has not answered: what is harvested is asked of every LLM (`pipelines.query_selection`)."""
    harvested = {query.query_id: query for query in map(Query.of, rows)}
    current = AnswerStore(project, llm).current({query_id: query.text for query_id, query in harvested.items()})
    answered = set(current.loc[current["error"].isna(), "query_id"])
    return [query for query_id, query in harvested.items() if query_id not in answered]


def mean_output(project: Project, llm: LLM) -> float:
    """Mean tokens of its recorded answers; the most it may write where it has none."""
    every = AnswerStore(project, llm).every()
    tokens = every.loc[every["error"].isna(), "output_tokens"].dropna()
    return float(tokens.mean()) if len(tokens) else float(llm.decoding.max_tokens)


def judging(pool: Pool, settings: Params, answers: Sequence[tuple[Query, float]]) -> list[Bill]:
    """Two verdicts an answer; `answers`: the query, and how many tokens the answer has."""
    if settings.label.judge is None or not answers:
        return []
    llm = pool.by_id(settings.label.judge)
    inputs = [tokens + expected_input_tokens(rubric.messages(rubric.ANSWERS, query, "", swapped=False), {}) for query, tokens in answers]
    return [bill(llm, "judges", 2 * len(answers), 2 * sum(inputs), 2 * len(answers) * judge.VERDICT_TOKENS)]


def prompt_tokens(llm: LLM, text: str) -> int:
    """What a query of this text comes to as `llm` is asked it, as far as characters tell."""
    return expected_input_tokens(llm.prompt.apply([{"role": "user", "content": text}]), {})


def bill(llm: LLM, role: str, calls: int, input_tokens: float, output_tokens: float) -> Bill:
    """Of so many calls, whose tokens together are these, at the LLM's price."""
    return Bill(llm.id, role, calls, input_tokens, output_tokens, llm.price.cost(round(input_tokens), round(output_tokens), calls))
