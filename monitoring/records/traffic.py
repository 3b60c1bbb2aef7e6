"""What was served lately, in figures, from wherever records are kept. Blocks: for people."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mixture.llm import LLM
from monitoring.records.store import RecordStore
from registry.pool import Pool

MOST_SCORED = 5_000  # records by which promised qualities are told
ROUTED = "roster <> '[]'"  # a request that named its LLM saved nothing
DURING = "created_at >= ? AND created_at < ?"
COUNTED = "count(*), coalesce(sum(CASE WHEN status = 'error' THEN 1 ELSE 0 END), 0), coalesce(sum(cost_usd), 0)"


class Traffic:
    """The records that were made from `since` until `until` (epoch seconds). Every method raises RecordsRefused."""

    def __init__(self, records: RecordStore, since: float, until: float) -> None:
        self._records, self._during = records, (since, until)

    def totals(self) -> dict[str, Any]:
        """Requests, failures, money, tokens, and the seconds that half and 95 % of the answered took at most (None without any)."""
        tokens = "coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)"
        routed = f"coalesce(sum(CASE WHEN {ROUTED} THEN 1 ELSE 0 END), 0)"
        names = ("requests", "failed", "cost_usd", "input_tokens", "output_tokens", "routed")
        row = self._ask(f"SELECT {COUNTED}, {tokens}, {routed} FROM records WHERE {DURING}")[0]  # noqa: S608
        totals = dict(
            zip(names, (float(value) if name == "cost_usd" else int(value) for name, value in zip(names, row, strict=True)), strict=True)
        )
        answered = int(totals["requests"]) - int(totals["failed"])
        return totals | {f"p{share}_s": self._latency(answered, share / 100) for share in (50, 95)}

    def over_time(self, parts: int) -> list[dict[str, Any]]:
        """`parts` equal spans of the time, in order: since when, requests, failures, USD. Spans without requests are there too."""
        since, until = self._during
        bounds = [since + (until - since) * place / parts for place in range(parts)]
        query = f"SELECT {COUNTED} FROM records WHERE {DURING}"  # noqa: S608
        counted = [self._records.ask(query, span)[0] for span in zip(bounds, [*bounds[1:], until], strict=True)]
        return [
            {"since": begins, "requests": int(requests), "failed": int(failed), "cost_usd": float(usd)}
            for begins, (requests, failed, usd) in zip(bounds, counted, strict=True)
        ]

    def by_llm(self) -> list[dict[str, Any]]:
        """For each LLM whose answer was served (None: a synthesis): requests, their share, USD a request, mean seconds, audits."""
        query = f"""SELECT llm, count(*), avg(cost_usd), avg(latency_s), sum(CASE WHEN source = 'audit' THEN 1 ELSE 0 END),
            avg(CASE WHEN source = 'audit' THEN score END)
            FROM records LEFT JOIN outcomes ON record_id = id WHERE {DURING} AND status = 'ok' GROUP BY llm ORDER BY 2 DESC"""  # noqa: S608
        names = ("llm", "requests", "mean_usd", "mean_s", "audited", "audited_quality")
        rows = [dict(zip(names, row, strict=True)) for row in self._ask(query)]
        answered = sum(row["requests"] for row in rows)
        return [row | {"audited": int(row["audited"]), "share": row["requests"] / answered} for row in rows]

    def promised(self) -> list[dict[str, Any]]:
        """The mean score of each LLM in each domain that callers named (None: unnamed), over the newest MOST_SCORED scored records."""
        query = f"SELECT domain, roster, scores FROM records WHERE {DURING} AND {ROUTED} ORDER BY number DESC LIMIT {MOST_SCORED}"  # noqa: S608
        scores: dict[tuple[str | None, str], list[float]] = defaultdict(list)
        for domain, roster, promised in self._ask(query):
            for llm, score in zip(orjson.loads(roster), orjson.loads(promised), strict=True):
                scores[domain, llm].append(score)
        ordered = sorted(scores, key=lambda each: (each[0] or "", each[1]))
        return [
            {"domain": domain, "llm": llm, "queries": len(found), "quality": sum(found) / len(found)}
            for domain, llm in ordered
            if (found := scores[domain, llm])
        ]

    def _latency(self, answered: int, share: float) -> float | None:
        if not answered:
            return None
        place = min(int(share * answered), answered - 1)
        query = f"SELECT latency_s FROM records WHERE {DURING} AND status = 'ok' ORDER BY latency_s LIMIT 1 OFFSET ?"  # noqa: S608
        return float(self._ask(query, place)[0][0])

    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of `query`, whose first two values are the time's."""
        return self._records.ask(query, (*self._during, *values))


def best_single(promised: Sequence[Mapping[str, Any]], pool: Pool) -> LLM | None:
    """Of the pool's LLMs whose price is known the one with the best mean score, which a team without routing would ask; None if unscored.

    promised: as `Traffic.promised` says it.
    """
    known = {llm.id: llm for llm in pool.active if llm.price.known}
    weights: dict[str, tuple[float, int]] = {}
    for row in promised:
        total, queries = weights.get(row["llm"], (0.0, 0))
        weights[row["llm"]] = (total + row["quality"] * row["queries"], queries + row["queries"])
    means = {llm: total / queries for llm, (total, queries) in weights.items() if llm in known}
    return known[max(means, key=lambda llm: means[llm])] if means else None
