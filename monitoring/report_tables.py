"""The tables an Evidently report is drawn from: one row a query, of recent traffic and of the scorer's held-out queries."""

import numpy as np
import pandas as pd

from monitoring import groups
from monitoring.misprediction import ADEQUATE
from monitoring.novelty import Novelty
from monitoring.profile import ReferenceProfile
from monitoring.record import is_audited
from monitoring.verdict import Verdict
from monitoring.window import Window, WindowStats

NOVELTY, NOVEL, DOMAIN = "novelty", "novel", "domain"
PROMISED, OUTCOME, AUDITED, WRONG = "promised", "outcome", "audited", "mispredicted"
PROMISED_LABEL, OUTCOME_LABEL = "promised adequate", "adequate"
COST, LATENCY, TOKENS = "cost (USD)", "latency (s)", "output tokens"
VERDICT, REASONS = "verdict", "reasons"
SEVERITY = {"too-little-data": 0, "keep": 1, "watch": 2, "retrain": 3}
QUERY_P, NOVELTY_P, SCORE_P = "query drift p", "novelty p", "score drift p (smallest)"


def score_column(llm: str) -> str:
    """The column of an LLM's scores."""
    return f"score {llm}"


def recent(window: Window, novelty: Novelty, verdict: Verdict) -> pd.DataFrame:
    """One row a record of the window. A figure of the whole window has a column of its own and stands in every row of it."""
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
    unknown = ["\n\n".join(groups.lines(group)) for group in window.groups]
    return table.assign(**figures(window.stats), **{VERDICT: verdict.kind, REASONS: "\n\n".join([*verdict.reasons, *unknown])})


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
    """The figures of the whole window, by the names they have in the report and on the dashboard; those that do not exist are left out."""
    values: dict[str, float | None] = {}
    if stats.shift is not None:
        adjusted = stats.shift.adjusted
        values |= {QUERY_P: adjusted["queries"], NOVELTY_P: adjusted["novelty"]}
        values[SCORE_P] = min((p for name, p in adjusted.items() if name.startswith("score ")), default=1.0)
    if stats.quality is not None:
        values["estimated quality"] = stats.quality.value
    if (wrong := stats.mispredictions) is not None:
        values |= {
            "mispredicted share": wrong.share,
            "calibration error (ECE)": wrong.ece,
            "Brier score": wrong.brier,
            "AUROC of promises": wrong.auroc,
        }
    values["failed share"] = stats.failed / stats.n if stats.n else None
    return {name: value for name, value in values.items() if value is not None}
