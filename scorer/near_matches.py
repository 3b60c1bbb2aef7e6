"""The names a misspelt one may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 3
SIMILARITY = 0.5  # of difflib's ratio in [0, 1]: half of the characters, in their order


def near_matches(name: str, names: Iterable[str]) -> list[str]:
    """At most MOST of `names` that resemble `name`, the nearest first."""
    return get_close_matches(name, list(names), n=MOST, cutoff=SIMILARITY)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A sentence for an error's next step: the names near `name`, or all known ones where none is near."""
    every = list(names)
    if near := near_matches(name, every):
        return f"Did you mean {' or '.join(near)}?"
    return f"Known are {', '.join(every)}." if every else "There is none yet."
