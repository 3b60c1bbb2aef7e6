"""Requests and tokens a minute."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.access.rates import MEMORY, Rates, Standing
from serving.errors import RateExceeded, RatesUnavailable
from tests.servers import redis


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
def storage(request: pytest.FixtureRequest) -> str:
    """Where it is counted: the same rules."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else MEMORY


def test_a_minute_takes_as_much_as_its_limit_and_corrections_count(storage: str) -> None:
    """What is refused counts nothing; a correction may pass the limit, and gives back what was not used."""

    async def story() -> None:
        rates = Rates(storage)
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


def test_redis_counts_for_all_hosts_and_is_missed(tmp_path: Path) -> None:
    """Two servers' counts are one; without Redis nothing is let through uncounted."""

    async def story() -> None:
        with redis.running(tmp_path) as url:
            one, other = Rates(url), Rates(url)
            taken = await asyncio.gather(*(each.take("k", "requests", 10) for each in (one, other) * 8), return_exceptions=True)
            assert sum(isinstance(each, Standing) for each in taken) == 10
            assert sum(isinstance(each, RateExceeded) for each in taken) == 6
        with pytest.raises(RatesUnavailable, match="Start Redis"):
            await one.take("k", "requests", 10)

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
