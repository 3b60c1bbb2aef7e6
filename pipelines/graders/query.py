"""A query as a grader sees it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import GraderFailed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Query:
    """One row of the query pool; `choices` is empty and `reference` "" where the query has none."""

    query_id: str
    text: str
    grader: str
    choices: tuple[str, ...] = ()
    reference: str = ""

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Query":
        """From a row of the QUERIES table."""
        choices, reference = row["choices"], row["reference"]
        return cls(
            query_id=row["query_id"],
            text=row["text"],
            grader=row["grader"],
            choices=tuple(choices) if choices is not None and not isinstance(choices, float) else (),
            reference=reference if isinstance(reference, str) else "",
        )

    def json_reference(self, kind: type) -> Any:
        """The reference parsed as JSON and of type `kind`. Raises GraderFailed: a query no answer to which can be graded."""
        try:
            parsed = json.loads(self.reference)
        except ValueError as exc:
            raise self.failed(f"reference {self.reference[:80]!r} is not JSON ({exc})") from exc
        if not isinstance(parsed, kind):
            raise self.failed(f"reference {self.reference[:80]!r} is not a JSON {kind.__name__}")
        return parsed

    def failed(self, what: str) -> GraderFailed:
        """The error for a query that cannot be graded."""
        return GraderFailed(f"{self.query_id}: grader {self.grader}: {what}.", next_step="Correct the query where it is built.")


def answered(answers: "pd.DataFrame", queries: Mapping[str, Query]) -> list[tuple[Query, str]]:
    """The answers that can be graded: to one of `queries`, and not a failed call. answers: an ANSWERS table."""
    usable = answers[answers["error"].isna() & answers["query_id"].isin(list(queries))]
    pairs = zip(usable["query_id"], usable["text"].fillna(""), strict=True)
    return [(queries[query_id], text) for query_id, text in pairs]
