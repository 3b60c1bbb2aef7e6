"""Money: what calls have cost, and what those that run may still cost, under one budget."""

import math
from dataclasses import dataclass, field
from fractions import Fraction

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

    budget_usd: None for no limit. What was cut off or broke may still be charged, and stays reserved. A call costs the same however many
    came before it.
    """

    budget_usd: float | None = None
    _spent: Fraction = Fraction()  # exact in any order, as a sum of floats is not
    _unsettled: Fraction = Fraction()
    _running: set[Reservation] = field(default_factory=set)

    @property
    def spent_usd(self) -> float:
        """Cost of the replies that came, of use or not."""
        return float(self._spent)

    @property
    def unsettled_usd(self) -> float:
        """At most what the calls without an answer may cost on top; those of an unknown price, which no budget has room for, aside."""
        return float(self._unsettled)

    def has_room(self, call: Call) -> bool:
        """Whether a call can be made, whatever it and all that is reserved will cost."""
        return self._fits(worst_case_usd(call))

    def reserve(self, call: Call) -> Reservation | None:
        """Money for a call, None where the budget has no room for it."""
        reservation = Reservation(call, worst_case_usd(call))
        if not self._set_aside(reservation.most_usd):
            return None
        self._running.add(reservation)
        return reservation

    def reserve_retry(self, call: Call, failed: LLMFailed) -> bool:
        """Whether there is money for another attempt; it needs its own where the failed one may be charged."""
        if any(failed.paid):
            self._spent += Fraction(failed.paid[0])
            return self._fits(0.0)
        return not failed.billable or self._set_aside(worst_case_usd(call))

    def settle(self, reservation: Reservation, cost_usd: float) -> None:
        """The call was answered. Raises KeyError where it has ended before."""
        self._free(reservation)
        self._spent += Fraction(cost_usd)

    def fail(self, reservation: Reservation, failed: LLMFailed) -> None:
        """The call brought no answer; what it cost is settled where the endpoint said it."""
        if any(failed.paid):
            self.settle(reservation, failed.paid[0])
        elif not failed.billable:
            self._free(reservation)
        else:
            self._running.discard(reservation)

    def _set_aside(self, most_usd: float) -> bool:
        if not self._fits(most_usd):
            return False
        if math.isfinite(most_usd):
            self._unsettled += Fraction(most_usd)
        return True

    def _free(self, reservation: Reservation) -> None:
        self._running.remove(reservation)
        if math.isfinite(reservation.most_usd):
            self._unsettled -= Fraction(reservation.most_usd)

    def _fits(self, most_usd: float) -> bool:
        if self.budget_usd is None:
            return True
        return math.isfinite(most_usd) and self.spent_usd + self.unsettled_usd + most_usd <= self.budget_usd
