"""Money: what calls have cost, and what those that run may still cost, under one budget."""

import math
from dataclasses import dataclass, field

from mixture.client.protocol import Call
from mixture.client.request_size import worst_case_usd
from mixture.errors import LLMFailed


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A call that may be made: `most_usd`, its worst case, is set aside from the budget."""

    call: Call
    most_usd: float


@dataclass(slots=True)
class Ledger:
    """Every call's worst case is reserved before it is made and settled by what it cost; so the budget holds for calls at once too.

    budget_usd: None for no limit. What was cut off or broke may still be charged, and stays reserved.
    """

    budget_usd: float | None = None
    _costs_usd: list[float] = field(default_factory=list)
    _reserved: list[Reservation] = field(default_factory=list)

    @property
    def spent_usd(self) -> float:
        """Cost of the replies that came, of use or not."""
        return math.fsum(self._costs_usd)

    @property
    def unsettled_usd(self) -> float:
        """At most what the calls without an answer may cost on top; those of an unknown price, which no budget has room for, aside."""
        return math.fsum(each.most_usd for each in self._reserved if math.isfinite(each.most_usd))

    def has_room(self, call: Call) -> bool:
        """Whether a call can be made, whatever it and all that is reserved will cost."""
        return self._fits(worst_case_usd(call))

    def reserve(self, call: Call) -> Reservation | None:
        """Money for a call, None where the budget has no room for it."""
        reservation = Reservation(call, worst_case_usd(call))
        if not self._fits(reservation.most_usd):
            return None
        self._reserved.append(reservation)
        return reservation

    def reserve_retry(self, call: Call, failed: LLMFailed) -> bool:
        """Whether there is money for another attempt; it needs its own where the failed one may be charged."""
        if any(failed.paid):
            self._costs_usd.append(failed.paid[0])
            return self._fits(0.0)
        return not failed.billable or self.reserve(call) is not None

    def settle(self, reservation: Reservation, cost_usd: float) -> None:
        """The call was answered."""
        self._reserved.remove(reservation)
        self._costs_usd.append(cost_usd)

    def fail(self, reservation: Reservation, failed: LLMFailed) -> None:
        """The call brought no answer; what it cost is settled where the endpoint said it."""
        if any(failed.paid):
            self.settle(reservation, failed.paid[0])
        elif not failed.billable:
            self._reserved.remove(reservation)

    def _fits(self, most_usd: float) -> bool:
        if self.budget_usd is None:
            return True
        return math.isfinite(most_usd) and self.spent_usd + self.unsettled_usd + most_usd <= self.budget_usd
