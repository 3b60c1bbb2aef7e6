"""The dialects that this server speaks, and which one an address is of."""

from serving.dialects.chat import ChatDialect
from serving.dialects.dialect import Dialect
from serving.dialects.messages import MessagesDialect
from serving.dialects.passed_on import CompletionsDialect, EmbeddingsDialect
from serving.dialects.responses import ResponsesDialect

CHAT = ChatDialect()
RESPONSES = ResponsesDialect()
MESSAGES = MessagesDialect()
EMBEDDINGS = EmbeddingsDialect()
COMPLETIONS = CompletionsDialect()
SPOKEN: tuple[Dialect, ...] = (CHAT, RESPONSES, MESSAGES, EMBEDDINGS, COMPLETIONS)


def dialect_of(path: str) -> Dialect:
    """What is answered at `path` is written in this; at addresses of no dialect, errors are in OpenAI's schema."""
    return next((each for each in SPOKEN if path == each.path or path.startswith(f"{each.path}/")), CHAT)
