"""What a key may do now: rates before a request is read, LLMs and policies while it is routed, money and tokens before an LLM is asked."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mixture.choose.ranking import TOKENS_OUT
from mixture.client.protocol import Call
from mixture.client.request_size import expected_input_tokens, most_output_tokens, worst_case_usd
from mixture.errors import NoAnswer
from mixture.run.account import Account
from mixture.run.request import Request
from scorer.errors import RouteMoAError
from serving.access.budgets import PLATFORM, Budgets, Hold, Limit, Spend, windows
from serving.access.keys import KeyEntry
from serving.access.rates import MEMORY, Rates
from serving.errors import BudgetSpent, BudgetsUnavailable
from serving.settings import ServingSettings

FLUSH_S = 1.0  # between two bookings of what keys without a budget spent: a crash forgets so much of what `routemoa keys list` shows
RESERVE = 2  # times that a routed request's calls are held for: they read each other's answers, and stand in for ones that failed
Headers = MutableMapping[str, str]


@dataclass(slots=True)
class Tab:
    """One request's money and tokens. tokens: counted for it before it ran. at_most: USD that its plan could cost; `hold`: what is held."""

    gate: "Gate"
    holder: KeyEntry
    tokens: int = 0
    at_most: float = 0.0
    hold: Hold | None = None
    closed: bool = False

    def within(self, request: Request) -> Request:
        """The request, with no more to spend than is held for it."""
        if self.hold is None:
            return request
        return replace(request, options=replace(request.options, budget_usd=self.hold.usd))

    def reason(self, error: RouteMoAError) -> RouteMoAError:
        """`error`, or the key's budget where that is why nobody could be asked."""
        if isinstance(error, NoAnswer) and error.why == "budget" and self.hold is not None and self.hold.usd < self.at_most:
            return BudgetSpent(
                f"What is left of the budget is too little for an answer to this request: {error.what}",
                next_step="Ask for fewer max_tokens.",
            )
        return error

    async def close(self, account: Account) -> None:
        """Settles, once: what calls cost, and at most what those that were cut off may still be charged."""
        if not self.closed:
            self.closed = True
            await self.gate.settle(self, account)

    def close_later(self, account: Account) -> None:
        """The same where the request's own task ends."""
        if not self.closed:
            task = asyncio.get_running_loop().create_task(self.close(account))
            self.gate.closing.add(task)
            task.add_done_callback(self.gate.closing.discard)


@dataclass
class Gate:
    """One worker's. `budgets` is shared by all that use its file, `rates` by all that use its address."""

    settings: ServingSettings
    budgets: Budgets
    closing: set[asyncio.Task[None]] = field(default_factory=set)
    _rates: Rates | None = None
    _unbooked: dict[str, Spend] = field(default_factory=dict)  # by key id: what was spent without a budget

    def __post_init__(self) -> None:
        """Connects to nothing yet. Raises RatesUnavailable where the operator's address is of no storage."""
        if self.settings.limits_url != MEMORY:
            self._rates = Rates(self.settings.limits_url)

    @property
    def rates(self) -> Rates:
        """Made when the first key needs it: most servers have none."""
        if self._rates is None:
            self._rates = Rates(self.settings.limits_url)
        return self._rates

    async def admit(self, holder: KeyEntry, headers: Headers) -> None:
        """Counts a request. headers: of the answer; what is left of the minute is put there. Raises RateExceeded, RatesUnavailable."""
        if holder.requests_per_minute is not None:
            headers.update((await self.rates.take(holder.id, "requests", holder.requests_per_minute)).headers())

    def limits(self, holder: KeyEntry) -> tuple[Limit, ...]:
        """The budgets that a request of this key is under: its own, and the platform's above all."""
        whose = f"the key {holder.name!r}"
        every = (
            (holder.id, "day", holder.usd_per_day, whose),
            (holder.id, "month", holder.usd_per_month, whose),
            (PLATFORM, "day", self.settings.usd_per_day, "all keys together"),
            (PLATFORM, "month", self.settings.usd_per_month, "all keys together"),
        )
        return tuple(Limit(scope, period, usd, name) for scope, period, usd, name in every if usd is not None)  # type: ignore[arg-type]

    async def open(self, holder: KeyEntry, request: Request, headers: Headers, *, named: bool) -> Tab:
        """Counts the tokens and holds the money of a request that will be answered. named: it asks one LLM, whatever that says.

        Raises BudgetSpent, RateExceeded, BudgetsUnavailable, RatesUnavailable; no money and no tokens are counted then.
        """
        tab = Tab(self, holder)
        if limits := self.limits(holder):
            least, tab.at_most = bounds(request, named=named)
            tab.hold = await self.budgets.hold(limits, least, tab.at_most, datetime.now(UTC))
        if holder.tokens_per_minute is not None:
            tab.tokens = expected_tokens(request)
            try:
                standing = await self.rates.take(holder.id, "tokens", holder.tokens_per_minute, tab.tokens)
            except RouteMoAError:
                tab.tokens = 0
                await tab.close(Account())
                raise
            headers.update(standing.headers())
        return tab

    async def settle(self, tab: Tab, account: Account) -> None:
        """Books what came of a request. Where that cannot be done its hold stays, which is never too little."""
        spent_usd, now = account.ledger.spent_usd + account.ledger.unsettled_usd, datetime.now(UTC)
        with suppress(BudgetsUnavailable):
            if tab.hold is not None:
                await self.budgets.settle(tab.hold, spent_usd, now)
        if tab.tokens and tab.holder.tokens_per_minute is not None:
            with suppress(RouteMoAError):
                difference = account.input_tokens + account.output_tokens - tab.tokens
                await self.rates.correct(tab.holder.id, "tokens", tab.holder.tokens_per_minute, difference)
        booked = {scope for scope, _ in tab.hold.windows} if tab.hold else set()
        if tab.holder.id not in booked:
            before = self._unbooked.get(tab.holder.id, Spend())
            self._unbooked[tab.holder.id] = Spend(before.spent_usd + spent_usd, 0.0, before.requests + 1, now.timestamp())

    async def book(self) -> None:
        """Writes down what keys without a budget spent since the last time."""
        unbooked, self._unbooked = self._unbooked, {}
        now = datetime.now(UTC)
        for scope, spend in unbooked.items():
            with suppress(BudgetsUnavailable):
                await self.budgets.book(windows(scope, now), spend)

    async def follow(self) -> None:
        """Books, and brings the file up to date, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.book()
            await self.budgets.tend()

    async def close(self) -> None:
        """Books the rest."""
        await asyncio.gather(*self.closing, return_exceptions=True)
        await self.book()
        await self.budgets.close()


def bounds(request: Request, *, named: bool) -> tuple[float, float]:
    """USD without which no LLM can be asked, and USD that the request's whole plan cannot exceed; 0 where no price is known."""
    calls = (Call(each.llm, request.messages, request.fields, native=request.native) for each in request.candidates if each.llm.price.known)
    worst = [worst_case_usd(call) for call in calls]
    if not worst:
        return 0.0, 0.0
    options = request.options
    most = max(worst) if named else RESERVE * max(worst) * (1 if options.single else options.k * options.max_layers)
    most = most if options.budget_usd is None else min(most, options.budget_usd)
    least = min(worst)
    return min(least, most), most


def expected_tokens(request: Request) -> int:
    """Tokens that a request is counted for before it ran: its own, and an answer's."""
    longest = min((most_output_tokens(each.llm, request.fields) for each in request.candidates), default=TOKENS_OUT)
    return expected_input_tokens(request.messages, request.fields) + min(TOKENS_OUT, longest) * int(request.fields.get("n") or 1)
