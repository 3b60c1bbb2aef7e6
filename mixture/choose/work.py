"""How much of an LLM's time a call takes, by its tokens: what its latency grows with."""

# Tokens of a prompt that are read in the time in which one is written: 3 on a CPU, 50 and more where prompts are read in big batches.
READ_PER_WRITTEN = 10
# Tokens that could be written while a call travels, waits and starts: without them a call of one token would be expected at once, and one
# of a thousand, by an LLM that is known by calls of one token, to last for minutes.
START_TOKENS = 10


def work(input_tokens: float, output_tokens: float) -> float:
    """Of one call, in output tokens. A call's latency is this times the LLM's seconds per output token."""
    return START_TOKENS + input_tokens / READ_PER_WRITTEN + output_tokens
