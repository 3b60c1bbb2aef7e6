"""Removes records that are older than the operator keeps them: at the start, then every hour."""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from mixture.llm import LLM
from monitoring.errors import RecordsRefused
from monitoring.records.store import RecordStore
from monitoring.savings.ledger import Ledger
from monitoring.savings.savings import asked_for
from serving.events import Events, RecordsForgotten

EVERY_S = 3600.0
DAY_S = 86_400.0
log = structlog.get_logger("serving")


async def forget_old(records: RecordStore, llms: Callable[[], Sequence[LLM]], days: float, events: Events) -> None:
    """Runs until it is cancelled; what it cannot remove now it tries again in the next round. The ledger keeps their sums."""
    ledger = Ledger(records)
    while True:
        try:
            await asyncio.to_thread(lambda: ledger.book(asked_for(ledger, llms())))
            removed = await asyncio.to_thread(records.forget, time.time() - days * DAY_S)
        except RecordsRefused as exc:
            log.warning("records_not_forgotten", error=str(exc))
        else:
            if removed:
                events.emit(RecordsForgotten(removed))
        await asyncio.sleep(EVERY_S)
