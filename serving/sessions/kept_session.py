"""What is kept of a session between two requests, and its JSON. No words of the conversation are in it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import orjson


@dataclass(frozen=True, slots=True)
class Cached:
    """What an LLM's cache has of the conversation: up to the message of this hash, tokens as the endpoint counted, until (epoch seconds).

    cold: whether it had nothing the last time, though it should have.
    """

    prefix: str
    tokens: int
    until: float
    cold: bool = False


@dataclass(frozen=True, slots=True)
class KeptSession:
    """llm: who gave the last answer, None where it was made of several. caches: by LLM id. version, scores: of the last scored turn.

    present: the hash up to the last request's user turn. requests, turns: answered so far, and those with a new user turn.
    own_from: the place of the first message that `llm` may have written.
    spent_usd, rebilled_usd: over all requests. began: epoch seconds.
    """

    id: str
    llm: str | None = None
    caches: Mapping[str, Cached] = field(default_factory=dict)
    version: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    present: str = ""
    requests: int = 0
    turns: int = 0
    own_from: int = 0
    spent_usd: float = 0.0
    rebilled_usd: float = 0.0
    began: float = 0.0

    def as_json(self) -> bytes:
        """Read back by `from_json`."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, written: bytes) -> "KeptSession":
        """What `as_json` wrote. Raises TypeError, ValueError or KeyError where it is something else."""
        tree = orjson.loads(written)
        return cls(**{**tree, "caches": {llm: Cached(**each) for llm, each in tree["caches"].items()}})


def read(written: bytes) -> KeptSession | None:
    """A session as it was kept, None for one of another version: it is as if there were none."""
    try:
        return KeptSession.from_json(written)
    except (TypeError, ValueError, KeyError):
        return None
