"""A simulated world for `benchmarks.mixture_limits`: random pools, and LLMs that are slow, broken, garbled and charge for it.

Everything is drawn from seeded generators, one per query and one per call (by LLM and what it is asked), so that a query's world is the
same whoever else is asked at the time.

- pool: 5 to 15 LLMs, some of them on the same weights; skill (chance of a right answer) from Beta(4, 3), prior = skill + N(0, 0.1)
- price: log-normal around 1 USD per million output tokens (sigma 1.3), input a third of it; expected output 30 to 400 tokens, at most 512
- latency: a median per LLM, log-normal around 2 s (sigma 0.6); each call log-normal around it (sigma 0.45), some 3 to 30 times slower
- every twelfth LLM is broken for good; single calls fail at the rates of FAULTS, some of them after the endpoint began to charge
- judgements: a fifth missing, a tenth garbled or out of range, the others noisy numbers
- budgets: 70 % of queries, log-uniform around a few calls and often below one; deadlines: 70 %, log-uniform from 0.3 s to 60 s
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.choose.strategy import Strategy
from mixture.client.protocol import Call, Chunk, Reply
from mixture.client.request_size import worst_case_usd
from mixture.errors import LLMFailed, LLMGarbled, LLMOverloaded, LLMRefused, LLMTimedOut, LLMUnreachable
from mixture.llm import LLM, Decoding, Endpoint, Limits, Message
from mixture.price import Price

BY_VALUE = Layered(order="value")
SPREAD = 0.45  # sigma of one LLM's latencies
HANGS_S = 60.0  # `limits.total_s` of every LLM: a call that hangs is given up by the client then
ATTEMPTS = 3  # as OpenAIClient: retryable errors are tried again
FAULTS = {"overloaded": 0.02, "refused": 0.01, "breaks": 0.03, "garbled": 0.01, "empty": 0.02, "hangs": 0.02, "overlong": 0.01}


@dataclass(frozen=True, slots=True)
class Character:
    """What an LLM is really like. latency_s: the median of its calls. broken: every call fails."""

    skill: float
    latency_s: float
    output_tokens: float
    broken: bool = False


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """One request. deadline_s: after its start. hangs_up_s: when the caller leaves, None where it stays."""

    number: int
    candidates: tuple[Candidate, ...]
    characters: dict[str, Character]
    options: Options
    prose: bool
    live: bool = False
    deadline_s: float | None = None
    hangs_up_s: float | None = None
    faults: bool = True
    strategy: Strategy = BY_VALUE

    @property
    def messages(self) -> list[Message]:
        """The conversation; the query's number leads its first words."""
        return [{"role": "user", "content": f"query {self.number}: " + "what is it that we want to know? " * (1 + self.number % 40)}]


@dataclass(slots=True)
class Charge:
    """What one attempt of a call cost. excess_usd: by how much an LLM that ignored its limit passed the worst case."""

    llm: str
    usd: float = 0.0
    excess_usd: float = 0.0
    ended: bool = False
    text: str = ""


@dataclass(slots=True)
class Charges:
    """What the endpoints know of one query: every attempt, whatever became of it."""

    attempts: list[Charge] = field(default_factory=list)
    running: int = 0

    @property
    def spent_usd(self) -> float:
        """Truly charged."""
        return math.fsum(each.usd for each in self.attempts)

    @property
    def excess_usd(self) -> float:
        """Beyond the worst cases."""
        return math.fsum(each.excess_usd for each in self.attempts)


