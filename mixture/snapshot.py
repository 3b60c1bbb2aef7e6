"""What a decision was made from, kept in its record: enough to decide again, and not one word of the request."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mixture.choose.action import OFF, Explore
from mixture.choose.ranking import Candidate
from mixture.choose.session import Session
from mixture.client.request_size import CALLS, DECLARED, images, size, size_of_field
from mixture.llm import Message, SelfAssessment
from mixture.price import RATES, Override, Price

COUNTED = ("n", "max_tokens", "max_completion_tokens")  # fields of the request on which the cost of a call depends


@dataclass(frozen=True, slots=True)
class CandidateSnapshot:
    """One LLM as the ranking saw it. weights: the first id among LLMs on the same weights. USD per million tokens; sizes in bytes.

    output_tokens, latency_s: expected of one call, None where unknown. self_assessment: how it is asked for one.
    schedule: the price in force, where it is more than those two numbers.
    energy: joules per token in, per token out, and per call; None where unknown.
    patience_s: how long an LLM is waited for of which too little was seen. usual_s, silent, cached_tokens, caches: as
    `mixture.choose.ranking.Candidate` has them.
    """

    llm: str
    weights: str
    input_usd: float
    output_usd: float
    context_window: int
    max_tokens: int
    system_bytes: int
    suffix_bytes: int
    output_tokens: int | None
    latency_s: float | None
    self_assessment: SelfAssessment = "in_text"
    usual_s: float | None = None
    patience_s: float | None = None
    silent: bool = False
    schedule: Mapping[str, Any] | None = None
    cached_tokens: int = 0
    caches: bool = False
    energy: tuple[float, float, float] | None = None

    @property
    def price(self) -> Price:
        """What the ranking and the ledger reckoned with."""
        if self.schedule is None:
            return Price(self.input_usd, self.output_usd)
        return Price(**{**self.schedule, "overrides": tuple(Override(**each) for each in self.schedule["overrides"])})


@dataclass(frozen=True, slots=True)
class Turn:
    """The shape of one message: its role, bytes of text, images or other media in it, and bytes of its calls of tools."""

    role: str
    size: int
    images: int
    calls: int = 0

    @classmethod
    def of(cls, message: Message) -> "Turn":
        """Of this message."""
        calls = sum(size(message[name]) for name in CALLS if message.get(name))
        return cls(str(message.get("role")), size(message.get("content")), images([message]), calls)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A request's shape and the LLMs that had a score. deadline_s: from the request's start. streamed: whether it was.

    counted: the request's COUNTED fields. tools_bytes, form_bytes, other_bytes: of its tools, of the answer's form that it wants, and of
    all its other fields.
    session: what was known of its session, None where it has none. explore: what of the choice was left to chance.
    """

    turns: tuple[Turn, ...]
    counted: Mapping[str, int]
    tools_bytes: int
    other_bytes: int
    deadline_s: float | None
    streamed: bool
    candidates: tuple[CandidateSnapshot, ...]
    session: Session | None = None
    explore: Explore = OFF
    form_bytes: int = 0

    @classmethod
    def of(
        cls,
        messages: Sequence[Message],
        fields: Mapping[str, Any],
        candidates: Sequence[Candidate],
        *,
        deadline_s: float | None,
        streamed: bool,
        session: Session | None = None,
        explore: Explore = OFF,
    ) -> "Snapshot":
        """The shape of this request."""
        families: dict[str, str] = {}
        for each in sorted(candidates, key=lambda each: each.llm.id):
            families.setdefault(each.family, each.llm.id)
        return cls(
            turns=tuple(map(Turn.of, messages)),
            counted={name: int(fields[name]) for name in COUNTED if fields.get(name) is not None},
            tools_bytes=size(fields.get("tools") or fields.get("functions")),
            form_bytes=size(fields.get("response_format")),
            other_bytes=sum(size_of_field(value) for name, value in fields.items() if name not in {*COUNTED, *DECLARED}),
            deadline_s=deadline_s,
            streamed=streamed,
            candidates=tuple(_candidate(each, families[each.family]) for each in candidates if math.isfinite(each.prior)),
            session=session,
            explore=explore,
        )

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Snapshot":
        """What `as_dict` wrote. Raises TypeError or KeyError where it is something else."""
        turns = tuple(Turn(**turn) for turn in tree["turns"])
        session = Session(**tree["session"]) if tree.get("session") else None
        candidates = tuple(CandidateSnapshot(**each) for each in tree["candidates"])
        explore = Explore(**tree["explore"]) if tree.get("explore") else OFF
        return cls(**{**tree, "turns": turns, "candidates": candidates, "session": session, "explore": explore})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        tree = asdict(self)
        return {**tree, "turns": list(tree["turns"]), "candidates": list(tree["candidates"])}


def _candidate(candidate: Candidate, weights: str) -> CandidateSnapshot:
    llm = candidate.llm
    return CandidateSnapshot(
        llm=llm.id,
        weights=weights,
        input_usd=llm.price.input,
        output_usd=llm.price.output,
        context_window=llm.context_window,
        max_tokens=llm.decoding.max_tokens,
        system_bytes=size(llm.prompt.system),
        suffix_bytes=size(llm.prompt.suffix),
        output_tokens=candidate.output_tokens,
        latency_s=candidate.latency_s,
        self_assessment=llm.self_assessment,
        usual_s=candidate.usual_s,
        patience_s=candidate.late_after_s if candidate.unproven else None,
        silent=candidate.silent,
        schedule=None if llm.price.flat else _schedule(llm.price),
        cached_tokens=candidate.cached_tokens,
        caches=candidate.caches,
        energy=None if llm.energy is None else (llm.energy.input, llm.energy.output, llm.energy.request),
    )


def _schedule(price: Price) -> dict[str, Any]:
    """JSON-ready; of overrides only their rates and prompt length, which is all that a price in force has."""
    names = (*RATES, "discount")
    overrides = [{name: getattr(each, name) for name in (*RATES, "longer_than")} for each in price.overrides if not each.timed]
    return {name: getattr(price, name) for name in names} | {"overrides": overrides}
