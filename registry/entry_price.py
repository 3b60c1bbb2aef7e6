"""The price of a pool entry as a person writes it: two numbers, a schedule, or null where nobody knows it. And its pace."""

import re
from datetime import date
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from mixture.price import RATES, UNKNOWN, Override, Price

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[str, ...] = get_args(Day)
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def number(value: object) -> object:
    """`value` itself where it is no truth value, which YAML and JSON take for 0 and 1."""
    if isinstance(value, bool):
        raise ValueError("is a truth value, not a number")  # noqa: TRY004 - pydantic collects ValueErrors only
    return value


Amount = Annotated[float, BeforeValidator(number), Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, BeforeValidator(number), Field(gt=0, allow_inf_nan=False)]
Tokens = Annotated[int, BeforeValidator(number), Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OverrideEntry(_Strict):
    """Rates that replace the usual ones where all its conditions hold; later overrides win.

    longer_than: tokens of the prompt. utc_start, utc_end: "HH:MM", half open, across midnight where the end is earlier.
    utc_days: mon to sun. since: the first day, "YYYY-MM-DD".
    """

    longer_than: Tokens | None = None
    utc_start: str | None = None
    utc_end: str | None = None
    utc_days: list[Day] = []
    since: date | None = None
    input: Amount | None = None
    output: Amount | None = None
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    reasoning: Amount | None = None
    request: Amount | None = None

    @field_validator("utc_start", "utc_end")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None and not TIME.fullmatch(value):
            raise ValueError('is no time of a day: write "HH:MM" in quotes, in UTC')
        return value

    @model_validator(mode="after")
    def _says_when_and_what(self) -> "OverrideEntry":
        if (self.utc_start is None) != (self.utc_end is None):
            raise ValueError("has one of utc_start and utc_end: a window needs both")
        if self.longer_than is None and self.utc_start is None and not self.utc_days and self.since is None:
            raise ValueError("has no condition: name longer_than, utc_start with utc_end, utc_days or since")
        if all(getattr(self, name) is None for name in RATES):
            raise ValueError(f"changes no rate: name one of {', '.join(RATES)}")
        return self

    def override(self) -> Override:
        """For the price."""
        rates = {name: getattr(self, name) for name in RATES}
        days = frozenset(map(DAYS.index, self.utc_days))
        return Override(
            **rates, longer_than=self.longer_than, start=_minute(self.utc_start), end=_minute(self.utc_end), days=days, since=self.since
        )


class PriceEntry(_Strict):
    """USD per million tokens, `request` USD per call; what is left out costs what `mixture.price.Price` says.

    cache_minutes: how long the vendor's cache keeps a prompt after it was last read.
    """

    input: Amount
    output: Amount
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    reasoning: Amount | None = None
    request: Amount = 0.0
    discount: Annotated[float, BeforeValidator(number), Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    overrides: list[OverrideEntry] = []
    cache_minutes: Annotated[float, BeforeValidator(number), Field(gt=0, allow_inf_nan=False)] | None = None
    source: str = ""
    as_of: date | None = None

    def price(self) -> Price:
        """The price that this entry describes."""
        rates = {name: getattr(self, name) for name in RATES}
        overrides = tuple(each.override() for each in self.overrides)
        cache_s = None if self.cache_minutes is None else 60 * self.cache_minutes
        return Price(**rates, overrides=overrides, discount=self.discount, cache_s=cache_s, source=self.source, as_of=self.as_of)

    def spelled_out(self) -> dict[str, Any]:
        """For YAML: the two numbers, and of the rest what it says."""
        return {"input": self.input, "output": self.output, **self.model_dump(mode="json", exclude_defaults=True)}


class PaceEntry(_Strict):
    """How fast others saw it answer (seconds), until it is seen here."""

    first_token_s: Seconds
    per_token_s: Seconds


def price_of(entry: PriceEntry | None) -> Price:
    """The price of an entry that may not know it."""
    return UNKNOWN if entry is None else entry.price()


def entry_of(price: Price) -> PriceEntry | None:
    """The entry that describes `price`; None where it is unknown."""
    if not price.known:
        return None
    rates = {name: getattr(price, name) for name in RATES}
    overrides = [_override_entry(each) for each in price.overrides]
    minutes = None if price.cache_s is None else price.cache_s / 60
    return PriceEntry(**rates, discount=price.discount, overrides=overrides, cache_minutes=minutes, source=price.source, as_of=price.as_of)


def _override_entry(override: Override) -> OverrideEntry:
    return OverrideEntry(
        **{name: getattr(override, name) for name in RATES},
        longer_than=override.longer_than,
        utc_start=_time(override.start),
        utc_end=_time(override.end),
        utc_days=[DAYS[day] for day in sorted(override.days)],
        since=override.since,
    )


def _minute(time: str | None) -> int | None:
    return None if time is None else int(time[:2]) * 60 + int(time[3:])


def _time(minute: int | None) -> str | None:
    return None if minute is None else f"{minute // 60 % 24:02d}:{minute % 60:02d}"
