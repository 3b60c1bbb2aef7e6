"""OpenRouter's list of LLMs (its API of autumn 2026, SDK 1.3.84): prices, and paces where the list has them; from a file or its address."""

import http.client
import math
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from mixture.llm import Pace
from mixture.price import Override, Price
from registry.entry_price import DAYS
from registry.errors import PriceListRefused

NAME = "openrouter"
ADDRESS = "https://openrouter.ai/api/v1/models"
HOST = "openrouter.ai"
WITHIN_S = 30.0
MOST_BYTES = 64 * 2**20
KEYS = {
    "input": "prompt",
    "output": "completion",
    "cache_read": "input_cache_read",
    "cache_write": "input_cache_write",
    "cache_write_1h": "input_cache_write_1h",
    "reasoning": "internal_reasoning",
    "request": "request",
}
SECONDS_BELOW = 30.0  # a latency beyond is in milliseconds: the API says so, its examples do not


@dataclass(frozen=True, slots=True)
class PriceList:
    """By the list's own ids. unread: what of it could not be read, a line each: no price is made up for it."""

    prices: Mapping[str, Price]
    paces: Mapping[str, Pace]
    unread: tuple[str, ...] = ()


def fetched(address: str = ADDRESS) -> bytes:
    """What stands at `address`. Raises PriceListRefused."""
    if not address.startswith(("https://", "http://")):
        raise PriceListRefused(f"{address} is no http(s) address.", next_step="Give one, or the path of a saved list.")
    try:
        with urllib.request.urlopen(address, timeout=WITHIN_S) as answer:  # noqa: S310  http(s), checked above
            return bytes(answer.read(MOST_BYTES))
    except (OSError, http.client.HTTPException) as exc:
        raise PriceListRefused(f"{address} cannot be read ({exc}).", next_step="Save the list elsewhere and give its path.") from exc


def parsed(content: bytes, where: str, as_of: date) -> PriceList:
    """The list: `data` of many LLMs, or of one with its endpoints. Raises PriceListRefused where it is neither."""
    try:
        data = orjson.loads(content)["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise PriceListRefused(f"{where} is no list of OpenRouter's: it has no `data`.", next_step=f"Save what {ADDRESS} answers.") from exc
    prices, paces, unread = {}, {}, []
    for each in data if isinstance(data, list) else [data]:
        name = each.get("id") if isinstance(each, dict) else None
        if not isinstance(name, str):
            unread.append("an entry without an id")
            continue
        endpoints = [one for one in each.get("endpoints") or () if isinstance(one, dict)]
        try:
            price = _price(each.get("pricing") or next((one["pricing"] for one in endpoints if one.get("pricing")), None))
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            unread.append(f"{name}: pricing: {exc}")
            continue
        if price is None:
            unread.append(f"{name}: its price depends on which LLM it chooses")
            continue
        prices[name] = Price(**price, source=f"{NAME} {name}", as_of=as_of)
        if pace := next(filter(None, map(_pace, endpoints)), None):
            paces[name] = pace
    return PriceList(prices, paces, tuple(unread))


def read(path: Path, as_of: date | None = None) -> PriceList:
    """The saved list at `path`, as of the day it was written. Raises PriceListRefused."""
    try:
        return parsed(path.read_bytes(), str(path), as_of or date.fromtimestamp(path.stat().st_mtime))  # noqa: DTZ012  a person's day
    except OSError as exc:
        raise PriceListRefused(f"{path} cannot be read ({exc.strerror}).", next_step=f"Save what {ADDRESS} answers there.") from exc


def _price(pricing: Any) -> dict[str, Any] | None:
    """The rates; None for a router, whose negative price means that it varies."""
    rates = _rates(pricing)
    if not rates.keys() >= {"input", "output"}:
        raise ValueError("it has no prompt and completion")
    if min(rates.values()) < 0:
        return None
    overrides = tuple(_override(each) for each in pricing.get("overrides") or ())
    return rates | {"overrides": overrides, "discount": float(pricing.get("discount") or 0.0)}


def _rates(pricing: Mapping[str, Any]) -> dict[str, float]:
    """USD per million tokens, and per call."""
    per = {ours: 1.0 if ours == "request" else 1e6 for ours in KEYS}
    rates = {ours: round(float(pricing[theirs]) * per[ours], 9) for ours, theirs in KEYS.items() if pricing.get(theirs) is not None}
    if not all(map(math.isfinite, rates.values())):
        raise ValueError("a rate is no number")
    if rates.get("reasoning") == 0.0:
        del rates["reasoning"]  # the list's way to say that thinking costs what any output costs
    return rates


def _override(entry: Mapping[str, Any]) -> Override:
    rates: dict[str, Any] = dict(_rates(entry))
    if any(rate < 0 for rate in rates.values()):
        raise ValueError("an override has a negative rate")
    start, end = (None if entry.get(name) is None else _minute(entry[name]) for name in ("utc_start", "utc_end"))
    longer_than = None if entry.get("min_prompt_tokens") is None else int(entry["min_prompt_tokens"])
    return Override(**rates, longer_than=longer_than, start=start, end=end, days=frozenset(map(_day, entry.get("utc_days") or ())))


def _minute(written: Any) -> int:
    """Of the day, from HHMM."""
    digits = str(written).replace(":", "").zfill(4)
    hour, minute = int(digits[:2]), int(digits[2:])
    if not (0 <= hour <= 24 and 0 <= minute < 60):
        raise ValueError(f"{written!r} is no HHMM")
    return hour * 60 + minute


def _day(written: Any) -> int:
    """0 for Monday, from its name, or from 1 to 7 as ISO counts; 0 is Sunday, as those count who have one."""
    if isinstance(written, str) and (name := written[:3].lower()) in DAYS:
        return DAYS.index(name)
    day = int(written)
    if not 0 <= day <= 7:
        raise ValueError(f"{written!r} is no day of the week")
    return (day - 1) % 7


def _pace(endpoint: Mapping[str, Any]) -> Pace | None:
    """Of the usual call of the last half hour, None where the list does not say."""
    latency, throughput = (endpoint.get(name) or {} for name in ("latency_last_30m", "throughput_last_30m"))
    first, per_s = (each.get("p50") if isinstance(each, dict) else None for each in (latency, throughput))
    if not isinstance(first, int | float) or not isinstance(per_s, int | float) or first <= 0 or per_s <= 0:
        return None
    return Pace(first if first < SECONDS_BELOW else first / 1000, 1.0 / per_s)
