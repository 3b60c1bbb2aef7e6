"""What previous_response_id refers to is kept for a while, within bounds, for the key that asked."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from registry.database.postgres import opened
from serving.errors import PreviousResponseUnknown, ResponsesUnavailable
from serving.sessions.kept_responses import LONGEST, Kept, KeptResponses, Place
from serving.sessions.responses_place import ResponsesFile, ResponsesTable, make
from serving.settings import ServingSettings


class Clock:
    """A clock that is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(word: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": word}]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture(params=["memory", "file", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each place."""
    if request.param == "postgres":
        return ResponsesTable(opened(request.getfixturevalue("database_url")))
    return ResponsesFile(tmp_path / "var" / "responses.db" if request.param == "file" else None)


def test_a_conversation_is_put_together_from_its_responses(where: Place) -> None:
    """In order; a response that two go on from is the beginning of both. The last one's endpoint is told."""
    kept = KeptResponses(where, 60, 2**20)
    run(kept.keep("key", Kept("a", None, said("one"))))
    run(kept.keep("key", Kept("b", "a", said("two"), llm="native")))
    run(kept.keep("key", Kept("c", "a", said("other"))))
    past = run(kept.past("key", "b"))
    assert [item["content"] for item in past.items] == ["one", "two"]
    assert past.llm == "native"
    assert [item["content"] for item in run(kept.past("key", "c")).items] == ["one", "other"]
    kept.close()


def test_it_is_of_one_key(where: Place) -> None:
    """Two keys with the same id know each his own."""
    kept = KeptResponses(where, 60, 2**20)
    run(kept.keep("one", Kept("a", None, said("mine"))))
    with pytest.raises(PreviousResponseUnknown):
        run(kept.past("other", "a"))
    assert not run(kept.forget("other", "a"))
    run(kept.keep("other", Kept("a", None, said("yours"))))
    assert run(kept.past("one", "a")).items[0]["content"] == "mine"
    kept.close()


def test_it_ends_some_time_after_its_last_use(where: Place) -> None:
    """Use of a later one is use of those before it."""
    clock = Clock()
    kept = KeptResponses(where, 60, 2**20, clock)
    run(kept.keep("key", Kept("a", None, said("one"))))
    run(kept.keep("key", Kept("b", "a", said("two"))))
    clock.now += 50
    run(kept.past("key", "b"))
    clock.now += 50
    assert len(run(kept.past("key", "b")).items) == 2
    clock.now += 61
    with pytest.raises(PreviousResponseUnknown, match="60 s after their last use"):
        run(kept.past("key", "b"))
    kept.close()


def test_it_is_bounded(where: Place) -> None:
    """The longest unused go first; one key takes no other's room."""
    clock = Clock()
    kept = KeptResponses(where, 60, 10_000, clock)
    run(kept.keep("quiet", Kept("q", None, said("q" * 3000))))
    for number in range(20):
        clock.now += 1
        run(kept.keep("loud", Kept(f"l{number}", None, said("l" * 1000))))
    assert run(kept.past("quiet", "q")).items
    assert run(kept.past("loud", "l19")).items
    with pytest.raises(PreviousResponseUnknown):
        run(kept.past("loud", "l0"))
    kept.close()


def test_nothing_is_kept_where_nobody_wants_it(where: Place) -> None:
    """0 seconds."""
    kept = KeptResponses(where, 0, 2**20)
    run(kept.keep("key", Kept("a", None, said("one"))))
    with pytest.raises(PreviousResponseUnknown):
        run(kept.past("key", "a"))
    kept.close()


def test_a_file_is_shared_private_and_leaves_nothing_of_what_is_forgotten(tmp_path: Path) -> None:
    """Workers of one host share it, a restart leaves it, its owner alone reads it."""
    path = tmp_path / "responses.db"
    one, other = KeptResponses(ResponsesFile(path), 60, 2**20), KeptResponses(ResponsesFile(path), 60, 2**20)
    run(one.keep("key", Kept("a", None, said("xyzzy-secret"))))
    assert run(other.past("key", "a")).items[0]["content"] == "xyzzy-secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert run(other.forget("key", "a"))
    one.close()
    other.close()
    with sqlite3.connect(path) as left:
        left.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"xyzzy-secret" not in path.read_bytes()


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    """And the whole conversation can still be sent."""
    path = tmp_path / "responses.db"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(ResponsesUnavailable, match="whole conversation"):
        run(KeptResponses(ResponsesFile(path), 60, 2**20).past("key", "a"))


def test_hosts_that_share_a_database_keep_them_there_unless_told_otherwise(tmp_path: Path, either_url: str) -> None:
    """Else each worker keeps its own in memory, or the host a file."""

    def places(**changed: str) -> list[str]:
        settings = ServingSettings(_env_file=None, home=tmp_path, database_url=either_url, **changed)
        one, other = (KeptResponses(make(settings), 60, 2**20) for _ in range(2))
        run(one.keep("key", Kept("a", None, said("one"))))
        try:
            return [item["content"] for item in run(other.past("key", "a")).items]
        except PreviousResponseUnknown:
            return []
        finally:
            one.close()
            other.close()

    assert places() == (["one"] if either_url else [])
    assert places(keep_responses="memory") == []
    assert places(keep_responses="disk") == ["one"]
    assert (tmp_path / "var" / "responses.db").exists() == (not either_url)


def test_the_longest_conversation_is_read_at_once(where: Place) -> None:
    """A chain of as many responses as may go on from one another; what is beyond them is left out, not looked for for ever."""
    kept = KeptResponses(where, 60, 2**24)
    for number in range(60):
        run(kept.keep("key", Kept(f"r{number}", f"r{number - 1}" if number else None, said(str(number)))))
    run(kept.keep("key", Kept("again", "again", said("round"))))
    assert len(run(kept.past("key", "r59")).items) == 60
    assert len(run(kept.past("key", "again")).items) == LONGEST
    kept.close()
