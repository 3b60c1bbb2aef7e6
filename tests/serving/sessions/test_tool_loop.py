"""Where a loop of tool calls stands."""

import pytest

from serving.sessions import tool_loop

USER = {"role": "user", "content": "do it"}
REMINDER = {"role": "user", "content": "<system-reminder>todo</system-reminder>"}


def call(name: str) -> dict:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": name, "type": "function", "function": {"name": "t", "arguments": ""}}],
    }


def result(name: str, content: str = "fine", **more) -> dict:
    return {"role": "tool", "tool_call_id": name, "content": content, **more}


@pytest.mark.parametrize(
    ("messages", "turn", "inside", "waits"),
    [
        ([USER], 0, False, False),
        ([USER, call("1"), result("1")], 0, True, False),
        ([USER, call("1"), result("1"), REMINDER], 0, True, False),
        ([USER, call("1"), result("1"), {"role": "assistant", "content": "done"}, USER], 4, False, False),
        ([USER, call("1"), USER], 2, False, True),
        ([USER, {"role": "assistant", "content": "done"}], 0, False, False),
        (
            [USER, {"role": "assistant", "content": None, "function_call": {"name": "t"}}, {"role": "function", "content": "x"}],
            0,
            True,
            False,
        ),
    ],
)
def test_a_loop_goes_on_until_the_user_is_answered(messages, turn, inside, waits) -> None:
    """Results since the user's turn are inside; calls without a result wait."""
    assert tool_loop.is_inside(messages, turn) == inside
    assert tool_loop.calls_wait(messages) == waits


def test_errors_count_in_a_row_up_to_the_end() -> None:
    """By their own mark, by JSON, by how they begin; a good result ends the row."""
    failing = [
        call("2"),
        result("2", "Error: no such file"),
        call("3"),
        result("3", '{"error": "x"}'),
        call("4"),
        result("4", is_error=True),
    ]
    assert tool_loop.errors_in_a_row([USER, call("1"), result("1"), *failing]) == 3
    assert tool_loop.errors_in_a_row([USER, *failing, call("5"), result("5", "0 errors")]) == 0
    assert tool_loop.errors_in_a_row([USER, *failing, USER]) == 0
    assert tool_loop.errors_in_a_row([USER, call("1"), result("1", '{"error": ')]) == 0
