"""Orders the LLMs that may answer and picks the set that does: expected quality minus what its cost and latency are worth."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from mixture.choose.options import Options
from mixture.choose.work import work
from mixture.energy import together
from mixture.llm import LLM
from mixture.usage import Usage

Order = Literal["value", "strict"]

# Sets are compared one by one, so only this many LLMs enter: 175 sets of at most three, about a millisecond.
CONSIDERED = 10
# Errors of LLMs on the same weights mostly coincide: a second prompt style counts as this share of an independent LLM.
SAME_WEIGHTS = 0.3
TOKENS_IN, TOKENS_OUT = 400, 200  # of a call nobody has measured; only their order of magnitude matters
PATIENCE = 2.0  # times its expected latency, after which a call is late
LACKS = {
    "vision": "takes no images",
    "audio": "takes no audio",
    "files": "takes no files",
    "tools": "calls no tools",
    "json": "writes no structured output",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An LLM that may answer, and what is expected of it.

    prior: chance in [0, 1] that its answer is right. input_tokens, output_tokens, latency_s: expected of one call, None where unknown.
    usual_s: latency of a call that is answered, where `latency_s` counts those too that were given up.
    patience_s: how long it is waited for before it is late, where too little was seen of it; None where these latencies say it.
    silent: it gave no answer lately; it is asked where nobody else can be.
    cached_tokens: of the prompt, that its cache is expected to have. caches: whether it takes the rest into it, at `price.cache_write`.
    """

    llm: LLM
    prior: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_s: float | None = None
    usual_s: float | None = None
    patience_s: float | None = None
    silent: bool = False
    cached_tokens: int = 0
    caches: bool = False

    @property
    def cost_usd(self) -> float:
        """Expected cost of one call."""
        if not self.cached_tokens and not self.caches:
            usage = self._usage
            return self.llm.price.cost(usage.input_tokens, usage.output_tokens)
        return self.llm.price.bill(self._usage)

    @property
    def kwh(self) -> float | None:
        """Expected energy of one call, None where nobody knows it."""
        return None if self.llm.energy is None else self.llm.energy.kwh(self._usage)

    @property
    def _usage(self) -> Usage:
        output = min(TOKENS_OUT, self.llm.decoding.max_tokens) if self.output_tokens is None else self.output_tokens
        read = TOKENS_IN if self.input_tokens is None else self.input_tokens
        cached = min(self.cached_tokens, read)
        return Usage(read, output, cache_read=cached, cache_write=read - cached if self.caches else 0)

    @property
    def family(self) -> str:
        """Which weights answer."""
        return self.llm.family

    @property
    def unproven(self) -> bool:
        """Whether too little was seen of it to know when it is late."""
        return self.patience_s is not None or self.latency_s is None

    @property
    def late_after_s(self) -> float:
        """How long a call may take before it is late: as long as its first word may where nothing better is known."""
        if self.patience_s is not None:
            return self.patience_s
        if self.latency_s is None:
            return min(self.llm.limits.first_token_s, self.llm.limits.total_s)
        return PATIENCE * (self.usual_s or self.latency_s)

    def reading(self, input_tokens: int) -> "Candidate":
        """The same for a prompt of so many tokens. What is expected for another prompt's length takes longer or shorter now."""
        if self.input_tokens is None or self.output_tokens is None:
            return replace(self, input_tokens=input_tokens)
        factor = work(input_tokens, self.output_tokens) / work(self.input_tokens, self.output_tokens)
        latency_s, usual_s, patience_s = (
            None if each is None else factor * each for each in (self.latency_s, self.usual_s, self.patience_s)
        )
        return replace(self, input_tokens=input_tokens, latency_s=latency_s, usual_s=usual_s, patience_s=patience_s)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One candidate in its place: `chosen` ones answer, the others stand by in this order.

    value: quality x its weight - what the expected cost and latency are worth, of this LLM alone.
    """

    candidate: Candidate
    value: float
    cost_usd: float
    latency_s: float
    chosen: bool

    @property
    def id(self) -> str:
        """The LLM's id."""
        return self.candidate.llm.id

    @property
    def quality(self) -> float:
        """Expected quality in [0, 1]."""
        return self.candidate.prior


