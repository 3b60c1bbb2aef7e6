"""`routemoa keys`."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import commands
from registry.errors import LLMUnknown
from serving.access import budgets, keys
from serving.errors import KeyNameUnknown, KeysRefused
from serving.settings import ServingSettings
from tests.cli.command_line import output, refusal, usage_error

CREATE = ("keys", "create", "bot", "--usd-per-day", "5", "--usd-per-month", "50", "--requests-per-minute", "60")
MORE = ("--tokens-per-minute", "100000", "--llms", "smollm2-135m, qwen-coder-0-5b", "--policy", "eu", "--expires", "30d")


def entries(home: Path) -> tuple[keys.KeyEntry, ...]:
    return keys.read(ServingSettings(_env_file=None, home=home).keys_file).entries


def test_a_key_is_created_with_what_it_may_do(home: Path) -> None:
    """Everything in one command; the key alone is printed, once."""
    key = output(*CREATE, *MORE).split()[-1]
    (entry,) = entries(home)
    assert key.startswith("rm-")
    assert (entry.name, entry.scopes, entry.usd_per_day, entry.usd_per_month) == ("bot", ("chat",), 5, 50)
    assert (entry.requests_per_minute, entry.tokens_per_minute, entry.data_policy) == (60, 100_000, ("eu",))
    assert entry.llms == ("smollm2-135m", "qwen-coder-0-5b")
    assert 29.9 * 86400 < (entry.expires_at or 0) - time.time() <= 30 * 86400
    output("keys", "create", "--usd-per-day", "1")
    assert entries(home)[1].name.startswith("key-")


def test_a_list_of_keys_shows_spend_and_last_use(home: Path) -> None:
    """What is spent and held of which budget, without the key."""
    key = output(*CREATE).split()[-1]
    settings, now = ServingSettings(_env_file=None, home=home), datetime.now(UTC)
    store, limits = budgets.SqliteBudgets(settings.spend_file), [budgets.Limit(entries(home)[0].id, "day", 5, "bot")]

    async def story() -> None:
        await store.settle(await store.hold(limits, 1, 1, now), 0.25, now)
        await store.hold(limits, 1, 1, now)
        await store.close()

    asyncio.run(story())
    listed = output("keys", "list")
    assert "0.25 of 5 (1 held)" in listed
    assert "0.25 of 50 (1 held)" in listed, "a month counts what is spent under a day's budget"
    assert f"{now:%Y-%m-%d}" in listed
    assert "60 requests" in listed
    assert key not in listed


def test_the_key_alone_is_written_to_stdout(home: Path) -> None:
    """So that a script can take it; that it is shown once is said beside it."""
    made = CliRunner().invoke(commands, [*CREATE], prog_name="routemoa")
    assert made.stdout.strip().startswith("rm-")
    assert len(made.stdout.split()) == 1
    assert "shown this once" in made.stderr


def test_a_narrow_list_of_keys_breaks_no_word(home: Path) -> None:
    """Eighty columns: lines end between words, and small amounts are plain decimals."""
    output(*CREATE, "--scope", "chat", "--scope", "feedback", "--scope", "metrics")
    settings, now = ServingSettings(_env_file=None, home=home), datetime.now(UTC)

    async def story() -> None:
        store = budgets.SqliteBudgets(settings.spend_file)
        limits = [budgets.Limit(entries(home)[0].id, "day", 5, "bot")]
        await store.settle(await store.hold(limits, 1, 1, now), 0.00005, now)
        await store.close()

    asyncio.run(story())
    listed = output("keys", "list", width=80)
    assert all(word in listed for word in ("chat,", "feedback,", "metrics", "60 requests", "0.00005 of", f"{now:%Y-%m-%d}"))
    assert max(map(len, listed.splitlines())) <= 80


def test_a_key_is_revoked_by_name(home: Path) -> None:
    """An unknown name is answered with those that there are."""
    output(*CREATE)
    assert "Known: bot" in str(refusal(KeyNameUnknown, "keys", "revoke", "bott"))
    assert "bot is revoked" in output("keys", "revoke", "bot")
    assert entries(home) == ()


@pytest.mark.parametrize("expires", ["30", "soon", "2020-01-01", "d"])
def test_an_expiry_is_a_span_or_a_day_to_come(home: Path, expires: str) -> None:
    """Anything else says what there is to write, and makes no key."""
    assert "--expires" in usage_error("keys", "create", "bot", "--expires", expires)
    assert entries(home) == ()


def test_a_key_for_an_llm_that_is_not_there_is_refused(home: Path) -> None:
    """With the near ones; a budget of nothing and a scope that nobody knows are refused alike."""
    assert "smollm2-135m" in str(refusal(LLMUnknown, "keys", "create", "bot", "--llms", "smolm2-135m"))
    assert "usd_per_day" in str(refusal(KeysRefused, "keys", "create", "bot", "--usd-per-day", "0"))
    assert "Did you mean chat?" in usage_error("keys", "create", "bot", "--scope", "chatt")
