"""What a request of a session knows of the ones before it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mixture.client.protocol import Reply
from mixture.decision import Decision, Layer, Run
from mixture.llm import LLM
from mixture.price import Price
from mixture.run.account import Account
from mixture.run.ledger import Ledger
from mixture.usage import Usage
from serving.events import Events
from serving.request.harness_text import HarnessSettings
from serving.session_settings import SessionSettings
from serving.sessions.keeper import Keeper
from serving.sessions.kept_session import KeptSession
from serving.sessions.naming import Name
from serving.sessions.store import SqliteSessions
from serving.sessions.turn import SessionTurn
from serving.worker.metrics import Metrics

CACHED = LLM("a", "a", Price(3.0, 15.0, cache_read=0.3))
SLOW = LLM("slow", "slow", Price(3.0, 15.0, cache_read=0.3, cache_s=3000.0))
LLMS = {each.id: each for each in (CACHED, LLM("b", "b", Price(3.0, 15.0)), SLOW)}
BEGUN = [{"role": "system", "content": "word " * 2000}, {"role": "user", "content": "one"}]
FOLLOWING = [*BEGUN, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "two"}]
NAMED = Name("s")


class Story:
    """A keeper whose clock is set by hand."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.now = 1000.0
        known = SessionSettings(**settings)
        store = SqliteSessions(folder / "sessions.db", keep_s=known.keep_s, most=known.most, clock=lambda: self.now)
        self.keeper = Keeper(store, known, HarnessSettings(), Events(), Metrics(), clock=lambda: self.now)

    async def opened(self, messages: list[dict[str, Any]], name: Name = NAMED, scope: str = "key") -> SessionTurn:
        turn = await self.keeper.open(scope, name, messages, {})
        assert turn is not None
        return turn.scored("1", {"a": 0.5, "b": 0.4})

    async def answered(self, turn: SessionTurn, llm: str | None = "a", usage: Usage | None = None, raw: Mapping[str, Any] = {}) -> None:
        """As after an answer."""
        replies = [Reply(each, "yes", "stop", 2000, 5, 0.01, 1.0, raw=raw, usage=usage) for each in ([llm] if llm else ["a", "b"])]
        layer = Layer(tuple(Run.of(reply, "yes") for reply in replies), {}, {})
        decision = Decision("yes", llm, "stop", (layer,), "single", "single", 0.5, 0.01, 1.0, 2000, 5, reply=replies[0])
        await self.keeper.answered(turn, decision, Account(Ledger(None, Fraction(0.01)), replies=replies), LLMS)


def told(tmp_path: Path, story: Any, **settings: Any) -> None:
    """Runs a story to its end."""

    async def run() -> None:
        made = Story(tmp_path, **settings)
        await story(made)
        await made.keeper.store.close()

    asyncio.run(run())


@pytest.mark.parametrize("name", [NAMED, Name()])
def test_a_cache_is_counted_on_until_it_expires(tmp_path: Path, name: Name) -> None:
    """Of the LLM that answered, for as long as its price says, else five minutes; an LLM whose vendor bills no cache has none."""

    async def story(made: Story) -> None:
        for llm, listed in LLMS.items():
            await made.answered(await made.opened(BEGUN, name), llm)
            made.now += 1.0
            turn = await made.opened(FOLLOWING, name)
            expected = 0 if llm == "b" else turn.beginnings.tokens(turn.beginnings.hashes[1])
            assert turn.cached_tokens(listed) == expected, llm
            made.now += 300.0
            turn = await made.opened(FOLLOWING, name)
            assert (turn.cached_tokens(listed) > 0) == (llm == "slow")
            assert turn.session().llm == llm
            made.now += 4000.0

    told(tmp_path, story)


def test_an_hour_that_was_paid_for_counts(tmp_path: Path) -> None:
    """What was written for an hour is there for one."""

    async def story(made: Story) -> None:
        await made.answered(await made.opened(BEGUN), usage=Usage(2000, 5, cache_write_1h=1900))
        made.now += 3500.0
        assert (await made.opened(FOLLOWING)).cached_tokens(CACHED) > 0

    told(tmp_path, story)


def test_a_cache_that_had_nothing_is_not_counted_on_again(tmp_path: Path) -> None:
    """Until it has something; short prompts are counted on by nobody."""

    async def story(made: Story) -> None:
        await made.answered(await made.opened(BEGUN), usage=Usage(2000, 5))
        second = await made.opened(FOLLOWING)
        assert second.cached_tokens(CACHED) > 0
        await made.answered(second, usage=Usage(2100, 5))
        assert (await made.opened(FOLLOWING)).cached_tokens(CACHED) == 0
        await made.answered(await made.opened(FOLLOWING), usage=Usage(2100, 5))
        assert (await made.opened(FOLLOWING)).cached_tokens(CACHED) == 0
        await made.answered(await made.opened(FOLLOWING), usage=Usage(2100, 5, cache_read=2000))
        assert (await made.opened(FOLLOWING)).cached_tokens(CACHED) > 0
        short = [{"role": "user", "content": "one"}]
        await made.answered(await made.opened(short, Name("short")))
        following = [*short, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "two"}]
        assert (await made.opened(following, Name("short"))).cached_tokens(CACHED) == 0

    told(tmp_path, story)


