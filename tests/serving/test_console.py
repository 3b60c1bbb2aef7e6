"""The console's script, run by Node over the least of a page: what stands there after a look at the server."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

SCORER = {"version": "1", "loaded_at": 1, "in_flight": 0, "roster": ["echo"], "refused": None, "events": []}
PAGE = """
class Node {
  style = {}; nodes = []; value = "rm-key"; href = "http://evidently:8001/";
  constructor(content) { this.content = content ?? ""; }
  append(...nodes) { this.nodes.push(...nodes); }
  replaceChildren(...nodes) { this.nodes = nodes; }
  addEventListener() {}
  get text() { return this.content + this.nodes.map(node => node.text).join(" "); }
  get links() { return [...(this.target ? [this.href] : []), ...this.nodes.flatMap(node => node.links)]; }
}
const elements = {};
globalThis.Node = Node;
globalThis.document = {
  getElementById: id => elements[id] ??= new Node(), createElement: () => new Node(), createTextNode: content => new Node(content),
};
globalThis.sessionStorage = {getItem: () => "rm-key", setItem: () => {}};
globalThis.setInterval = () => {};
globalThis.fetch = async path => ({ok: true, json: async () => ANSWERS[path]});
const shown = () => ({text: elements.verdict.text, links: elements.verdict.links, scorer: elements.scorer.text});
setTimeout(() => console.log(JSON.stringify(shown())), 50);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="the console's script runs in Node")
@pytest.mark.parametrize("report", [None, {"html": "/srv/var/reports/1.html", "project": "p-1", "run": "r-2"}])
def test_a_verdict_links_its_report(client: Any, report: dict[str, str] | None) -> None:
    """The report is named by its file and linked where Evidently shows it; a verdict without one stands alone."""
    latest = {"verdict": {"kind": "watch", "reasons": ["queries drift"]}, "report": report}
    answers = {"/admin/scorer": SCORER, "/admin/jobs": {"jobs": []}, "/admin/llms": {"llms": []}, "/admin/verdict": latest}
    script = re.search(r"<script>(.*)</script>", client.get("/").text, re.DOTALL)
    assert script is not None
    program = f"const ANSWERS = {json.dumps(answers)};{PAGE}{script[1]}"
    shown = json.loads(subprocess.run(["node", "-"], input=program, capture_output=True, text=True, check=True).stdout)
    assert "Version 1" in shown["scorer"]
    expected = ["watch", "queries drift", *([report["html"]] if report else [])]
    assert shown["text"] == " ".join(expected)
    assert shown["links"] == (["http://evidently:8001/projects/p-1/reports/r-2"] if report else [])
