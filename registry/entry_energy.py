"""The energy of a pool entry as a person writes it, with where it was read; an entry without it is of unknown energy."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from mixture.energy import Energy
from registry.entry_price import Amount


class EnergyEntry(BaseModel):
    """Joules per token read and written, `request` joules per call. source: who measured, declared or estimated it, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Amount
    output: Amount
    request: Amount = 0.0
    source: str = Field(min_length=1)
    as_of: date | None = None

    def energy(self) -> Energy:
        """The energy that this entry describes."""
        return Energy(**self.model_dump())