@dataclass(slots=True)
class FaultyLLMs:
    """Implements `mixture.client.protocol.Client` for the queries it is told of."""

    seed: int
    queries: dict[int, SimulatedRequest] = field(default_factory=dict)
    charges: dict[int, Charges] = field(default_factory=dict)

    def enter(self, query: SimulatedRequest) -> Charges:
        """Takes in a query; what it is charged."""
        self.queries[query.number] = query
        return self.charges.setdefault(query.number, Charges())

    async def ask(self, call: Call) -> Reply:
        """One complete reply, after as many attempts as the client makes."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._attempt(call, attempt)
            except LLMFailed as failed:
                if attempt == ATTEMPTS - 1 or not failed.retryable or not call.may_retry(failed):
                    raise
                await asyncio.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The same; the first word after a third of the time, the others evenly over the rest."""
        dice, character, account = self._drawn_for(call, 0)
        charge = Charge(call.llm.id)
        account.attempts.append(charge)
        latency_s, fault = self._latency(dice, character), self._fault(dice, call, character)
        words = self._text(dice, call, character).split(" ")
        account.running += 1
        try:
            await asyncio.sleep(HANGS_S if fault == "hangs" else latency_s / 3)
            if fault == "hangs":
                raise _failure(call.llm.id, fault)
            if fault in {"overloaded", "refused"}:
                raise _failure(call.llm.id, fault)
            whole = self._charged(dice, call, character, charge, fault)
            for at, word in enumerate(words):
                charge.usd = whole.cost_usd * (at + 1) / len(words)
                yield Chunk(word if at == 0 else f" {word}")
                await asyncio.sleep(latency_s * 2 / 3 / len(words))
                if fault in {"breaks", "garbled"} and at >= len(words) // 2:
                    raise _failure(call.llm.id, fault)
            charge.usd, charge.ended, charge.text = whole.cost_usd, True, " ".join(words)
            yield Chunk("", reply=_reply(call, charge.text, whole, latency_s))
        finally:
            account.running -= 1

    async def _attempt(self, call: Call, attempt: int) -> Reply:
        dice, character, account = self._drawn_for(call, attempt)
        charge = Charge(call.llm.id)
        account.attempts.append(charge)
        latency_s, fault = self._latency(dice, character), self._fault(dice, call, character)
        whole = self._charged(dice, call, character, charge, fault)
        text = "" if fault == "empty" else self._text(dice, call, character)
        began = asyncio.get_running_loop().time()
        account.running += 1
        try:
            if fault == "hangs":
                await asyncio.sleep(HANGS_S)
            elif fault in {"overloaded", "refused"}:
                await asyncio.sleep(min(0.2, latency_s))
            else:
                await asyncio.sleep(latency_s / 2 if fault == "breaks" else latency_s)
        finally:
            account.running -= 1
            if fault not in {"overloaded", "refused"}:  # an endpoint charges for what it wrote, whether somebody waits for it or not
                took_s = asyncio.get_running_loop().time() - began
                charge.usd = whole.cost_usd * min(1.0, took_s / (HANGS_S if fault == "hangs" else latency_s))
        if fault in {"overloaded", "refused", "breaks", "garbled", "hangs"}:
            raise _failure(call.llm.id, fault)
        charge.ended, charge.text = True, text
        return _reply(call, text, whole, latency_s)

    def _drawn_for(self, call: Call, attempt: int) -> tuple[random.Random, Character, Charges]:
        number = _number_of(call)
        dice = random.Random(f"{self.seed} {call.llm.id} {attempt} {call.messages[-1]['content']}")
        return dice, self.queries[number].characters[call.llm.id], self.charges[number]

    def _query(self, call: Call) -> SimulatedRequest:
        return self.queries[_number_of(call)]

    @staticmethod
    def _latency(dice: random.Random, character: Character) -> float:
        slow = max(3.0, min(30.0, dice.paretovariate(1.2))) if dice.random() < 0.02 else 1.0
        return character.latency_s * dice.lognormvariate(0.0, SPREAD) * slow

    def _fault(self, dice: random.Random, call: Call, character: Character) -> str | None:
        if character.broken:
            return "breaks"
        drawn = dice.random()
        for name, rate in FAULTS.items():
            drawn -= rate
            if drawn < 0:
                return name if self._query(call).faults else None
        return None

    @staticmethod
    def _charged(dice: random.Random, call: Call, character: Character, charge: Charge, fault: str | None) -> Reply:
        """What the whole reply would cost; its tokens stay within the call's limits, but for an LLM that ignores them."""
        characters = sum(len(str(message["content"])) for message in call.messages)
        output = min(call.llm.decoding.max_tokens, max(1, round(character.output_tokens * dice.lognormvariate(0.0, 0.5))))
        if fault == "overlong":
            output = round(call.llm.decoding.max_tokens * dice.uniform(1.1, 2.0))
        cost = call.llm.price.cost(characters // 4 + 8, output)
        charge.excess_usd = max(0.0, cost - worst_case_usd(call))
        return Reply(call.llm.id, "", "stop", characters // 4 + 8, output, cost, 0.0)

    def _text(self, dice: random.Random, call: Call, character: Character) -> str:
        """An answer, right by the LLM's skill, with the judgements it was asked for: some missing, some garbled."""
        prompt = str(call.messages[-1]["content"])
        final = "42" if dice.random() < character.skill else str(dice.randint(43, 45))
        if self._query(call).prose:
            text = f"It is {final}, says {call.llm.id} number {dice.randint(0, 99)}.\n" + "Because of this and that.\n" * dice.randint(
                1, 30
            )
        else:
            text = f"Let me see.\nAnswer: {final}"
        peers = [line[1:-1] for line in prompt.splitlines() if line.startswith("[A")]
        if "SCORES:" in prompt:
            text += "\nSCORES: " + " ".join(f"{opaque}={_number(dice)}" for opaque in peers)
        return f"{text}\nCONFIDENCE: {_number(dice)}" if "CONFIDENCE:" in prompt and dice.random() > 0.2 else text


def _number_of(call: Call) -> int:
    """Which query a call is about: its first words say so."""
    content = str(call.messages[0]["content"])
    return int(content[len("query ") : content.index(":")])


def _number(dice: random.Random) -> str:
    return dice.choice(["high", "1.7", "-0.5", "0.NN", ""]) if dice.random() < 0.1 else f"{dice.betavariate(4, 2):.2f}"


def _reply(call: Call, text: str, whole: Reply, latency_s: float) -> Reply:
    return Reply(call.llm.id, text, "stop", whole.input_tokens, whole.output_tokens, whole.cost_usd, latency_s)


def _failure(llm: str, fault: str) -> LLMFailed:
    made: dict[str, LLMFailed] = {
        "overloaded": LLMOverloaded(llm, "HTTP 429: later"),
        "refused": LLMRefused(llm, "HTTP 400: no"),
        "breaks": LLMUnreachable(llm, "broke off before the reply was complete."),
        "garbled": LLMGarbled(llm, "the reply is no JSON."),
        "hangs": LLMTimedOut(llm, "no answer within 60.0 s (limits.total_s)."),
    }
    return made[fault]


def pool(dice: random.Random, size: int, *, broken: float = 1 / 12) -> tuple[tuple[Candidate, ...], dict[str, Character]]:
    """`size` LLMs and what is expected of them: latency and length as measured before, unknown for some."""
    candidates, characters = [], {}
    for at in range(size):
        name = f"llm-{at:02}"
        skill, median_s, tokens = dice.betavariate(4, 3), dice.lognormvariate(math.log(2.0), 0.6), dice.uniform(30, 400)
        price = dice.lognormvariate(0.0, 1.3)
        weights = name if at == 0 or dice.random() < 0.8 else f"llm-{at - 1:02}"
        llm = LLM(
            name, name, Price(price / 3, price), Endpoint("http://simulated/v1", weights), decoding=Decoding(max_tokens=512),
            limits=Limits(total_s=HANGS_S), context_window=dice.choice([4096, 32768]),
        )  # fmt: skip
        measured = dice.random() < 0.8
        expected_s = median_s * math.exp(SPREAD**2 / 2) if measured else None
        prior = min(0.99, max(0.01, skill + dice.gauss(0.0, 0.1)))
        candidates.append(Candidate(llm, prior, output_tokens=round(tokens) if measured else None, latency_s=expected_s))
        characters[name] = Character(skill, median_s, tokens, broken=dice.random() < broken)
    return tuple(candidates), characters


def query(seed: int, number: int) -> SimulatedRequest:
    """One random request with a pool of its own."""
    dice = random.Random(f"{seed} query {number}")
    candidates, characters = pool(dice, dice.randint(5, 15))
    call_usd = min(worst_case_usd(Call(each.llm, [{"role": "user", "content": "x" * 400}])) for each in candidates)
    drawn: dict[str, Any] = {
        "k": dice.choice([1, 2, 3, 3, 3, 4]),
        "max_layers": dice.choice([1, 2, 3]),
        "aggregation": dice.choice(["auto", "auto", "best", "vote", "synthesise"]),
        "weights": dice.choice([Weights(), Weights(usd=0, second=0), Weights(usd=100), Weights(second=0.02)]),
        "stop_threshold": dice.choice([0.85, 0.99]),
        "budget_usd": call_usd * math.exp(dice.uniform(math.log(0.3), math.log(300))) if dice.random() < 0.7 else None,
    }
    strategy = Layered(order="value", stop_threshold=drawn.pop("stop_threshold"))
    return SimulatedRequest(
        number=number,
        candidates=candidates,
        characters=characters,
        options=Options(**drawn),
        strategy=strategy,
        prose=dice.random() < 0.5,
        live=dice.random() < 0.3,
        deadline_s=math.exp(dice.uniform(math.log(0.3), math.log(60))) if dice.random() < 0.7 else None,
        hangs_up_s=dice.uniform(0.0, 5.0) if dice.random() < 0.05 else None,
    )