def rank(candidates: Iterable[Candidate], options: Options, *, order: Order = "value", refine_gain: float = 0.0) -> tuple[Ranked, ...]:
    """The candidates that may answer, the chosen set of at most `options.k` first, best first in both parts, the silent ones last.

    order: "value" weighs quality, price and latency and chooses the best set, in which `refine_gain` is what combining answers brings.
    "strict" is RouteMoA's priority, performance > output price > input price > latency, and chooses the first.
    The order of `candidates` has no influence. Empty where none may answer; `refusal` says why of each.
    """
    eligible = sorted((each for each in candidates if refusal(each, options) is None), key=lambda each: each.llm.id)
    heard = [each for each in eligible if not each.silent]
    if 0 < len(heard) < len(eligible):
        silent = rank([each for each in eligible if each.silent], options, order=order, refine_gain=refine_gain)
        return *rank(heard, options, order=order, refine_gain=refine_gain), *(replace(each, chosen=False) for each in silent)
    if order == "strict":
        ordered = sorted(eligible, key=_strictly)
        chosen: Sequence[Candidate] = ordered[: options.k]
    else:
        ordered = sorted(eligible, key=lambda each: _preference([each], options, refine_gain), reverse=True)
        chosen = _best_set(eligible, ordered, options, refine_gain)
    chosen_ids = {each.llm.id for each in chosen}
    in_place = [each for each in ordered if each.llm.id in chosen_ids] + [each for each in ordered if each.llm.id not in chosen_ids]
    return tuple(Ranked(each, value(each, options), each.cost_usd, each.latency_s or 0.0, each.llm.id in chosen_ids) for each in in_place)


def refusal(candidate: Candidate, options: Options) -> str | None:
    """Why this candidate may not answer under `options`, None where it may."""
    llm = candidate.llm
    if llm.status == "retired":
        return "retired"
    if not math.isfinite(candidate.prior):
        return f"no score ({candidate.prior})"
    if options.counts_cost and not llm.price.known:
        return "its price is unknown, and cost counts here"
    if options.counts_energy and llm.energy is None:
        return "its energy is unknown, and energy counts here"
    if missing := options.capabilities - llm.capabilities:
        return ", ".join(LACKS.get(each, f"cannot {each}") for each in sorted(missing))
    if options.data_policy is not None and not options.data_policy & llm.data_policy:
        return f"data policy {sorted(llm.data_policy)} is none of {sorted(options.data_policy)}"
    if not _fits(candidate):
        return f"about {candidate.input_tokens} tokens do not fit its context window of {llm.context_window}"
    return None


def only_too_long(candidate: Candidate, options: Options) -> bool:
    """Whether this candidate could answer a shorter prompt under `options`."""
    return not _fits(candidate) and refusal(replace(candidate, input_tokens=None), options) is None


def value(candidate: Candidate, options: Options) -> float:
    """What asking one LLM is worth: its quality - its cost - its latency - its energy, each at its weight."""
    penalty = options.weights.penalty(candidate.cost_usd, candidate.latency_s or 0.0, candidate.kwh)
    return options.weights.quality * candidate.prior - penalty


def expected_quality(members: Sequence[Candidate], refine_gain: float) -> float:
    """Expected quality of the answer made from all `members`' answers.

    The best one's, plus `refine_gain` of what lies between it and the chance that any of them is right, errors of different weights
    taken as independent.
    """
    if not members:
        return 0.0
    ordered = sorted(members, key=lambda each: (-each.prior, each.llm.id))
    families: set[str] = set()
    all_wrong = 1.0
    for each in ordered:
        all_wrong *= 1.0 - each.prior * (SAME_WEIGHTS if each.family in families else 1.0)
        families.add(each.family)
    best = ordered[0].prior
    return best + refine_gain * (1.0 - all_wrong - best)


def with_quality(candidates: Iterable[Candidate], scores: Mapping[str, float]) -> tuple[Candidate, ...]:
    """The candidates with each one's score in place of its prior, where it has one."""
    return tuple(replace(each, prior=scores.get(each.llm.id, each.prior)) for each in candidates)


def _fits(candidate: Candidate) -> bool:
    return candidate.input_tokens is None or candidate.input_tokens < candidate.llm.context_window


def _strictly(candidate: Candidate) -> tuple[float, float, float, float, str]:
    """The paper's order: performance > output price > input price > latency."""
    price = candidate.llm.price
    return -candidate.prior, price.output, price.input, candidate.latency_s or 0.0, candidate.llm.id


def _best_set(eligible: Sequence[Candidate], ordered: Sequence[Candidate], options: Options, refine_gain: float) -> tuple[Candidate, ...]:
    """The set of at most k with the highest value; of equal ones the cheaper, faster, better, smaller, and then the first by id."""
    worth_a_look = {each.llm.id for each in ordered[:CONSIDERED]}
    considered = [each for each in eligible if each.llm.id in worth_a_look]
    sets = (members for size in range(1, options.k + 1) for members in combinations(considered, size))
    return max(sets, key=lambda members: (*_preference(members, options, refine_gain), -len(members)), default=())


def _preference(members: Sequence[Candidate], options: Options, refine_gain: float) -> tuple[float, float, float, float]:
    """The value of a set, and what decides between equal ones: what a weight of nothing leaves out still tells a dominated LLM apart."""
    cost_usd = math.fsum(each.cost_usd for each in members)
    latencies_s = [each.latency_s or 0.0 for each in members]
    expected = expected_quality(members, refine_gain)
    kwh = together(each.kwh for each in members) if options.counts_energy else 0.0
    worth = options.weights.quality * expected - options.weights.penalty(cost_usd, max(latencies_s, default=0.0), kwh)
    return worth, -cost_usd, -sum(latencies_s), expected
