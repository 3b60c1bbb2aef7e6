"""What one endpoint wrote for itself, another one does not get."""

from mixture.client import signed_thinking

THOUGHT = {
    "role": "assistant",
    "content": [{"type": "thinking", "thinking": "hm", "signature": "abc"}, {"type": "text", "text": "yes"}],
    "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
    "tool_calls": [{"id": "1"}],
}
PLAIN = {"role": "user", "content": "go on"}


def test_state_goes_and_words_and_calls_stay() -> None:
    """Before the given place only; messages without any are the very same."""
    messages = [PLAIN, THOUGHT, PLAIN, THOUGHT]
    bare = signed_thinking.without(messages, 2)
    assert bare[1] == {"role": "assistant", "content": [{"type": "text", "text": "yes"}], "tool_calls": [{"id": "1"}]}
    assert bare[3] is THOUGHT
    assert signed_thinking.count(messages) == 2
    assert signed_thinking.without(messages, 1) is messages
