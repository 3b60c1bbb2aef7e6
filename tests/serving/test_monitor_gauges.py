"""What the monitor found reaches Prometheus under names that the alert rules use."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from monitoring import policy, watch
from monitoring.profile import ReferenceProfile
from monitoring.record import AUDIT, Outcome, Record
from monitoring.verdict import decide
from monitoring.window import measure
from serving import metrics, monitor_gauges

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
    path = folder / "latest.json"
    watch._write_latest(path, judged, None, now=watch.datetime(2026, 11, 1, tzinfo=watch.UTC), job=None)
    return path


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


def test_alert_rules_name_metrics_that_exist(tmp_path: Path) -> None:
    """A rule about a metric that nobody exports would never fire."""
    rules = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    used = {name for group in rules["groups"] for rule in group["rules"] for name in re.findall(r"routemoa_\w+", rule["expr"])}
    exported = set(re.findall(r"# TYPE (\w+)", metrics.Metrics().text().decode() + monitor_gauges.text(latest(tmp_path)).decode()))
    assert used <= exported


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus)")
def test_prometheus_reads_the_alert_rules() -> None:
    """Its own checker finds no fault in them."""
    checked = subprocess.run(
        ["promtool", "check", "rules", "deploy/prometheus/alerts.yaml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "5 rules found" in checked.stdout
