"""Past validations, failed ones too: `var/validations/TIME/` holds a report with its Data Docs, `index.html` a line for each."""

import json
import shutil
from datetime import datetime
from html import escape
from pathlib import Path

from scorer.atomic_write import replacing

KEPT = 50  # a report with its Data Docs is about a megabyte


def keep(report: Path, history: Path, at: datetime) -> Path:
    """Copies the folder `report` into `history`, where the oldest beyond KEPT go, and lists all in its page; returns the copy."""
    folder = history / at.strftime("%Y-%m-%dT%H-%M-%S")
    shutil.copytree(report, folder, dirs_exist_ok=True)
    past = sorted((path.parent for path in history.glob("*/report.json")), reverse=True)  # a copy that was cut off has none
    for old in past[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    with replacing(history / "index.html") as partial:
        partial.write_text(_page(past[:KEPT]), encoding="utf-8")
    return folder


def _page(past: list[Path]) -> str:
    rows = "".join(map(_row, past))
    head = "<tr><th>when (UTC)</th><th>failures</th><th>warnings</th><th>queries</th><th>labels</th><th></th></tr>"
    style = "body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem } td, th { text-align: left; padding: .3rem .8rem }"
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Validations</title><style>{style}</style>
<h1>Validations</h1><table>{head}{rows}</table></html>
"""


def _row(folder: Path) -> str:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    counts = (report["critical"], report["warnings"], report["rows"].get("queries", 0), report["rows"].get("labels", 0))
    cells = "".join(f"<td>{count:,}</td>" for count in counts)
    links = f'<a href="{folder.name}/report.html">report</a> <a href="{folder.name}/data_docs/index.html">Data Docs</a>'
    return f"<tr><td>{escape(folder.name)}</td>{cells}<td>{links}</td></tr>"
