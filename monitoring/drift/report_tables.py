"""The tables an Evidently report is drawn from: one row a query, of recent traffic and of the scorer's held-out queries."""

import json

import numpy as np
import pandas as pd

from mixture.llm import LLM
from monitoring.drift import groups, summary
from monitoring.drift.misprediction import ADEQUATE
from monitoring.drift.novelty import Novelty
from monitoring.drift.profile import ReferenceProfile
from monitoring.drift.verdict import Verdict
from monitoring.drift.window import Window, WindowStats
from monitoring.quality.quality import LEAST_AUDITS
from monitoring.records.ledger_entry import NOBODY, UNKNOWN, Entry
from monitoring.records.record import Record, is_audited

NOVELTY, NOVEL, DOMAIN = "novelty", "novel", "domain"
PROMISED, OUTCOME, AUDITED, WRONG = "promised", "outcome", "audited", "mispredicted"
PROMISED_LABEL, OUTCOME_LABEL = "promised adequate", "adequate"
COST, LATENCY, TOKENS = "cost (USD)", "latency (s)", "output tokens"
VERDICT, SUMMARY, GROUPS = "verdict", "summary", "groups"
SAVED = "saved (USD)"
GROUP_COLUMNS = (
    *("group", "queries", "older, newer half", "promised", "audited at", "USD", "about", "nearest training queries"),
    "most central queries",
)
SEVERITY = {"too-little-data": 0, "keep": 1, "watch": 2, "retrain": 3}
QUALITY, QUALITY_LOW, QUALITY_HIGH = "estimated quality", "estimated quality, low", "estimated quality, high"
QUERY_P, NOVELTY_P, SCORE_P = "query drift p", "novelty p", "score drift p (smallest)"


def score_column(llm: str) -> str:
    """The column of an LLM's scores."""
    return f"score {llm}"


def recent(window: Window, novelty: Novelty, verdict: Verdict, baseline: LLM | None = None) -> pd.DataFrame:
    """One row a record of the window. A figure of the whole window has a column of its own and stands in every row of it.

    baseline: the LLM that savings are against, None where no price is known.
    """
    records = window.records
    table = pd.DataFrame({score_column(llm): [record.scores[index] for record in records] for index, llm in enumerate(records[0].roster)})
    table[NOVELTY] = novelty.distances_N
    table[NOVEL] = novelty.novel_N.astype(float)
    table[DOMAIN] = list(window.domains)
    table[PROMISED] = [record.predicted for record in records]
    table[OUTCOME] = [record.outcome.score if is_audited(record) and record.outcome else np.nan for record in records]
    table[AUDITED] = table[OUTCOME].notna().astype(float)
    wrong = ((table[PROMISED] >= ADEQUATE) != (table[OUTCOME] >= ADEQUATE)).astype(float)
    table[WRONG] = wrong.where(table[OUTCOME].notna())
    table[COST] = [record.cost_usd for record in records]
    table[LATENCY] = [record.latency_s for record in records]
    table[TOKENS] = [float(record.output_tokens) for record in records]
    if all(record.text is not None for record in records):
        table["text"] = [record.text for record in records]
    saved = {SAVED: [_saved(record, baseline) for record in records]} if baseline is not None else {}
    told = {VERDICT: verdict.kind, SUMMARY: summary.of(window, verdict).markdown(), GROUPS: json.dumps(_groups(window))}
    return table.assign(**figures(window.stats), **saved, **told)


def _saved(record: Record, baseline: LLM) -> float:
    """USD, as the ledger reckons it, less than 0 where asking `baseline` would have cost less."""
    entry = Entry(
        created_at=record.created_at,
        asked_by=record.asked_by or NOBODY,
        domain=record.domain or UNKNOWN,
        llm=record.llm,
        cost_usd=record.cost_usd,
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        answered=record.status == "ok",
        routed=bool(record.roster),
        tree=record.decision,
    )
    compared = entry.against(baseline)
    return compared.baseline_usd - compared.spent_usd


def _groups(window: Window) -> list[list[str]]:
    """A row of words and figures for each group of unknown queries, under GROUP_COLUMNS."""
    return [
        [
            group.name,
            f"{group.queries} ({group.share:.0%})",
            "{} then {}".format(*group.growth),
            f"{group.promised:.2f}",
            "none" if group.audited[1] is None else f"{group.audited[1]:.2f} of {group.audited[0]}",
            f"{group.cost_usd:.4f}",
            ", ".join(group.words or group.tags) or f"(nearest: {', '.join(group.nearest)})",
            ", ".join(f"{each.domain} {each.distance:.2f}" for each in group.near),
            " | ".join(groups.shown(each.text) if each.text is not None else each.decision_id for each in group.examples),
        ]
        for group in window.groups
    ]


def held_out(profile: ReferenceProfile, novelty: Novelty) -> pd.DataFrame:
    """One row a held-out query, in the columns of `recent` that it can have."""
    table = pd.DataFrame({score_column(llm): profile.held_scores_HL[:, index] for index, llm in enumerate(profile.roster)})
    table[NOVELTY] = novelty.held_out_distances_H
    table[NOVEL] = (novelty.held_out_distances_H > novelty.threshold).astype(float)
    table[DOMAIN] = profile.held_domains_H.tolist()
    return table


def audited(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `recent` that were audited, with promise and outcome as labels."""
    rows = table[table[OUTCOME].notna()]
    return pd.DataFrame(
        {
            PROMISED: rows[PROMISED],
            PROMISED_LABEL: (rows[PROMISED] >= ADEQUATE).astype(int),
            OUTCOME_LABEL: (rows[OUTCOME] >= ADEQUATE).astype(int),
        }
    ).reset_index(drop=True)


def figures(stats: WindowStats) -> dict[str, float]:
    """The figures of the whole window, by the names they have in the report and on the dashboard; those that do not exist are left out.

    So are those of fewer than LEAST_AUDITS audits: one graded answer says nothing of the others.
    """
    values: dict[str, float | None] = {}
    if stats.shift is not None:
        adjusted = stats.shift.adjusted
        values |= {QUERY_P: adjusted["queries"], NOVELTY_P: adjusted["novelty"]}
        values[SCORE_P] = min((p for name, p in adjusted.items() if name.startswith("score ")), default=1.0)
    wrong = stats.mispredictions if stats.mispredictions is not None and stats.mispredictions.n >= LEAST_AUDITS else None
    if stats.quality is not None and wrong is not None:
        values |= {QUALITY: stats.quality.value, QUALITY_LOW: stats.quality.low, QUALITY_HIGH: stats.quality.high}
    if wrong is not None:
        values |= {
            "mispredicted share": wrong.share,
            "calibration error (ECE)": wrong.ece,
            "Brier score": wrong.brier,
            "AUROC of promises": wrong.auroc,
        }
    values["failed share"] = stats.failed / stats.n if stats.n else None
    return {name: value for name, value in values.items() if value is not None}
