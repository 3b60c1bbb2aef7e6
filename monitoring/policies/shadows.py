"""What a version beside the champion would have decided for its traffic, beside what the champion did: agreement, money, value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from monitoring.policies.shadow_value import ShadowValue
from monitoring.quality import quality
from monitoring.quality.answers import Answers
from monitoring.quality.quality import Estimated
from monitoring.records.record import AUDIT
from monitoring.records.store import RecordStore

MOST = 20_000  # requests read, the latest first
CONFIDENCE = 0.95
PERCENT = 100
SELECT = f"""SELECT shadows.llm, promised, shadows.cost_usd, served_llm, served_promised, served_usd, same, alike, why_not, records.llm,
    CASE WHEN drawn = 1 THEN probability END, CASE WHEN source = '{AUDIT}' THEN outcomes.score END,
    coalesce(draws.domain, records.domain, 'unknown')
    FROM shadows JOIN records ON records.id = shadows.record_id LEFT JOIN outcomes ON outcomes.record_id = records.id
    LEFT JOIN draws ON draws.number = records.number
    WHERE served_version = ? AND shadows.scorer_version = ? AND scored_at >= ? ORDER BY records.number DESC LIMIT {MOST}"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Side:
    """One version's choices. promised: mean quality; usd: expected money of whom it asks first. Both over the same requests."""

    version: str
    promised: float | None
    usd: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """requests: the champion's, that the other version scored, too; not_scored: of these it could choose nobody for (why_not, counted).

    agreement: the share of the others on which both ask the same LLMs first. agreed: quality where the answer is the same whichever
    version decides, estimated from audits (promised: by the other version). why: what cannot be told of the rest.
    """

    requests: int
    not_scored: int
    why_not: Mapping[str, int]
    agreement: float | None
    champion: Side
    challenger: Side
    agreed: Estimated
    why: str
    by_llm: tuple[tuple[str, int, int], ...]

    def as_dict(self, everywhere: ShadowValue | None) -> dict[str, Any]:
        """JSON-ready. everywhere: what the challenger's choices are worth over all requests, as far as exploration tells."""
        told = everywhere is not None and not everywhere.why
        return {
            "requests": self.requests,
            "not_scored": self.not_scored,
            "why_not": dict(self.why_not),
            "agreement": self.agreement,
            "champion": asdict(self.champion),
            "challenger": asdict(self.challenger),
            "value": {
                "agreed": asdict(self.agreed),
                "off_policy": None if everywhere is None else everywhere.as_dict(),
                "why": "" if told else self.why,
            },
            "by_llm": [{"llm": llm, "champion": ours, "challenger": theirs} for llm, ours, theirs in self.by_llm],
        }


def compare(store: RecordStore, champion: str, challenger: str, since: float) -> Comparison:
    """Of the champion's requests since then (seconds since the epoch), at most the latest MOST. Blocks. Raises RecordsRefused."""
    rows = store.ask(SELECT, (champion, challenger, since))
    scored = [row for row in rows if row[0] is not None]
    same = [row for row in scored if row[6]]
    agreement = len(same) / len(scored) if scored else None
    agreed = _answers([row for row in same if row[7] and row[9] == row[3]], challenger)
    ours, theirs = Counter(row[3] for row in scored), Counter(row[0] for row in scored)
    llms = sorted(set(ours) | set(theirs), key=lambda llm: (-ours[llm] - theirs[llm], llm))
    return Comparison(
        requests=len(rows),
        not_scored=len(rows) - len(scored),
        why_not=Counter(row[8] for row in rows if row[0] is None),
        agreement=agreement,
        champion=Side(champion, _mean([row[4] for row in scored]), float(sum(row[5] for row in scored))),
        challenger=Side(challenger, _mean([row[1] for row in scored]), float(sum(row[2] for row in scored))),
        agreed=quality.estimate(*agreed.summed(), confidence=CONFIDENCE),
        why=_why(agreement, challenger),
        by_llm=tuple((llm, ours[llm], theirs[llm]) for llm in llms),
    )


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _why(agreement: float | None, version: str) -> str:
    if agreement is None:
        return "No request was scored by both versions yet."
    if agreement == 1:
        return ""
    return (
        f"On {1 - agreement:.0%} of requests they choose differently: what version {version}'s choices are worth there only exploration "
        "or a canary can tell."
    )


def _answers(rows: list[tuple[Any, ...]], version: str) -> Answers:
    """Served answers that are the other version's choice, too, with its promise as forecast."""
    numbers = np.array([[row[1], row[10], row[11], row[5]] for row in rows], dtype=np.float64).reshape(-1, 4)
    names = np.array([(row[12], row[9]) for row in rows], dtype=np.str_).reshape(-1, 2)
    return Answers(
        version_N=np.full(len(rows), version),
        domain_N=names[:, 0],
        llm_N=names[:, 1],
        key_N=np.full(len(rows), ""),
        forecast_N=numbers[:, 0],
        promised_N=numbers[:, 0],
        drawn_with_N=numbers[:, 1],
        grade_N=numbers[:, 2],
        opinion_N=np.full(len(rows), np.nan),
        usd_N=numbers[:, 3],
    )
