"""The Evidently door: draws a window as an Evidently report (HTML, JSON) and files it in the Evidently workspace with its dashboard.

Evidently takes seconds to import: so only to build a report. What decides is `monitoring.drift.drift_tests`, never Evidently's embedding
defaults: EmbeddingsDrift always runs a t-SNE, over a minute for a thousand queries.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from mixture.llm import LLM
from monitoring.drift import report_tables
from monitoring.drift.novelty import Novelty
from monitoring.drift.profile import ReferenceProfile
from monitoring.drift.verdict import Verdict
from monitoring.drift.window import Window
from monitoring.errors import ReportFailed
from monitoring.quality.quality import LEAST_AUDITS
from monitoring.records.traffic import best_single
from registry import pool
from registry.errors import PoolRefused
from registry.settings import Settings
from scorer.atomic_write import replacing

DASHBOARD = "Traffic"
WINDOW = "window"  # metadata of a run: scorer version and index of the window it is of
LATEST = ".latest.json"  # in the workspace: of which window the runs are that were filed last


@dataclass(frozen=True, slots=True)
class Report:
    """Where a report lies: HTML pages that need no network, their figures as JSON, and its run in the Evidently workspace.

    mispredictions: a second page, on the audited records; None where there are fewer than LEAST_AUDITS.
    """

    html: Path
    json: Path
    mispredictions: Path | None
    project: str
    run: str


def ui_command(settings: Settings, port: int) -> list[str]:
    """The command that serves the Evidently workspace on 127.0.0.1:`port`; DO_NOT_TRACK=1 belongs in its environment."""
    workspace = settings.evidently_workspace
    workspace.mkdir(parents=True, exist_ok=True)
    return [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "evidently.cli",
        "ui",
        "--workspace",
        str(workspace),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]


def write(window: Window, verdict: Verdict, profile: ReferenceProfile, settings: Settings, *, now: datetime) -> Report:
    """Builds the report of `window`, saves it in the folder of reports and adds it to the workspace. Raises ReportFailed."""
    if window.novelty is None:
        raise ReportFailed("No records to report on.", next_step="Send queries through the server first.")
    folder = settings.report_pages
    name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    with _evidently():
        table = report_tables.recent(window, window.novelty, verdict, _baseline(window, settings.pool_file))
        runs = [_traffic(table, window, window.novelty, profile, metadata=_metadata(verdict), now=now)]
        if len(rows := report_tables.audited(table)) >= LEAST_AUDITS:
            runs.append(_mispredictions(rows, verdict, now))
        folder.mkdir(parents=True, exist_ok=True)
        pages = [folder / f"{name}{suffix}.html" for suffix in ("", "-mispredictions")][: len(runs)]
        for run, page in zip(runs, pages, strict=True):
            _save(run, page)
        project, ids = _file(runs, settings, of_window=f"{window.stats.scorer_version}/{window.stats.index}")
    return Report(pages[0], pages[0].with_suffix(".json"), pages[1] if len(pages) > 1 else None, project, ids[0])


def _baseline(window: Window, pool_file: Path) -> LLM | None:
    """The ledger's choice by the promises of this window; None where no price is known or the pool cannot be read."""
    roster, records = window.records[0].roster, window.records
    means_L = np.mean([record.scores for record in records], axis=0)
    promised = [{"llm": llm, "queries": len(records), "quality": float(mean)} for llm, mean in zip(roster, means_L, strict=True)]
    try:
        return best_single(promised, pool.load(pool_file))
    except PoolRefused:
        return None


