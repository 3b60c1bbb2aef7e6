"""The part of a query's text an encoder reads; training and serving must cut alike or their embeddings differ."""

CHARACTERS_PER_TOKEN = 32  # far above any tokenizer's average, so the cut only spares it megabytes it would truncate anyway


def tail(text: str, max_tokens: int) -> str:
    """The last characters of `text`, more than `max_tokens` can hold, without lone surrogates (tokenizers refuse them)."""
    return text[-max_tokens * CHARACTERS_PER_TOKEN :].encode("utf-8", "replace").decode("utf-8")
