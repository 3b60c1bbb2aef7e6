"""What calls used, as vendors bill it: tokens read, of them from and into a cache, tokens written, of them thought, requests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, or of `requests` calls together.

    input_tokens: all that was read; cache_read, cache_write, cache_write_1h (kept five minutes, an hour) are parts of it.
    output_tokens: all that was written; reasoning is the part of it that was thought. estimated: whether the endpoint left something
    uncounted, so that these are partly ours.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    requests: int = 1
    estimated: bool = False

    @property
    def uncached(self) -> int:
        """Tokens read that no cache had or took; never negative, whatever an endpoint says."""
        return max(0, self.input_tokens - self.cache_read - self.cache_write - self.cache_write_1h)

    @property
    def spoken(self) -> int:
        """Tokens written that were not thought."""
        return max(0, self.output_tokens - self.reasoning)

    @property
    def prompt_length(self) -> int:
        """Tokens of one prompt, by which prices are tiered."""
        return self.input_tokens // max(1, self.requests)