@contextmanager
def _evidently() -> Iterator[None]:
    """Keeps Evidently's telemetry off and its warnings quiet, and raises what goes wrong inside it as ReportFailed."""
    import warnings

    os.environ.setdefault("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of its dependencies, divisions by zero on constant columns
        try:
            yield
        except (ArithmeticError, LookupError, TypeError, ValueError, OSError, ImportError, AttributeError) as exc:
            raise ReportFailed(
                f"Evidently could not make the report ({type(exc).__name__}: {exc}).", next_step="Check the disk; report it."
            ) from exc


def _traffic(
    table: pd.DataFrame, window: Window, novelty: Novelty, profile: ReferenceProfile, *, metadata: dict[str, str], now: datetime
) -> Any:
    """Query drift, novelty per domain, score drift per LLM, quality, cost and latency."""
    from evidently import DataDefinition, Dataset
    from evidently import Report as EvidentlyReport
    from evidently.descriptors import TextLength, WordCount
    from evidently.metrics import ValueDrift
    from evidently.tests import gte, lte

    from monitoring.drift_metrics import Figure, NovelShare, TrafficStatistic, VerdictKind

    scores = [report_tables.score_column(llm) for llm in profile.roster]
    compared = [*scores, report_tables.NOVELTY, report_tables.NOVEL]
    served = [report_tables.COST, report_tables.LATENCY, report_tables.TOKENS]
    served += [report_tables.SAVED] if report_tables.SAVED in table else []
    descriptors = [TextLength("text", alias="text length"), WordCount("text", alias="words")] if "text" in table else []
    recent = Dataset.from_pandas(
        table,
        data_definition=DataDefinition(
            numerical_columns=[*compared, *served, report_tables.PROMISED],
            categorical_columns=[report_tables.DOMAIN],
            text_columns=["text"] if descriptors else [],
        ),
        descriptors=descriptors,
    )
    reference = Dataset.from_pandas(
        report_tables.held_out(profile, novelty),
        data_definition=DataDefinition(numerical_columns=compared, categorical_columns=[report_tables.DOMAIN]),
    )
    alpha = window.stats.alpha
    tested = {report_tables.QUERY_P, report_tables.NOVELTY_P, report_tables.SCORE_P}
    metrics = [
        VerdictKind(),
        *(Figure(figure=name, tests=[gte(alpha)] if name in tested else None) for name in report_tables.figures(window.stats)),
        NovelShare(domain="all", tests=[lte(window.stats.novel_expected * 2)]),
        # by name: the UI gives colours in the order in which series first appear
        *(NovelShare(domain=name) for name in sorted(domain.name for domain in window.stats.domains)),
        ValueDrift(column=report_tables.NOVELTY, method="ks", threshold=alpha),
        *(ValueDrift(column=column, method="ks", threshold=alpha / len(scores)) for column in scores),
        *(TrafficStatistic(column=column, statistic=statistic) for column in served for statistic in ("mean", "p95")),
        *(TrafficStatistic(column=alias, statistic="mean") for alias in (("text length", "words") if descriptors else ())),
    ]
    return EvidentlyReport(metrics).run(
        recent, reference, timestamp=now, name="traffic", tags=["traffic", metadata["verdict"]], metadata=metadata
    )


def _mispredictions(rows: pd.DataFrame, verdict: Verdict, now: datetime) -> Any:
    """Classification quality of "the scorer promises an adequate answer" on audited records."""
    from evidently import BinaryClassification, DataDefinition, Dataset
    from evidently import Report as EvidentlyReport
    from evidently.metrics import Accuracy, F1Score, Precision, Recall, RocAuc

    task = BinaryClassification(
        target=report_tables.OUTCOME_LABEL,
        prediction_labels=report_tables.PROMISED_LABEL,
        prediction_probas=report_tables.PROMISED,
        pos_label=1,
    )
    labels = [report_tables.OUTCOME_LABEL, report_tables.PROMISED_LABEL]
    data = Dataset.from_pandas(
        rows, data_definition=DataDefinition(classification=[task], categorical_columns=labels, numerical_columns=[report_tables.PROMISED])
    )
    metrics = [Accuracy(conf_matrix=True), Precision(), Recall(), F1Score()]
    if rows[report_tables.OUTCOME_LABEL].nunique() > 1:  # a rank needs both kinds of outcome
        metrics.append(RocAuc())
    return EvidentlyReport(metrics).run(data, timestamp=now, name="mispredictions", tags=["mispredictions"], metadata=_metadata(verdict))


def _metadata(verdict: Verdict) -> dict[str, str]:
    stats = verdict.stats
    window = f"{stats.scorer_version}/{stats.index}"
    return {"verdict": verdict.kind, "scorer_version": stats.scorer_version, WINDOW: window, "reasons": " ".join(verdict.reasons)}


def _save(run: Any, page: Path) -> None:
    with replacing(page) as partial:
        run.save_html(str(partial))
    run.save_json(str(page.with_suffix(".json")))


def _file(runs: list[Any], settings: Settings, *, of_window: str) -> tuple[str, list[str]]:
    """Adds `runs` to the scorer's project in the workspace, made with its dashboard if it is not there; returns their ids.

    They replace the runs of earlier looks at the same window, so that the dashboard's points share no record.
    """
    from evidently.ui.workspace import Workspace

    folder = settings.evidently_workspace
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        workspace = Workspace.create(str(folder))
        existing = [project for project in workspace.list_projects() if project.name == settings.scorer_name]
        project = existing[0] if existing else _project(workspace, settings.scorer_name)
        for earlier in _runs_of(folder, of_window):
            if earlier in {str(each) for each in workspace.list_runs(project.id)}:
                workspace.delete_run(project.id, earlier)
        added = [str(workspace.add_run(project.id, run, include_data=False).id) for run in runs]
        with replacing(folder / LATEST) as partial:
            partial.write_text(json.dumps({WINDOW: of_window, "runs": added}), encoding="utf-8")
        return str(project.id), added


def _runs_of(folder: Path, window: str) -> list[str]:
    """The runs that were filed last, where they are of this window."""
    try:
        last = json.loads((folder / LATEST).read_text(encoding="utf-8"))
        return [str(each) for each in last["runs"]] if last[WINDOW] == window else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _project(workspace: Any, name: str) -> Any:
    """A project whose dashboard follows drift, novelty, quality, cost and latency from run to run."""
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import bar_plot_panel, counter_panel, line_plot_panel

    def figure(name: str) -> Any:
        return PanelMetric(legend=name, metric="Figure", metric_labels={"figure": name})

    def served(column: str, statistic: str) -> Any:
        return PanelMetric(legend=statistic, metric="TrafficStatistic", metric_labels={"column": column, "statistic": statistic})

    project = workspace.create_project(name, description="Traffic of the champion held against its training and held-out queries.")
    everything = PanelMetric(legend="all queries", metric="NovelShare", metric_labels={"domain": "all"})
    verdict = PanelMetric(legend=", ".join(f"{number} {kind}" for kind, number in report_tables.SEVERITY.items()), metric="VerdictKind")
    for panel in (
        bar_plot_panel(title="Verdict", values=[verdict]),  # a kind is no curve
        counter_panel(title="Novel share, last look", values=[everything], size="half"),
        counter_panel(title="Query drift p, last look", values=[figure(report_tables.QUERY_P)], size="half"),
        line_plot_panel(title="Novel (out-of-domain) share per domain", values=[PanelMetric(legend="{{domain}}", metric="NovelShare")]),
        line_plot_panel(
            title="Drift p-values, adjusted",
            values=[figure(p) for p in (report_tables.QUERY_P, report_tables.NOVELTY_P, report_tables.SCORE_P)],
        ),
        line_plot_panel(title="Mispredicted share", values=[figure("mispredicted share")], size="half"),
        line_plot_panel(
            title="Estimated quality, with its interval",
            values=[figure(name) for name in (report_tables.QUALITY, report_tables.QUALITY_LOW, report_tables.QUALITY_HIGH)],
            size="half",
        ),
        line_plot_panel(
            title="Latency (s)", values=[served(report_tables.LATENCY, "mean"), served(report_tables.LATENCY, "p95")], size="half"
        ),
        line_plot_panel(title="Cost per query (USD)", values=[served(report_tables.COST, "mean")], size="half"),
        line_plot_panel(
            title="Saved per query (USD), beside always asking the LLM with the best mean score",
            values=[served(report_tables.SAVED, "mean")],
            size="half",
        ),
    ):
        project.dashboard.add_panel(panel, tab=DASHBOARD)
    return project
