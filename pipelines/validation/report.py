"""The report of a validation: report.json is the contract, report.html the same for people, without a single outside file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from pipelines.errors import ValidationFailed
from pipelines.validation.rules import Rule

SHOWN = 20  # rows a broken rule names in the report
NAMED = 5  # rows it names in the error


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one rule: how many rows break it and the first of them by their ids."""

    rule: Rule
    success: bool
    broken: int
    rows: Sequence[Mapping[str, Any]]
    observed: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        rule = asdict(self.rule)
        return {
            "table": rule["table"],
            "expectation": rule["kind"],
            "column": rule["arguments"].get("column") or ", ".join(rule["arguments"].get("column_list", [])) or None,
            "means": rule["means"],
            "severity": rule["severity"],
            "success": self.success,
            "broken": self.broken,
            "rows": [dict(row) for row in self.rows],
            "observed": self.observed,
            "next_step": rule["next_step"],
        }


def write(folder: Path, findings: Sequence[Finding], rows: Mapping[str, int]) -> None:
    """report.json and report.html in `folder`; `rows` is how many each table has."""
    report = {
        "success": not failures(findings),
        "critical": sum(not finding.success and finding.rule.severity == "critical" for finding in findings),
        "warnings": sum(not finding.success and finding.rule.severity == "warning" for finding in findings),
        "rows": dict(rows),
        "expectations": [finding.as_dict() for finding in findings],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(_page(report), encoding="utf-8")


def failures(findings: Sequence[Finding]) -> list[Finding]:
    """The critical rules that are broken."""
    return [finding for finding in findings if not finding.success and finding.rule.severity == "critical"]


def require(findings: Sequence[Finding], where: Path) -> None:
    """Raises ValidationFailed, naming each broken critical rule and its first rows."""
    broken = failures(findings)
    if broken:
        sentences = "\n".join(f"- {sentence(finding)}" for finding in broken)
        raise ValidationFailed(f"{len(broken)} critical expectations are broken:\n{sentences}\n", next_step=f"See {where}.")


def sentence(finding: Finding) -> str:
    """A broken rule in one line."""
    rows = "; ".join(" / ".join(str(value) for value in row.values()) for row in finding.rows[:NAMED])
    more = f" and {finding.broken - NAMED} more" if finding.broken > NAMED else ""
    detail = f": {rows}{more}" if rows else f" (found {finding.observed})" if finding.observed else ""
    return f"{finding.rule.table}: {finding.rule.means} [{finding.rule.kind}]{detail}. {finding.rule.next_step}"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
.ok { color: #1a7f37 } .critical { color: #b42318; font-weight: 600 } .warning { color: #9a6700; font-weight: 600 }
code { font-size: 13px } small { color: #555 }
"""


def _page(report: Mapping[str, Any]) -> str:
    """The report as one page: broken rules first."""
    verdict = "All critical expectations hold" if report["success"] else f"{report['critical']} critical expectations are broken"
    ordered = sorted(report["expectations"], key=lambda each: (each["success"], each["severity"] != "critical"))
    sizes = ", ".join(f"{count:,} {name}" for name, count in report["rows"].items())
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Validation</title><style>{_STYLE}</style>
<h1>{escape(verdict)}</h1><p>{report["warnings"]} warnings. Rows: {escape(sizes)}. <a href="data_docs/index.html">Data Docs</a></p>
<table><tr><th></th><th>table</th><th>rule</th><th>rows that break it</th></tr>{"".join(map(_row, ordered))}</table></html>
"""


def _row(each: Mapping[str, Any]) -> str:
    """One rule as a table row."""
    state = "ok" if each["success"] else each["severity"]
    rows = "<br>".join(escape(" / ".join(map(str, row.values()))) for row in each["rows"])
    advice = "" if each["success"] else f"<br><small>{escape(each['next_step'])}</small>"
    detail = "" if each["success"] else f"{each['broken']}<br><code>{rows or escape(each['observed'])}</code>"
    return (
        f'<tr><td class="{state}">{state}</td><td>{escape(each["table"])}</td>'
        f"<td>{escape(each['means'])} <code>{escape(each['expectation'])}</code>{advice}</td><td>{detail}</td></tr>"
    )
