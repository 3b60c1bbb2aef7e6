"""A worker's sessions: where they cannot be read or kept, requests are answered as if they had none, and an event says so."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixture.decision import Decision
from mixture.llm import LLM, Message
from mixture.run.account import Account
from serving.errors import SessionsUnavailable
from serving.events import Events, SessionsInterrupted
from serving.request.harness_text import HarnessSettings
from serving.request.querytext import user_turn
from serving.session_settings import SessionSettings
from serving.sessions.beginning import Beginnings
from serving.sessions.naming import Name
from serving.sessions.store import Sessions
from serving.sessions.turn import SessionTurn, session_key
from serving.worker.metrics import Metrics

TEND_S = 5.0
TOLD_EVERY_S = 60.0


@dataclass
class Keeper:
    """One worker's; `store` is shared by all that use its file. clock: epoch seconds."""

    store: Sessions
    settings: SessionSettings
    rules: HarnessSettings
    events: Events
    metrics: Metrics
    clock: Callable[[], float] = time.time
    _told_at: float = float("-inf")

    async def open(self, scope: str, name: Name, messages: Sequence[Message], fields: Mapping[str, Any]) -> SessionTurn | None:
        """The session of a request of the key `scope`, None where it has none."""
        settings = self.settings
        if not settings.enabled or not (name.text or settings.recognise):
            return None
        beginnings, now = Beginnings.of(messages, fields), self.clock()
        keys = keys_of(scope, name, beginnings)
        try:
            kept = await self.store.find(keys) if keys else None
        except SessionsUnavailable as exc:
            self._tell(exc)
            return None
        return SessionTurn(self.store, settings, scope, name, beginnings, user_turn(messages, self.rules), kept, now)

    async def answered(self, turn: SessionTurn, decision: Decision, account: Account, llms: Mapping[str, LLM]) -> None:
        """Keeps what came of a request. llms: those that may have been asked, by id."""
        if decision.session is not None:
            self.metrics.sessions.labels(decision.session.why, str(decision.session.stayed).lower()).inc()
        try:
            await turn.answered(decision, account, llms)
        except SessionsUnavailable as exc:
            self._tell(exc)

    async def failed(self, turn: SessionTurn, account: Account) -> None:
        """Keeps what a request cost that brought no answer."""
        try:
            await turn.failed(account)
        except SessionsUnavailable as exc:
            self._tell(exc)

    async def follow(self) -> None:
        """Tends the store until cancelled."""
        while True:
            await asyncio.sleep(TEND_S)
            await self.store.tend()

    def _tell(self, error: SessionsUnavailable) -> None:
        if (now := time.monotonic()) - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            self.events.emit(SessionsInterrupted(str(error)))


def keys_of(scope: str, name: Name, beginnings: Beginnings) -> list[str]:
    """Where a request's session may be kept: by its own beginning, by its name.

    Under one name there may be several conversations (an agent's, and its helpers'), so the beginning comes first.
    """
    keys = [session_key(scope, "beginning", name.text, each) for each in beginnings.answered()]
    return keys + ([session_key(scope, "name", name.text)] if name.text else [])
