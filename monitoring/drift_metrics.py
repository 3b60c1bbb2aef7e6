"""Evidently metrics of our own, part of its door: only `monitoring.evidently_report` imports this module, which imports Evidently at once.

Evidently keeps a metric by its class, so the classes stand at a module's top and not inside a function.
"""

import json
from typing import Any

from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric
from evidently.legacy.renderers.html_widgets import CounterData, WidgetSize, counter, table_data, text_widget
from evidently.metrics.column_statistics import distribution

from monitoring.drift import report_tables


class VerdictKind(SingleValueMetric):  # type: ignore[misc]
    """The verdict as a number a dashboard can draw (`report_tables.SEVERITY`), what it comes to in words, and the groups of the unknown."""


class VerdictKindCalculation(SingleValueCalculation[VerdictKind]):  # type: ignore[misc]
    """Reads the columns; every row holds the same verdict."""

    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:  # noqa: ARG002 (Evidently's signature)
        """The severity, with the first screen as text and table."""
        first = current_data.as_dataframe().iloc[0]
        result = self.result(report_tables.SEVERITY[first[report_tables.VERDICT]])
        result.widget = [text_widget(title=f"Verdict: {first[report_tables.VERDICT]}", text=first[report_tables.SUMMARY])]
        if rows := json.loads(first[report_tables.GROUPS]):
            title = "What the unknown is, with its most central queries"
            result.widget.append(table_data(title=title, column_names=list(report_tables.GROUP_COLUMNS), data=rows))
        return result

    def display_name(self) -> str:
        """As it reads in the report."""
        return "Verdict"


class Figure(SingleValueMetric):  # type: ignore[misc]
    """A figure of the whole window that we computed (drift p-values, estimated quality ...), carried in a column of its own."""

    figure: str


class FigureCalculation(SingleValueCalculation[Figure]):  # type: ignore[misc]
    """Reads the column; every row holds the same value."""

    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:  # noqa: ARG002 (Evidently's signature)
        """The figure, as a counter."""
        value = float(current_data.as_dataframe()[self.metric.figure].iloc[0])
        return _counted(self.result(value), self.display_name(), f"{value:.3g}")

    def display_name(self) -> str:
        """As it reads in the report."""
        return str(self.metric.figure)


class TrafficStatistic(SingleValueMetric):  # type: ignore[misc]
    """Mean or 95th percentile of a column that only traffic has: cost, latency, tokens, text descriptors."""

    column: str
    statistic: str


class TrafficStatisticCalculation(SingleValueCalculation[TrafficStatistic]):  # type: ignore[misc]
    """Leaves the reference alone: held-out queries have no cost or latency here."""

    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:  # noqa: ARG002 (Evidently's signature)
        """The statistic; a mean with the column's distribution."""
        column = current_data.column(self.metric.column)
        if self.metric.statistic != "mean":
            value = float(column.data.quantile(0.95))
            return _counted(self.result(value), self.display_name(), f"{value:.4g}")
        result = self.result(float(column.data.mean()))
        result.widget = distribution(f"{self.display_name()}: {result.value:.4g}", column, None)
        return result

    def display_name(self) -> str:
        """As it reads in the report."""
        return f"{self.metric.column}, {'mean' if self.metric.statistic == 'mean' else '95th percentile'}"


class NovelShare(SingleValueMetric):  # type: ignore[misc]
    """Share of queries farther from training than the threshold: of all queries (`domain` "all") or of one domain."""

    domain: str


class NovelShareCalculation(SingleValueCalculation[NovelShare]):  # type: ignore[misc]
    """For all queries it draws the table of domains as well."""

    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:  # noqa: ARG002 (Evidently's signature)
        """The share, in [0, 1]."""
        table = current_data.as_dataframe()
        everything = self.metric.domain == "all"
        rows = table if everything else table[table[report_tables.DOMAIN] == self.metric.domain]
        share = float(rows[report_tables.NOVEL].mean())
        result = _counted(self.result(share), self.display_name(), f"{share:.1%} of {len(rows)} queries")
        if everything:
            result.widget = [*result.widget, _domain_table(table)]
        return result

    def display_name(self) -> str:
        """As it reads in the report."""
        return "Novel share of all queries" if self.metric.domain == "all" else f"Novel share: {self.metric.domain}"


def _counted(result: Any, title: str, value: str) -> Any:
    result.widget = [counter(title="", counters=[CounterData(label=title, value=value)], size=WidgetSize.HALF)]
    return result


def _domain_table(table: Any) -> Any:
    """Domains, most novel first, with the mean promise and the share of audited answers that were mispredicted."""
    rows = []
    for name, members in table.groupby(report_tables.DOMAIN):
        wrong = members[report_tables.WRONG].mean()
        rows.append(
            [
                str(name),
                len(members),
                f"{members[report_tables.NOVEL].mean():.1%}",
                f"{members[report_tables.PROMISED].mean():.3f}",
                int(members[report_tables.AUDITED].sum()),
                "" if wrong != wrong else f"{wrong:.1%}",  # noqa: PLR0124 (NaN: nothing audited)
                members[report_tables.NOVEL].mean(),
            ]
        )
    rows.sort(key=lambda row: -row[-1])
    columns = ["domain", "queries", "novel (out of domain)", "mean promise", "audited", "mispredicted"]
    return table_data(title="Out-of-domain share per domain", column_names=columns, data=[row[:-1] for row in rows])
