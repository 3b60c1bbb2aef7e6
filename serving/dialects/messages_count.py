"""How many tokens a request in Anthropic's dialect has, as far as its characters tell."""

from mixture.client.request_size import expected_input_tokens
from serving.dialects.messages_request import as_chat
from serving.dialects.messages_schema import CountRequest


def expected_tokens(counted: CountRequest) -> int:
    """Of its system text, turns, images, calls of tools and tools together; rounded up."""
    chat = as_chat(counted)
    return expected_input_tokens(chat["messages"], chat)