def test_no_key_finds_another_keys_session(tmp_path: Path) -> None:
    """Neither by its name, nor by its words."""

    async def story(made: Story) -> None:
        for name in (NAMED, Name()):
            await made.answered(await made.opened(BEGUN, name))
        for name in (NAMED, Name()):
            assert (await made.opened(FOLLOWING, name)).kept is not None
            assert (await made.opened(FOLLOWING, name, scope="other")).kept is None

    told(tmp_path, story)


def test_a_names_conversations_are_kept_apart(tmp_path: Path) -> None:
    """An agent's helper under the same name does not take its loop of tools over; a new thread of it begins with the last LLM."""

    async def story(made: Story) -> None:
        await made.answered(await made.opened(BEGUN), "a")
        helper = [{"role": "system", "content": "title"}, {"role": "user", "content": "name this"}]
        turn = await made.opened(helper)
        assert turn.session().llm == "a"
        await made.answered(turn, "b")
        assert (await made.opened(FOLLOWING)).session().llm == "a"
        assert (await made.opened([{"role": "user", "content": "after compaction"}])).session().llm == "b"

    told(tmp_path, story)


def test_a_session_is_held_while_nothing_new_is_said(tmp_path: Path) -> None:
    """The same turn asked again stays, as long as its cache is warm."""

    async def story(made: Story) -> None:
        await made.answered(await made.opened(FOLLOWING))
        assert (await made.opened(FOLLOWING)).session().held == "same turn"
        later = [*FOLLOWING, {"role": "assistant", "content": "no"}, {"role": "user", "content": "three"}]
        assert (await made.opened(later)).session().held is None
        made.now += 301.0
        assert (await made.opened(FOLLOWING)).session().held is None

    told(tmp_path, story)


def test_what_is_kept_adds_up(tmp_path: Path) -> None:
    """Requests, user turns, money (of failed requests too), whose state messages hold, and nobody after a synthesis."""

    async def story(made: Story) -> None:
        await made.answered(await made.opened(BEGUN), "a")
        await made.answered(await made.opened(FOLLOWING), "b", raw={"choices": [{"message": {"tool_calls": [{}]}}]})
        tool = [
            *FOLLOWING,
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
        ]
        turn = await made.opened(tool)
        kept, session = turn.kept, turn.session()
        assert kept is not None
        assert (kept.llm, kept.requests, kept.turns, kept.own_from) == ("b", 2, 2, 4)
        assert kept.spent_usd == pytest.approx(0.02)
        assert (session.held, session.foreign_until("b", 6), session.foreign_until("a", 6)) == ("tool loop", 4, 6)
        await made.keeper.failed(turn, Account(Ledger(None, Fraction(0.5))))
        await made.answered(await made.opened(tool), None)
        turn = await made.opened(tool)
        assert turn.kept is not None
        assert (turn.kept.llm, turn.kept.requests, turn.kept.turns, turn.kept.spent_usd) == (None, 3, 2, pytest.approx(0.53))
        assert set(turn.kept.caches) == {"a", "b"}
        assert (turn.kept_scores("1"), turn.kept_scores("2")) == ({"a": 0.5, "b": 0.4}, None)

    told(tmp_path, story)


def test_requests_to_come_are_told_by_those_that_came(tmp_path: Path) -> None:
    """Where tools are offered: first by the setting, then by the session itself, which counts one turn for the setting."""

    async def story(made: Story) -> None:
        turn = await made.opened(BEGUN)
        assert turn.further == 0.0
        offered = replace(turn, beginnings=replace(turn.beginnings, fields={"tools": [{}]}))
        assert offered.session().further == 4.0
        shown = replace(offered, kept=KeptSession("s", "a", requests=9, turns=3))
        assert shown.session().further == (4.0 + 6) / 4

    told(tmp_path, story, tool_rounds=4.0)


def test_sessions_can_be_switched_off(tmp_path: Path) -> None:
    """All of them, or those that nobody named."""

    async def story(made: Story) -> None:
        assert await made.keeper.open("key", Name(), BEGUN, {}) is None
        assert await made.keeper.open("key", NAMED, BEGUN, {}) is not None
        made.keeper.settings = replace_settings(made.keeper.settings)
        assert await made.keeper.open("key", NAMED, BEGUN, {}) is None

    told(tmp_path, story, recognise=False)


def replace_settings(settings: SessionSettings) -> SessionSettings:
    return settings.model_copy(update={"enabled": False})
