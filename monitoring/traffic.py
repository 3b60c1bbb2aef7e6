"""What was served lately, in figures. SQLite counts, outside of Python's lock, so a server's loop hardly notices. Blocks: for people."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixture.price import Price
from monitoring.errors import RecordsRefused

BUSY_S = 10.0
MOST_REPRICED = 5_000  # requests, the newest: reading the decision of each takes 80 us of CPU
MOST_SCORED = 5_000  # records by which promised qualities are told
ROUTED = "roster <> '[]'"  # a request that named its LLM saved nothing
SERVED_OUTPUT = """coalesce(
    json_extract(decision, '$.synthesis.output_tokens'),
    (SELECT json_extract(run.value, '$.output_tokens')
     FROM json_each(decision, '$.layers') AS layer, json_each(layer.value, '$.runs') AS run
     WHERE json_extract(run.value, '$.llm') = records.llm ORDER BY layer.key DESC LIMIT 1),
    output_tokens)"""
PROMPT = "coalesce(json_extract(decision, '$.layers[0].runs[0].input_tokens'), input_tokens)"
ASSUMED = (
    "every routed request that was answered, asked of it once at its price of now: the prompt's tokens, an answer as long as was served"
)


@dataclass(frozen=True, slots=True)
class Savings:
    """What routing saved against asking one LLM, `baseline`, everything; USD.

    spent: on all routed requests, with failed attempts, judges and retries. baseline_usd: what it would have cost (None: its price is
    unknown), under `assumed`. requests: how many answered ones were priced again, of `of`, the newest; spent is of the same time.
    """

    baseline: str
    baseline_usd: float | None
    spent_usd: float
    saved_usd: float | None
    requests: int
    of: int
    assumed: str = ASSUMED


class Traffic:
    """The records of `path` that were made from `since` until `until` (epoch seconds). Every method raises RecordsRefused."""

    def __init__(self, path: Path, since: float, until: float) -> None:
        self._path, self._during = path, (since, until)

    def totals(self) -> dict[str, Any]:
        """Requests, failures, money, tokens, and the seconds that half and 95 % of the answered took at most (None without any)."""
        names = ("requests", "failed", "cost_usd", "input_tokens", "output_tokens", "routed")
        summed = f"count(*), coalesce(sum(status = 'error'), 0), total(cost_usd), sum(input_tokens), sum(output_tokens), total({ROUTED})"
        totals = dict(zip(names, self._ask(f"SELECT {summed} FROM records WHERE {{during}}")[0], strict=True))  # noqa: S608
        answered = int(totals["requests"]) - int(totals["failed"])
        return totals | {f"p{share}_s": self._latency(answered, share / 100) for share in (50, 95)}

    def over_time(self, parts: int) -> list[dict[str, Any]]:
        """`parts` equal spans of the time, in order: since when, requests, failures, USD. Spans without requests are there too."""
        since, until = self._during
        width = (until - since) / parts
        summed = "count(*), sum(status = 'error'), sum(cost_usd)"
        query = f"SELECT cast((created_at - ?) / ? AS INTEGER), {summed} FROM records WHERE {{during}} GROUP BY 1"  # noqa: S608
        found = {min(place, parts - 1): rest for place, *rest in self._ask(query, since, width)}
        spans = (found.get(place, (0, 0, 0.0)) for place in range(parts))
        names = ("requests", "failed", "cost_usd")
        return [{"since": since + place * width, **dict(zip(names, span, strict=True))} for place, span in enumerate(spans)]

    def by_llm(self) -> list[dict[str, Any]]:
        """For each LLM whose answer was served (None: a synthesis): requests, their share, USD a request, mean seconds, audits."""
        query = """SELECT llm, count(*), avg(cost_usd), avg(latency_s), sum(source = 'audit'), avg(CASE source WHEN 'audit' THEN score END)
            FROM records LEFT JOIN outcomes ON record_id = id WHERE status = 'ok' AND {during} GROUP BY llm ORDER BY 2 DESC"""
        names = ("llm", "requests", "mean_usd", "mean_s", "audited", "audited_quality")
        rows = [dict(zip(names, row, strict=True)) for row in self._ask(query)]
        answered = sum(row["requests"] for row in rows)
        return [row | {"share": row["requests"] / answered} for row in rows]

    def promised(self) -> list[dict[str, Any]]:
        """The mean score of each LLM in each domain that callers named (None: unnamed), over the newest MOST_SCORED scored records."""
        query = f"""SELECT domain, llm.value, count(*), avg(score.value) FROM
            (SELECT domain, roster, scores FROM records WHERE {ROUTED} AND {{during}} ORDER BY number DESC LIMIT {MOST_SCORED}) AS scored,
            json_each(scored.roster) AS llm, json_each(scored.scores) AS score WHERE llm.key = score.key GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608
        return [dict(zip(("domain", "llm", "queries", "quality"), row, strict=True)) for row in self._ask(query)]

    def savings(self, baseline: str, price: Price) -> Savings:
        """Against `baseline` at `price`, on the newest MOST_REPRICED routed requests."""
        newest = f"FROM (SELECT * FROM records WHERE {ROUTED} AND {{during}} ORDER BY number DESC LIMIT {MOST_REPRICED}) AS records"  # noqa: S608
        ((spent, of, answered),) = self._ask(f"SELECT total(cost_usd), count(*), coalesce(sum(status = 'ok'), 0) {newest}")
        tokens = self._ask(f"SELECT {PROMPT}, {SERVED_OUTPUT} {newest} WHERE status = 'ok'") if price.known else []
        usd = sum(price.cost(int(read), int(written)) for read, written in tokens) if price.known else None
        return Savings(baseline, usd, spent, None if usd is None else usd - spent, answered, of)

    def _latency(self, answered: int, share: float) -> float | None:
        place = min(int(share * answered), answered - 1)
        query = "SELECT latency_s FROM records WHERE status = 'ok' AND {during} ORDER BY latency_s LIMIT 1 OFFSET ?"
        return float(self._ask(query, place, first=False)[0][0]) if answered else None

    def _ask(self, query: str, *values: Any, first: bool = True) -> list[tuple[Any, ...]]:
        """Rows of `query`, `{during}` filled in. first: its own values come before the two of the time."""
        whole = query.format(during="created_at >= ? AND created_at < ?")
        given = (*values, *self._during) if first else (*self._during, *values)
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
                return connection.execute(whole, given).fetchall()
        except sqlite3.Error as exc:
            raise RecordsRefused(f"{self._path}: records cannot be read ({exc}).", next_step="Free the file's lock, or try again.") from exc


def best_single(promised: Sequence[Mapping[str, Any]], known: set[str]) -> str | None:
    """The LLM of `known` with the best mean score over all domains, which a team without routing would ask; None where none is scored."""
    weights: dict[str, tuple[float, int]] = {}
    for row in promised:
        total, queries = weights.get(row["llm"], (0.0, 0))
        weights[row["llm"]] = (total + row["quality"] * row["queries"], queries + row["queries"])
    means = {llm: total / queries for llm, (total, queries) in weights.items() if llm in known}
    return max(means, key=lambda llm: means[llm], default=None)
