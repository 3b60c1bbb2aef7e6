"""Conversations composed of recorded queries, and the caches of the endpoints that answer them: what `benchmarks.sessions` runs on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixture.client.token_estimate import ASCII_PER_TOKEN
from mixture.price import Price
from mixture.usage import Usage

CACHE_S = 300.0
CACHE_LEAST = 1024  # tokens: most vendors cache nothing shorter
CALL_TOKENS = 60  # of an answer that calls a tool
ROUND_S = 8.0  # between a call of tools and its results


@dataclass(frozen=True, slots=True)
class Kind:
    """What conversations are like. Counts are of uniform draws, both ends included.

    turns: of the user. system: tokens of system text and tools. rounds: of tools a user turn. result: tokens of a tool's results.
    stays: chance that a turn is of the same group as the one before. gap_s, spread: median and log-deviation between user turns.
    """

    turns: tuple[int, int]
    system: tuple[int, int]
    rounds: tuple[int, int]
    result: tuple[int, int]
    stays: float = 0.8
    gap_s: float = 60.0
    spread: float = 1.2


KINDS: Mapping[str, Kind] = {
    "chat": Kind(turns=(2, 10), system=(50, 800), rounds=(0, 0), result=(0, 0)),
    "agent": Kind(turns=(2, 8), system=(6000, 16000), rounds=(0, 6), result=(200, 2500)),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One request. query: the row of its user turn. at_s: from the conversation's start. added: tokens that come before it since the last
    answer. last: whether its answer is the one to the user.
    """

    query: int
    at_s: float
    added: int
    last: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """system: tokens before the first turn."""

    id: str
    system: int
    steps: tuple[Step, ...]


def composed(groups_Q: NDArray[np.str_], tokens_Q: NDArray[np.float64], kind: Kind, most: int, seed: int) -> list[Conversation]:
    """`most` conversations that mostly stay with a group; no query comes again before all have been asked. groups_Q, tokens_Q: of each."""
    random = np.random.default_rng(seed)
    made: list[Conversation] = []
    repeat = 0
    while len(made) < most:
        repeat += 1
        left = {group: list(random.permutation(np.flatnonzero(groups_Q == group))) for group in np.unique(groups_Q)}
        while left:
            group, at_s, steps = str(random.choice(list(left))), 0.0, []
            for turn in range(_drawn(random, kind.turns)):
                if group not in left or (turn and random.random() > kind.stays):
                    if not left:
                        break
                    group = str(random.choice(list(left)))
                query = int(left[group].pop())
                left = {name: rest for name, rest in left.items() if rest}
                at_s += float(random.lognormal(np.log(kind.gap_s), kind.spread)) if turn else 0.0
                tools = _drawn(random, kind.rounds)
                added = max(1, round(float(tokens_Q[query])))
                for each in range(tools + 1):
                    steps.append(Step(query, at_s, added, last=each == tools))
                    added = max(1, _drawn(random, kind.result))
                    at_s += ROUND_S
            made.append(Conversation(f"{repeat}-{len(made)}", _drawn(random, kind.system), tuple(steps)))
    return made[:most]


def _drawn(random: np.random.Generator, ends: tuple[int, int]) -> int:
    return int(random.integers(ends[0], ends[1] + 1))


@dataclass(frozen=True, slots=True)
class Call:
    """What reached an endpoint, for whoever bills it: segments of the prompt, each with a name that is its content's, and its tokens."""

    llm: str
    at_s: float
    segments: tuple[tuple[str, int], ...]
    output_tokens: int


@dataclass(slots=True)
class Caches:
    """The endpoints' caches of one conversation: a prompt's beginning is read where it was part of a prompt within the last CACHE_S.

    writes: whether what is not read is written, at the price of that.
    """

    writes: bool
    _until: dict[tuple[str, tuple[str, ...]], float] = field(default_factory=dict)  # by LLM and the names of the prompt's segments

    def usage(self, call: Call) -> Usage:
        """What the endpoint counts, which then has the prompt in its cache."""
        names = tuple(name for name, _ in call.segments)
        sizes = [tokens for _, tokens in call.segments]
        warm = [place for place in range(1, len(names) + 1) if self._until.get((call.llm, names[:place]), -1.0) >= call.at_s]
        read = sum(sizes[: max(warm, default=0)])
        read = read if read >= CACHE_LEAST else 0
        self._until[call.llm, names] = call.at_s + CACHE_S
        total = sum(sizes)
        writes = total - read if self.writes and total >= CACHE_LEAST else 0
        return Usage(total, call.output_tokens, cache_read=read, cache_write=writes)


@dataclass(slots=True)
class Dialogue:
    """A conversation as its caller sends it: messages of as many characters as tell their tokens, and the same as segments.

    fields: of its requests; an agent's offer tools, whose text is counted with the system's.
    """

    conversation: Conversation
    messages: list[dict[str, Any]] = field(default_factory=list)
    segments: list[tuple[str, int]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    _calls: int = 0

    def __post_init__(self) -> None:
        if any(not step.last for step in self.conversation.steps):
            self.fields["tools"] = [{"type": "function", "function": {"name": "tool"}}]
        self._add({"role": "system", "content": _text("system", self.conversation.system)}, self.conversation.system)

    def asks(self, step: Step, *, first: bool) -> None:
        """Adds what comes before the step's answer: the user's turn, or a tool's results."""
        role: dict[str, Any] = {"role": "user"} if first else {"role": "tool", "tool_call_id": f"call-{self._calls}"}
        self._add({**role, "content": _text(f"{step.query} {step.at_s}", step.added)}, step.added)

    def answers(self, llm: str, tokens: int, *, last: bool) -> None:
        """Adds the answer of an LLM."""
        message: dict[str, Any] = {"role": "assistant", "content": _text(f"{llm} says", tokens)}
        if not last:
            self._calls += 1
            function = {"name": "tool", "arguments": "{}"}
            message["tool_calls"] = [{"id": f"call-{self._calls}", "type": "function", "function": function}]
        self._add(message, tokens)

    def _add(self, message: dict[str, Any], tokens: int) -> None:
        self.messages.append(message)
        self.segments.append((f"{len(self.segments)} {message['content'][:40]}", tokens))


def _text(begins: str, tokens: int) -> str:
    return begins.ljust(ASCII_PER_TOKEN * tokens, ".")[: ASCII_PER_TOKEN * tokens]


def cached_price(price: Price, read: float, write: float | None) -> Price:
    """`price` with a cache whose rates are these shares of its input rate; None where writing costs what reading does."""
    return Price(price.input, price.output, cache_read=read * price.input, cache_write=None if write is None else write * price.input)
