"""Requests and tokens a minute."""

import asyncio

import pytest

from serving.errors import RateExceeded, RatesUnavailable
from serving.rates import Rates, Standing


def test_a_minute_takes_as_much_as_its_limit_and_corrections_count() -> None:
    """What is refused counts nothing; a correction may pass the limit, and gives back what was not used."""

    async def story() -> None:
        rates = Rates()
        assert (await rates.take("k", "tokens", 100, 60)).remaining == 40
        with pytest.raises(RateExceeded, match="has 40 tokens left") as caught:
            await rates.take("k", "tokens", 100, 50)
        assert (caught.value.headers["x-ratelimit-remaining-tokens"], 1 <= caught.value.retry_after_s <= 60) == ("40", True)
        await rates.correct("k", "tokens", 100, -20)
        assert (await rates.take("k", "tokens", 100, 50)).remaining == 10
        await rates.correct("k", "tokens", 100, 500)
        with pytest.raises(RateExceeded, match="has 0 tokens left"):
            await rates.take("k", "tokens", 100, 1)
        with pytest.raises(RateExceeded, match="no minute has room"):
            await rates.take("other", "tokens", 100, 101)
        await rates.correct("never seen", "tokens", 100, -20)
        assert (await rates.take("never seen", "tokens", 100, 1)).remaining == 99

    asyncio.run(story())


@pytest.mark.parametrize("url", ["file:///tmp/x", "redis", "nonsense://x"])
def test_an_address_of_no_storage_is_refused_at_the_start(url: str) -> None:
    """With the two that there are."""
    with pytest.raises(RatesUnavailable, match=r"ROUTEMOA_LIMITS_URL.*memory:// or redis://"):
        Rates(url)


@pytest.mark.parametrize(("reset_s", "said"), [(59.5, "59.5s"), (1, "1s"), (0.25, "250ms"), (0, "0ms")])
def test_headers_are_those_that_openais_clients_read(reset_s: float, said: str) -> None:
    """Limit, what is left, and when it is whole again."""
    assert Standing("requests", 5, 2, reset_s).headers() == {
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": said,
    }
