"""A valid record, of which a test says what matters."""

from typing import Any

import numpy as np

from monitoring.records.store import Record


def record_of(id: str = "r-1", **changed: Any) -> Record:  # noqa: A002
    """One that was answered by `large`; keywords replace its values."""
    embedding = np.zeros(16, dtype=np.float32)
    embedding[0] = 1
    values: dict[str, Any] = {
        "id": id,
        "created_at": 1000.0,
        "virtual_model": "routemoa",
        "scorer_version": "1",
        "roster": ("small", "large"),
        "scores": (0.25, 0.75),
        "embedding": embedding,
        "decision": {"layers": [{"ran": ["large"]}], "stopped_because": "confident"},
        "llm": "large",
        "cost_usd": 0.002,
        "latency_s": 0.8,
        "input_tokens": 12,
        "output_tokens": 34,
        "status": "ok",
        "domain": None,
        "text": None,
    }
    return Record(**values | changed)
