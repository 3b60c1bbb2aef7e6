"""One request of a session: what is known before it is decided, and what is kept once it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from mixture.choose.session import Held, Session
from mixture.client.protocol import Reply
from mixture.decision import Decision
from mixture.llm import LLM, Message
from mixture.run.account import Account
from serving.session_settings import SessionSettings
from serving.sessions import tool_loop
from serving.sessions.beginning import Beginnings
from serving.sessions.kept_session import Cached, KeptSession
from serving.sessions.naming import Name
from serving.sessions.store import Sessions

CACHE_1H_S = 3600.0


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """store: where the session is kept. scope: the id of the key that asks: no other key's session is ever found. kept: None for a new one.

    now: epoch seconds. user_turn: the place of the present one. version, scores: of the scorer for the present user turn.
    """

    store: Sessions
    settings: SessionSettings
    scope: str
    name: Name
    beginnings: Beginnings
    user_turn: int | None
    kept: KeptSession | None
    now: float
    version: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The session's."""
        return self.kept.id if self.kept else session_key(self.scope, "id", self.name.text, "" if self.name.text else self.beginnings.whole)

    @property
    def present(self) -> str:
        """The hash up to the present user turn."""
        return self.beginnings.hashes[-1 if self.user_turn is None else self.user_turn]

    @property
    def writes_cache(self) -> bool:
        """Whether the caller marks what is to be cached, which some vendors charge for."""
        return any(_is_marked(message) for message in self.beginnings.messages)

    @property
    def further(self) -> float:
        """Requests expected to follow this one for the same user turn: as the session showed; the setting counts as one turn."""
        if not self.beginnings.fields.get("tools"):
            return 0.0
        requests, turns = (self.kept.requests, self.kept.turns) if self.kept else (0, 0)
        return (self.settings.tool_rounds + requests - turns) / (1 + turns)

    def session(self) -> Session:
        """For the mixture."""
        kept = self.kept
        if kept is None or kept.llm is None:
            return Session(self.id, further=self.further, own_from=len(self.beginnings.messages))
        errors = tool_loop.errors_in_a_row(self.beginnings.messages)
        failing = errors >= self.settings.tool_errors
        held = self._held(kept, failing=failing)
        margin = 0.0 if failing else self.settings.margin
        return Session(kept.id, kept.llm, held, self.further, margin, kept.own_from)

    def kept_scores(self, version: str) -> Mapping[str, float] | None:
        """Those of the last turn that was scored by this version of the scorer."""
        return self.kept.scores if self.kept and self.kept.scores and self.kept.version == version else None

    def cached_tokens(self, llm: LLM) -> int:
        """About how many tokens of this request the LLM's endpoint has cached, and bills as such."""
        cached = self.kept.caches.get(llm.id) if self.kept else None
        if cached is None or cached.cold or cached.until <= self.now or llm.price.cache_read is None:
            return 0
        tokens = self.beginnings.tokens(cached.prefix)
        return tokens if tokens >= self.settings.cache_least_tokens else 0

    def scored(self, version: str, scores: Mapping[str, float]) -> "SessionTurn":
        """The same with the scores of this version of the scorer for its present user turn."""
        return replace(self, version=version, scores=scores)

    async def answered(self, decision: Decision, account: Account, llms: Mapping[str, LLM]) -> None:
        """Keeps what the next request needs to know. Raises SessionsUnavailable."""
        kept = self.kept or KeptSession(self.id, began=self.now)
        live = {llm: cached for llm, cached in kept.caches.items() if cached.until > self.now}
        read = {reply.llm: self._cached(reply, llms[reply.llm]) for reply in account.replies if reply.text or reply.raw}
        choice = decision.session
        session = replace(
            kept,
            llm=decision.llm,
            caches=live | read,
            version=self.version,
            scores=self.scores,
            present=self.present,
            requests=kept.requests + 1,
            turns=kept.turns + (kept.present != self.present),
            own_from=kept.own_from if decision.llm == kept.llm else len(self.beginnings.messages),
            spent_usd=kept.spent_usd + account.ledger.spent_usd + account.ledger.unsettled_usd,
            rebilled_usd=kept.rebilled_usd + (choice.rebilled_usd if choice else 0.0),
        )
        await self.store.keep(self._keys(), session)

    async def failed(self, account: Account) -> None:
        """Keeps what a request cost that brought no answer. Raises SessionsUnavailable."""
        spent_usd = account.ledger.spent_usd + account.ledger.unsettled_usd
        if self.kept is not None and spent_usd:
            await self.store.keep(self._keys(), replace(self.kept, spent_usd=self.kept.spent_usd + spent_usd))

    def _held(self, kept: KeptSession, *, failing: bool) -> Held | None:
        """Why the session may not leave its LLM, None where it may."""
        messages = self.beginnings.messages
        if tool_loop.calls_wait(messages) or (tool_loop.is_inside(messages, self.user_turn) and not failing):
            return "tool loop"
        cached = kept.caches.get(kept.llm or "")
        warm = cached is not None and cached.until > self.now
        return "same turn" if warm and kept.present == self.present and not failing else None

    def _cached(self, reply: Reply, llm: LLM) -> Cached:
        """What the LLM's cache has after this reply. One that had nothing though it should have is not counted on until it has."""
        usage, before = reply.usage, self.kept.caches.get(llm.id) if self.kept else None
        cold = before is not None and before.cold
        if usage is not None and not usage.estimated:
            cold = usage.cache_read == 0 and (cold or self.cached_tokens(llm) > 0)
        kept_s = CACHE_1H_S if usage is not None and usage.cache_write_1h else llm.price.cache_s or self.settings.cache_s
        return Cached(self.beginnings.whole, reply.input_tokens, self.now + kept_s, cold)

    def _keys(self) -> list[str]:
        return [
            session_key(self.scope, "beginning", self.name.text, self.beginnings.whole),
            *([session_key(self.scope, "name", self.name.text)] if self.name.text else []),
        ]


def _is_marked(message: Message) -> bool:
    content = message.get("content")
    return "cache_control" in message or (
        isinstance(content, list) and any(isinstance(part, dict) and "cache_control" in part for part in content)
    )


def session_key(*parts: str) -> str:
    """A session's name is its caller's, and not kept."""
    return blake2b("\0".join(parts).encode(errors="replace"), digest_size=16).hexdigest()
