"""The rules: one row each, in Great Expectations' words. A critical one stops the build, a warning is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.graders import kinds, names
from pipelines.near_duplicates import ALIKE

Severity = Literal["critical", "warning"]
GRADERS = [*kinds.GRADERS, *sorted(names.OPEN), names.RECORDED]


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind`: a class of great_expectations.expectations. `means`: the rule in words. `next_step`: what to do when it is broken."""

    table: str
    kind: str
    arguments: Mapping[str, Any]
    severity: Severity
    means: str
    next_step: str


IDS: Mapping[str, tuple[str, ...]] = {  # the columns that name a row of each table
    "queries": ("query_id",),
    "answers": ("query_id", "llm"),
    "labels": ("query_id", "llm"),
    "active": ("llm",),
    "candidates": ("llm",),
    "balance": ("llm", "dataset"),
    "agreement": ("llm", "one", "other"),
    "likenesses": ("query_id", "like"),
    "suspects": ("llm", "dataset", "evidence"),
}
_QUERIES = "Correct the source of these queries and build the query pool again."
_ANSWERS = "Look at what the endpoint of this LLM returns; delete the rows and run `dvc repro` to ask again."
_IDS = "Give the LLM in the file the id it has in pool.yaml."
_LABELS = "Correct the grader, raise its VERSION, and run `dvc repro`."


def rules(llms: Sequence[str], min_coverage: float) -> list[Rule]:
    """Every rule, for a pool of these LLM ids."""
    return [*_of_queries(), *_of_answers(llms), *_of_labels(llms), *_of_shares(min_coverage)]


def _of_queries() -> list[Rule]:
    near = "They are kept in one split, so nothing leaks; drop one of each pair to count it once."
    return [
        *(_not_null("queries", column, _QUERIES) for column in ("query_id", "dataset", "domain", "language", "text", "grader")),
        Rule("queries", "ExpectTableRowCountToBeBetween", {"min_value": 1}, "critical", "the pool holds queries", _QUERIES),
        Rule("queries", "ExpectColumnValuesToBeUnique", {"column": "query_id"}, "critical", "a query id is used once", _QUERIES),
        Rule(
            "queries", "ExpectColumnValueLengthsToBeBetween", {"column": "text", "min_value": 1}, "critical", "a query has text", _QUERIES
        ),
        _one_of("queries", "grader", GRADERS, means="a grader of this name exists", next_step=_QUERIES),
        _one_of(
            "likenesses",
            "crosses_splits",
            [0],
            means="no near-duplicates stand in different splits",
            next_step="Report this: pipelines.assemble keeps near-duplicates together.",
        ),
        _between("likenesses", "likeness", below=ALIKE, severity="warning", means="no two queries say nearly the same", next_step=near),
    ]


def _of_answers(llms: Sequence[str]) -> list[Rule]:
    amounts = ("input_tokens", "output_tokens", "cost_usd", "latency_s")
    return [
        *(_not_null("answers", column, _ANSWERS) for column in ("query_id", "llm", "sample")),
        _unique("answers", ["query_id", "llm", "sample"], "an LLM's answer to a query is there once a sample", _ANSWERS),
        _one_of("answers", "llm", llms, means="answers are of LLMs in the pool", next_step=_IDS),
        *(_between("answers", column, least=0, means=f"{column} is not negative", next_step=_ANSWERS) for column in amounts),
        _between("answers", "mean_logprob", most=0, means="a log-probability is at most 0", next_step=_ANSWERS),
        _one_of(
            "answers",
            "query_known",
            [True],
            severity="warning",
            means="answers are to queries of the pool",
            next_step="They are left out of the dataset; nothing to do unless their queries should be there.",
        ),
    ]


def _of_labels(llms: Sequence[str]) -> list[Rule]:
    next_step = "Import the queries these labels belong to."
    return [
        *(_not_null("labels", column, _LABELS) for column in ("query_id", "llm", "score", "grader", "grader_version")),
        _unique("labels", ["query_id", "llm", "grader"], "a grader labels an answer once", _LABELS),
        _between("labels", "score", least=0, most=1, means="a label is in [0, 1]", next_step=_LABELS),
        _one_of("labels", "llm", llms, means="labels are of LLMs in the pool", next_step=_IDS),
        _one_of("labels", "query_known", [True], means="labels are on queries of the pool", next_step=next_step),
    ]


def _of_shares(min_coverage: float) -> list[Rule]:
    covered = f"an LLM is labelled on at least {min_coverage:.0%} of the query pool, by row of what it is asked (validate.min_coverage)"
    ask = "Ask it more queries (`python -m pipelines.answer LLM`), make it a candidate or retire it, or lower the bar in params.yaml."
    read = "Read some of its answers there: a grader that cannot read their form looks like this. Compare `others_mean`."
    same = "an LLM does not get the same score on every query of a dataset"
    differ = "Read answers they differ on; used is the label of the grader that the query names."
    unread = "Read these answers and how they were graded; validate.leave_out_suspect keeps such pairs out of training, nothing else does."
    scored = "the scores of an LLM on a dataset look like skill, not like answers that could not be read"
    failed = "Read the `error` column of its answers; failed calls are not labelled."
    return [
        _between("active", "labelled_share", least=min_coverage, means=covered, next_step=ask),
        _between("candidates", "labelled_share", least=min_coverage, severity="warning", means=covered, next_step=ask),
        _between("active", "failed_share", most=0.2, severity="warning", means="at most a fifth of the calls failed", next_step=failed),
        _one_of("suspects", "suspect", [0], severity="warning", means=scored, next_step=unread),
        _between("balance", "spread", above=0, severity="warning", means=same, next_step=read),
        _between("agreement", "agreement", least=0.9, severity="warning", means="two graders agree on 90 % of answers", next_step=differ),
    ]


def _not_null(table: str, column: str, next_step: str) -> Rule:
    return Rule(table, "ExpectColumnValuesToNotBeNull", {"column": column}, "critical", f"{column} is never missing", next_step)


def _unique(table: str, columns: list[str], means: str, next_step: str) -> Rule:
    return Rule(table, "ExpectCompoundColumnsToBeUnique", {"column_list": columns}, "critical", means, next_step)


def _between(
    table: str,
    column: str,
    *,
    means: str,
    next_step: str,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    severity: Severity = "critical",
) -> Rule:
    """Every value in [least, most], or strictly `above` and `below`; a missing value passes."""
    arguments = {
        "column": column,
        "min_value": least if above is None else above,
        "max_value": most if below is None else below,
        "strict_min": above is not None,
        "strict_max": below is not None,
    }
    return Rule(table, "ExpectColumnValuesToBeBetween", arguments, severity, means, next_step)


def _one_of(table: str, column: str, values: Sequence[object], *, means: str, next_step: str, severity: Severity = "critical") -> Rule:
    return Rule(table, "ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}, severity, means, next_step)
