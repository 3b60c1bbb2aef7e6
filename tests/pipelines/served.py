"""Records as the server keeps them, for tests of what reads them back."""

import asyncio
from pathlib import Path

import numpy as np

from monitoring.records.reference import Reference
from monitoring.records.store import Record, RecordStore


def serve(
    path: Path,
    *texts: str | None,
    outcome: float | None = None,
    reference: Reference | None = None,
    llm: str | None = "first",
    status: str = "ok",
    domain: str = "mathematics",
) -> None:
    """Keeps a record for each text (None: the operator keeps no text), with an outcome where one is given."""

    async def keep() -> None:
        store = RecordStore(path)
        for at, text in enumerate(texts):
            record = Record(
                id=f"{text}-{at}-{llm}-{outcome}-{reference}",
                created_at=1000.0 + at,
                virtual_model="routemoa",
                scorer_version="1",
                roster=("first", "second"),
                scores=(0.5, 0.5),
                embedding=np.array([1.0, 0.0], dtype=np.float32),
                decision={},
                llm=llm,
                cost_usd=0.0,
                latency_s=0.1,
                input_tokens=1,
                output_tokens=1,
                status=status,
                domain=domain,
                text=text,
            )
            await store.append(record)
            if outcome is not None:
                await store.report_outcome(record.id, outcome, "user", reference)
        await store.close()

    asyncio.run(keep())
