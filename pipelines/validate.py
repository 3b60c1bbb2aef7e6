"""Checks the tables by their rules: `python -m pipelines.validate` -> build/validation/ (report.json, report.html, Data Docs).

The only door to Great Expectations. A broken critical rule ends in exit code 1, with the rule and the rows named; a warning is reported.
"""

import logging
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import track

from mixture.llm import LLM
from pipelines import params, query_pool, splits, tables
from pipelines.project import Project, stage_settings
from pipelines.training_labels import one_label_each
from pipelines.validation import derived, history, report, suspects
from pipelines.validation.report import SHOWN, Finding
from pipelines.validation.rules import IDS, Rule, rules
from registry import pool
from scorer.errors import RouteMoAError


def frames(
    queries: pd.DataFrame, answers: pd.DataFrame, labels: pd.DataFrame, llms: Sequence[LLM], split_of: pd.Series
) -> dict[str, pd.DataFrame]:
    """Every table that has rules, by its name."""
    in_pool = set(queries["query_id"])
    shares = derived.coverage(labels, answers, llms, len(queries))
    return {
        "queries": queries,
        "answers": answers.assign(query_known=answers["query_id"].isin(in_pool)),
        "labels": labels.assign(query_known=labels["query_id"].isin(in_pool)),
        "active": shares[shares["status"] == "active"].reset_index(drop=True),
        "candidates": shares[shares["status"] == "candidate"].reset_index(drop=True),
        "balance": derived.balance(labels, queries),
        "agreement": derived.agreement(labels),
        "likenesses": derived.likenesses(queries, split_of),
        "suspects": suspects.find(one_label_each(labels, queries.drop_duplicates("query_id")), queries, answers),
    }


def check(by_name: Mapping[str, pd.DataFrame], wanted: Sequence[Rule], docs: Path) -> list[Finding]:
    """One finding a rule, in the rules' order; Great Expectations' own pages go to the folder `docs`."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    context.delete_data_docs_site("local_site")
    context.add_data_docs_site(site_name="local", site_config=_site(docs))
    source = context.data_sources.add_pandas("tables")
    findings: dict[int, Finding] = {}
    by_number = dict(enumerate(wanted))
    for table in track(by_name, "validate", disable=not sys.stdout.isatty()):
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("all")
        expectations = [_expectation(rule, number) for number, rule in by_number.items() if rule.table == table]
        suite = context.suites.add(gx.ExpectationSuite(name=table, expectations=expectations))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=table, data=batch, suite=suite))
        checkpoint = gx.Checkpoint(
            name=table,
            validation_definitions=[definition],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs", site_names=["local"])],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": list(IDS[table])},
        )
        run = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": by_name[table]})
        for result in (each for ran in run.run_results.values() for each in ran.results):
            number = result.expectation_config.meta["rule"]
            findings[number] = _finding(by_number[number], result)
    return [findings[number] for number in sorted(findings)]


def _site(docs: Path) -> dict[str, Any]:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    return {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store, "site_index_builder": index}


def _expectation(rule: Rule, number: int) -> Any:
    """The rule as an object of Great Expectations; `number` finds it again in the results, which come in another order."""
    from great_expectations import expectations

    return getattr(expectations, rule.kind)(
        **rule.arguments, severity=rule.severity, description=rule.means, notes=rule.next_step, meta={"rule": number}
    )


def _finding(rule: Rule, result: Any) -> Finding:
    """A result in our words; a rule that could not be evaluated is broken, and says why."""
    details = result.result if isinstance(result.result, dict) else {}
    problem = result.exception_info or {}
    raised = problem.get("exception_message") or next(
        (each["exception_message"] for each in problem.values() if isinstance(each, dict) and each.get("exception_message")), None
    )
    index = details.get("unexpected_index_list") or []
    value = details.get("observed_value")
    return Finding(
        rule=rule,
        success=bool(result.success),
        broken=int(details.get("unexpected_count", 0) or not result.success),
        rows=[{name: _plain(row[name]) for name in sorted(row, key=lambda name: name not in IDS[rule.table])} for row in index[:SHOWN]],
        observed=f"not evaluated: {raised}" if raised else "" if value is None else str(value),
    )


def _plain(value: Any) -> Any:
    """A cell for JSON: numpy's numbers as Python's, to four figures; not-a-number as None."""
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _all_of(paths: Iterable[Path], schema: Any) -> pd.DataFrame:
    """The tables at `paths` that are there, one under the other."""
    parts = [tables.read_if_there(path, schema) for path in paths]
    whole: pd.DataFrame = pd.concat([part for part in parts if len(part)] or [schema.empty_table().to_pandas()], ignore_index=True)
    return whole


def main() -> None:
    """Reads pool, parameters and tables; prints every broken rule."""
    settings = stage_settings()
    project = Project(settings.home)
    try:
        llms = pool.load(settings.pool_file).active
        parsed = params.load(project.params)
        queries = query_pool.read(project)
        answers = _all_of((project.answers(llm.id) for llm in llms), tables.ANSWERS)
        labels = _all_of((project.labels(llm.id) for llm in llms), tables.LABELS)
        predefined = splits.read_predefined(project.recorded)
        split_of = splits.assign(queries.drop_duplicates("query_id"), parsed.assemble, predefined)
        by_name = frames(queries, answers, labels, llms, split_of)
        findings = check(by_name, rules([llm.id for llm in llms], parsed.validate_.min_coverage), project.validation / "data_docs")
        report.write(project.validation, findings, {name: len(frame) for name, frame in by_name.items()})
        history.keep(project.validation, project.validations, datetime.now(UTC))
        pairs = by_name["suspects"]
        tables.write(project.suspects, pairs[pairs["suspect"] == 1], tables.SUSPECTS)
        for finding in findings:
            if not finding.success and finding.rule.severity == "warning":
                print(f"warning: {report.sentence(finding)}")
        report.require(findings, project.validation / "report.html")
    except RouteMoAError as exc:
        sys.exit(str(exc))
    counts = f"{len(queries)} queries, {len(answers)} answers, {len(labels)} labels"
    print(f"{len(findings)} expectations on {counts} -> {project.name_of(project.validation)}/report.html")


if __name__ == "__main__":
    main()
