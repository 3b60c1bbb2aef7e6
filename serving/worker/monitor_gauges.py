"""What the monitor last found and what waits for people, as Prometheus gauges: read from files, so no worker counts anything itself."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from monitoring.audits.audit_queue import AuditQueue
from monitoring.errors import RecordsRefused
from monitoring.records.store import RecordStore
from monitoring.savings.ledger import Ledger

DAY_S = 86_400.0
KINDS = ("too-little-data", "keep", "watch", "retrain")


def text(latest: Path) -> bytes:
    """The gauges in Prometheus' text format; nothing before the monitor's first look, or where the file is an earlier release's."""
    try:
        look = orjson.loads(latest.read_bytes())
        return generate_latest(_gauges(look))
    except (OSError, ValueError, KeyError, TypeError):
        return b""


def of_queue(records: RecordStore) -> bytes:
    """What waits in the audit queue, and what judges cost today, in the same format; nothing where the record file cannot be read."""
    registry, now, queue = CollectorRegistry(), records.now(), AuditQueue(records)
    try:
        waiting, usd = queue.count(), queue.spent_usd(now - now % DAY_S)
    except RecordsRefused:
        return b""
    Gauge("routemoa_audits_waiting", "Drawn answers that wait for a person's grade", registry=registry).set(waiting)
    Gauge("routemoa_judge_usd_today", "What judges cost today (UTC) that grade drawn answers", registry=registry).set(usd)
    return generate_latest(registry)


def of_ledger(records: RecordStore) -> bytes:
    """What is booked in the ledger of savings, in the same format; nothing where it cannot be read. Reads no record."""
    registry, ledger = CollectorRegistry(), Ledger(records)
    try:
        (spent, against), judged = ledger.totals(), ledger.judged_usd()
    except RecordsRefused:
        return b""
    Gauge("routemoa_ledger_spent_usd", "Booked of what requests cost, since the first one", registry=registry).set(spent)
    Gauge("routemoa_ledger_judges_usd", "Booked of what judges of audits cost", registry=registry).set(judged)
    would_be = Gauge("routemoa_ledger_baseline_usd", "What always asking this LLM would have cost", ["baseline"], registry=registry)
    saved = Gauge("routemoa_ledger_saved_usd", "Saved against always asking this LLM, net", ["baseline"], registry=registry)
    for llm, found in against.items():
        would_be.labels(llm).set(found.baseline_usd)
        saved.labels(llm).set(found.baseline_usd - found.spent_usd - judged)
    return generate_latest(registry)


def _gauges(look: dict[str, Any]) -> CollectorRegistry:
    registry, verdict = CollectorRegistry(), look["verdict"]
    stats = verdict["stats"]
    kind = Gauge("routemoa_verdict", "1 for what the monitor last said of the active scorer", ["kind"], registry=registry)
    for each in KINDS:
        kind.labels(each).set(each == verdict["kind"])
    values = {
        "routemoa_verdict_timestamp_seconds": ("When it said so", datetime.fromisoformat(look["at"]).timestamp()),
        "routemoa_novel_share": ("Share of queries unlike any training query", stats["novel_share"]),
        "routemoa_unknown_groups": ("Groups of such queries that are alike", len(look["groups"])),
        "routemoa_audited": ("Audits of the active scorer version", stats["promises"]["audits"]),
        "routemoa_promise_odds": ("Odds against promises being kept; 1 / monitor.alpha is beyond doubt", stats["promises"]["wealth"]),
    }
    if (quality := stats["quality"]) is not None:
        values["routemoa_estimated_quality"] = ("Mean quality of served answers, estimated", quality["value"])
        if quality["low"] is not None:
            values["routemoa_estimated_quality_low"] = ("Its interval, from", quality["low"])
            values["routemoa_estimated_quality_high"] = ("Its interval, to", quality["high"])
    for name, (meaning, value) in values.items():
        Gauge(name, meaning, registry=registry).set(value)
    return registry
