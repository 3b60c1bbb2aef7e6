"""What the monitor found reaches Prometheus under names that the alert rules use."""

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from monitoring import looks, watch
from monitoring.audits.audit_queue import AuditQueue, Opinion
from monitoring.drift import policy
from monitoring.drift.profile import ReferenceProfile
from monitoring.drift.verdict import decide
from monitoring.drift.window import measure
from monitoring.records.record import AUDIT, Draw, Outcome, Record
from monitoring.records.store import RecordStore
from registry.settings import Settings
from serving.worker import metrics, monitor_gauges

ROOT = Path(__file__).parents[2]


def latest(folder: Path) -> Path:
    """A look at fifteen audited records, written as the monitor writes it."""
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(60, 8)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    scores, names = np.full((20, 1), 0.5, np.float32), np.array(["a"] * 20)
    profile = ReferenceProfile(("one",), queries[:20], scores, names, queries[20:40], scores, names)
    made = {"decision": {}, "llm": "one", "cost_usd": 0.0, "latency_s": 0.1, "input_tokens": 1, "output_tokens": 1, "status": "ok"}
    records = [
        Record(f"r{at}", float(at), "routemoa", "1", ("one",), (0.5,), queries[40 + at], outcome=Outcome(1.0, AUDIT, 0.0), **made)
        for at in range(15)
    ]
    rules = policy.load(ROOT / "params.yaml")
    window = measure(records, profile, rules, scorer_version="1", index=0)
    judged = watch.JudgedWindow(window, decide(window.stats, rules), profile)
    settings = Settings(_env_file=None, home=folder)
    watch._keep(settings, judged, None, now=watch.datetime(2026, 11, 1, tzinfo=watch.UTC), job=None)
    return looks.folder(settings) / looks.LATEST


def families(text: bytes) -> dict[str, float]:
    """Sample name (with the kind it is of) -> value."""
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_last_look_is_gauges(tmp_path: Path) -> None:
    """Kind, share, quality and its interval as the monitor wrote them."""
    path = latest(tmp_path)
    stats = json.loads(path.read_text(encoding="utf-8"))["verdict"]["stats"]
    found = families(monitor_gauges.text(path))
    assert sum(found[f"routemoa_verdict{kind}"] for kind in monitor_gauges.KINDS) == 1
    assert found["routemoa_novel_share"] == stats["novel_share"]
    assert found["routemoa_audited"] == 15
    assert found["routemoa_estimated_quality_low"] == stats["quality"]["low"]


def test_before_the_first_look_there_is_nothing(tmp_path: Path) -> None:
    """No file, half a file and an earlier release's are no gauges and no error."""
    path = tmp_path / "latest.json"
    assert monitor_gauges.text(path) == b""
    for content in ('{"verdict": ', '{"verdict": null}', '{"verdict": {"kind": "keep", "stats": {}}}'):
        path.write_text(content, encoding="utf-8")
        assert monitor_gauges.text(path) == b""


def exported(folder: Path) -> set[str]:
    """The names of all samples that /metrics can have, those of histograms with their endings."""
    store = RecordStore(folder / "records.db")
    text = metrics.Metrics().text() + monitor_gauges.text(latest(folder)) + monitor_gauges.of_queue(store)
    names = set(re.findall(r"# TYPE (\w+)", text.decode()))
    return names | {f"{name}_{ending}" for name in names for ending in ("bucket", "sum", "count")}


def test_alert_rules_name_metrics_that_exist(tmp_path: Path) -> None:
    """A rule about a metric that nobody exports would never fire."""
    rules = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    used = {name for group in rules["groups"] for rule in group["rules"] for name in re.findall(r"routemoa_\w+", rule["expr"])}
    assert used <= exported(tmp_path)


def test_the_grafana_board_asks_for_metrics_that_exist(tmp_path: Path) -> None:
    """Every query of every panel; panels share no place and no id, and all are of the data source that a person chooses."""
    board = json.loads((ROOT / "deploy" / "grafana" / "routemoa.json").read_text(encoding="utf-8"))
    queries = [target for panel in board["panels"] for target in panel["targets"]]
    used = {name for query in queries for name in re.findall(r"routemoa_\w+", query["expr"])}
    assert len(used) > 10
    assert used <= exported(tmp_path)
    assert {query["datasource"]["uid"] for query in queries} == {"${datasource}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_queue_and_what_judges_cost_are_gauges(tmp_path: Path) -> None:
    """Of today alone, and nothing where the record file is gone."""
    rng = np.random.default_rng(0)
    made = {"decision": {}, "llm": "one", "cost_usd": 0.0, "latency_s": 0.1, "input_tokens": 1, "output_tokens": 1, "status": "ok"}
    store = RecordStore(tmp_path / "records.db", clock=lambda: 90_000.0)
    asyncio.run(store.append(Record("r", 1.0, "routemoa", "1", ("one",), (0.5,), rng.normal(size=8).astype(np.float32), **made)))
    store.change("UPDATE records SET text = ?", [("What is law?",)])
    store.decide_draws([Draw("r", 0.5, drawn=True)])
    AuditQueue(store).opine({"r": Opinion("judge:a", 0.5, 0.25, 1.0)})
    AuditQueue(store).opine({"r": Opinion("judge:b", 0.5, 0.5, 89_000.0)})
    found = families(monitor_gauges.of_queue(store))
    assert (found["routemoa_audits_waiting"], found["routemoa_judge_usd_today"]) == (1, 0.5)
    for path in tmp_path.glob("records.db*"):
        path.unlink()
    assert monitor_gauges.of_queue(store) == b""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus)")
def test_prometheus_reads_the_alert_rules() -> None:
    """Its own checker finds no fault in them."""
    checked = subprocess.run(
        ["promtool", "check", "rules", "deploy/prometheus/alerts.yaml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "6 rules found" in checked.stdout


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus)")
def test_prometheus_reads_the_boards_queries(tmp_path: Path) -> None:
    """Each of them as a rule."""
    board = json.loads((ROOT / "deploy" / "grafana" / "routemoa.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = [{"record": f"board:query{at}", "expr": query} for at, query in enumerate(queries)]
    with (tmp_path / "rules.yaml").open("w", encoding="utf-8") as file:
        YAML().dump({"groups": [{"name": "board", "rules": rules}]}, file)
    checked = subprocess.run(["promtool", "check", "rules", str(tmp_path / "rules.yaml")], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
