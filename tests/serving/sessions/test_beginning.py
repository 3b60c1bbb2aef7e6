"""A conversation is known by what it began with."""

from hypothesis import given
from hypothesis import strategies as st

from serving.sessions.beginning import Beginnings

TEXTS = st.text(min_size=0, max_size=20)


def conversation(turns: list[str]) -> list[dict[str, str]]:
    """System text, then users and assistants in turn."""
    return [
        {"role": "system", "content": "s"},
        *({"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(turns)),
    ]


@given(st.lists(TEXTS, min_size=1, max_size=9).filter(lambda turns: len(turns) % 2), TEXTS, TEXTS)
def test_the_next_request_finds_the_one_before(turns, answer, question) -> None:
    """Whatever was said, the next request's answered beginnings hold the whole of this one."""
    asked = Beginnings.of(conversation(turns), {})
    following = Beginnings.of(conversation([*turns, answer, question]), {})
    assert asked.whole in following.answered()
    assert following.tokens(asked.whole) == asked.tokens(asked.whole) > 0


def test_another_beginning_is_another_conversation() -> None:
    """A changed word, role, tool call or tool leaves nothing in common; marks for a cache and an endpoint's own state do not matter."""
    messages = conversation(["a", "b", "c"])
    whole = Beginnings.of(messages, {}).whole
    assert Beginnings.of(conversation(["A", "b", "c"]), {}).whole != whole
    assert Beginnings.of(messages, {"tools": [{"type": "function"}]}).whole != whole
    assert Beginnings.of([*messages[:2], {**messages[2], "tool_calls": [{"id": "1"}]}, *messages[3:]], {}).whole != whole
    marked = [{"type": "text", "text": "c", "cache_control": {"type": "ephemeral"}}]
    assert Beginnings.of([*messages[:3], {"role": "user", "content": marked}], {}).whole == whole
    thought = {**messages[2], "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}
    assert Beginnings.of([*messages[:2], thought, messages[3]], {}).whole == whole


def test_what_only_begins_alike_is_no_session() -> None:
    """Two conversations of the same first words are two; nothing was answered in either."""
    assert Beginnings.of(conversation(["hello"]), {}).answered() == ()
    assert Beginnings.of(conversation(["a", "b", "c"]), {}).tokens("elsewhere") == 0
