"""What of a request's choice is left to chance, as the operator set it: for whom, how often, how far from the best, and up to which sum.

`ROUTEMOA_EXPLORE__*`. What it costs beyond the usual choices is counted for all workers in the place of the budgets, under a scope of its
own, and asked for about once a second: with several workers the day's sum may be passed by what they draw in such a second.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import SystemRandom

from mixture.choose.action import OFF, Action, Explore
from mixture.run.request import Request
from serving.access import budgets
from serving.access.budgets import Budgets, Spend, window
from serving.access.keys import KeyEntry
from serving.errors import BudgetsUnavailable
from serving.settings import ServingSettings

SCOPE = "exploration"
FOLLOW_S = 1.0


@dataclass
class Exploration:
    """One worker's. random: numbers in [0, 1). spent_usd: of the UTC day `day`, by all workers as last seen and by this one since."""

    settings: ServingSettings
    budgets: Budgets
    random: Callable[[], float] = field(default_factory=lambda: SystemRandom().random)
    day: str = ""
    spent_usd: float = 0.0
    _unbooked: float = 0.0

    def of(self, holder: KeyEntry, *, wanted: bool | None, certified: bool) -> Explore:
        """What is left to chance for a request of this key, before anything is drawn.

        wanted: False where the request asks for none of it. certified: whether a certificate says what is served.
        """
        chosen = self.settings.explore
        if not chosen.share or (chosen.keys and holder.name not in chosen.keys):
            return OFF
        if wanted is False:
            return Explore(why="asked not to")
        if certified:
            return Explore(why="certificate")
        if chosen.usd_per_day is not None and self._spent() >= chosen.usd_per_day:
            return Explore(why="cap")
        return Explore(chosen.share, chosen.delta, why="")

    def drawn(self, request: Request) -> Request:
        """The request with a number drawn, where any of its choice is left to chance."""
        if not request.explore.share:
            return request
        return replace(request, explore=replace(request.explore, at=self.random()))

    def note(self, action: Action) -> None:
        """Counts what a choice of chance costs beyond the usual one; one that costs less gives nothing back."""
        if action.extra_usd > 0:
            self._spent()
            self.spent_usd += action.extra_usd
            self._unbooked += action.extra_usd

    async def follow(self) -> None:
        """Books, and looks at what all workers spent, until cancelled."""
        while True:
            await self.tend()
            await asyncio.sleep(FOLLOW_S)

    async def tend(self) -> None:
        """Books what is not booked yet; then what all workers spent is known."""
        if not self.settings.explore.share:
            return
        unbooked, self._unbooked = self._unbooked, 0.0
        now = datetime.now(UTC)
        try:
            if unbooked:
                await self.budgets.book(budgets.windows(SCOPE, now), Spend(unbooked, 0.0, 1, now.timestamp()))
        except BudgetsUnavailable:
            self._unbooked += unbooked
            return
        with suppress(BudgetsUnavailable):
            (spend,) = await asyncio.to_thread(budgets.read, self.settings, [(SCOPE, window("day", now))])
            self.day, self.spent_usd = window("day", now), spend.spent_usd + self._unbooked

    def _spent(self) -> float:
        """Of today: a new day begins with nothing."""
        if (today := window("day", datetime.now(UTC))) != self.day:
            self.day, self.spent_usd = today, 0.0
        return self.spent_usd
