"""The mixture's limits under faults: `python -m benchmarks.mixture_limits [--queries 10000] [--seed 0] [--out FOLDER]`.

Simulated queries (benchmarks/mixture_world.py says how they are drawn) run through the real engine in virtual time. Counted, and every one
a reason to exit 1: money spent beyond a request's budget or time beyond its deadline by more than the call in flight, a record that
says less than was spent, calls left running, an answer that was there and was not returned, a request that another one changed.
Then: CPU per request of seven calls outside the calls (bar 15 ms), and p99 latency with one endpoint ten times slower (bar 1.3 times).
`--out` gets table.md and results.json.
"""

import argparse
import asyncio
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import report
from benchmarks.mixture_world import SPREAD, FaultyLLMs, SimulatedRequest, pool, query
from mixture.choose.final_answers import groups
from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.client.protocol import Call, Chunk, Reply
from mixture.decision import Decision, Run
from mixture.errors import LLMFailed, NoAnswer
from mixture.replay.replay import differences
from mixture.replay.virtual_time import clock, drive
from mixture.run.account import Account
from mixture.run.engine import Mixture
from mixture.run.request import Request
from scorer.recorded_calls import RecordedCalls
from serving.observed.latency import Experience, RequestSize

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOGETHER = 50  # queries at once
CPU_BAR_MS, P99_BAR = 15.0, 1.3
AT_THE_BAR = ("mixture", "mixture, latencies followed")  # at the default settings
SLOWER, WARM = 10.0, 100
POOLS, REQUESTS = 12, 200  # of the slow endpoint's part, and requests on each
SMALL = 1e-9  # of adding floats in another order


@dataclass(frozen=True, slots=True)
class RequestEnd:
    """How one request ended. reason: why it stopped, or why it has no answer. took_s: virtual seconds."""

    query: SimulatedRequest
    reason: str
    took_s: float
    spent_usd: float
    excess_usd: float
    calls: int
    decision: Decision | None = None
    violations: tuple[str, ...] = ()

    @property
    def over_usd(self) -> float:
        """Money beyond the budget."""
        return 0.0 if self.query.options.budget_usd is None else max(0.0, self.spent_usd - self.query.options.budget_usd)

    @property
    def over_s(self) -> float:
        """Time beyond the deadline."""
        return 0.0 if self.query.deadline_s is None else max(0.0, self.took_s - self.query.deadline_s)


async def ask(llms: FaultyLLMs, mixture: Mixture, request: SimulatedRequest, account: Account | None = None) -> RequestEnd:
    """One request, and what it violated."""
    charges, began = llms.enter(request), clock()
    options = replace(request.options, deadline=None if request.deadline_s is None else began + request.deadline_s)
    work = asyncio.ensure_future(_answer(mixture, request, options, account))
    if request.hangs_up_s is not None:
        await asyncio.wait([work], timeout=request.hangs_up_s)
        work.cancel()
    decision: Decision | None = None
    try:
        decision = await work
        reason = decision.stopped_because
    except NoAnswer as nothing:
        reason = f"no answer: {nothing.why}"
    except LLMFailed:
        reason = "the stream broke"
    except asyncio.CancelledError:
        reason = "the caller hung up"
    spent_usd, excess_usd = charges.spent_usd, charges.excess_usd
    end = RequestEnd(request, reason, clock() - began, spent_usd, excess_usd, len(charges.attempts), decision)
    answers = [attempt.text for attempt in charges.attempts if attempt.ended and attempt.text.strip()]
    violations = {
        "over its budget": end.over_usd > excess_usd + SMALL,
        "over its deadline": end.over_s > SMALL,
        "calls left running": charges.running > 0,
        "an answer was there and none was returned": reason.startswith("no answer") and bool(answers),
        "the record says less than was spent": decision is not None
        and spent_usd > decision.cost_usd + decision.unsettled_usd + excess_usd + SMALL,
        "not the best answer so far": decision is not None and not is_best(decision),
    }
    return replace(end, violations=tuple(name for name, violated in violations.items() if violated))


async def _answer(mixture: Mixture, simulated: SimulatedRequest, options: Options, account: Account | None) -> Decision:
    request = Request(simulated.messages, simulated.candidates, options, simulated.strategy)
    if not simulated.live:
        return await mixture.answer(request, account=account)
    words: list[str] = []

    async def emit(chunk: Chunk) -> None:
        words.append(chunk.text)

    decision = await mixture.answer(request, emit, account)
    if "".join(words) != decision.text:
        raise RuntimeError("A stream that ended without error did not bring its decision's text.")
    return decision


def is_best(decision: Decision) -> bool:
    """Whether the answer is the best so far: by score, or by the scores of all that say the same where they voted."""
    if not decision.text.strip():
        return False
    if decision.aggregation in {"single", "synthesise"}:
        return True
    latest: dict[str, Run] = {run.llm: run for layer in decision.layers for run in layer.runs}
    scores, texts = decision.layers[-1].after, {llm: run.text for llm, run in latest.items()}
    if decision.llm is None or texts[decision.llm] != decision.text:
        return False
    if decision.aggregation == "vote":
        votes = {final: math.fsum(scores[llm] for llm in members) for final, members in groups(texts).items()}
        mine = next(final for final, members in groups(texts).items() if decision.llm in members)
        return votes[mine] >= max(votes.values()) - SMALL
    return scores[decision.llm] >= max(scores[llm] for llm in latest)


def simulate(seed: int, numbers: Sequence[int], *, together: int = TOGETHER) -> list[RequestEnd]:
    """The queries of these numbers, so many at once over one engine."""
    llms = FaultyLLMs(seed)
    mixture = Mixture(llms, clock)

    async def go() -> list[RequestEnd]:
        ends: list[RequestEnd] = []
        for at in range(0, len(numbers), together):
            ends += await asyncio.gather(*(ask(llms, mixture, query(seed, number)) for number in numbers[at : at + together]))
        return ends

    return drive(go())


def limits(ends: Sequence[RequestEnd]) -> dict[str, Any]:
    """What was violated, by how much at worst, and how requests ended."""
    counted = Counter(violation for end in ends for violation in end.violations)
    return {
        "queries": len(ends),
        "with a budget": sum(end.query.options.budget_usd is not None for end in ends),
        "with a deadline": sum(end.query.deadline_s is not None for end in ends),
        "attempts of calls": sum(end.calls for end in ends),
        "violations": dict(counted),
        "worst beyond the budget, usd": max(end.over_usd for end in ends),
        "requests beyond the budget by an LLM that ignored its limit": sum(end.over_usd > SMALL for end in ends),
        "worst beyond the budget of the others, usd": max(end.over_usd for end in ends if not end.excess_usd),
        "worst beyond the deadline, s": max(end.over_s for end in ends),
        "ended": dict(Counter(end.reason for end in ends).most_common()),
    }


def sharing(seed: int, count: int) -> dict[str, Any]:
    """Requests run together and each alone: how many differ."""
    together = simulate(seed, range(count))
    differ = sum(_comparable(end) != _comparable(simulate(seed, [end.query.number])[0]) for end in together)
    return {"queries": count, "at once": TOGETHER, "differ": differ}


def _comparable(end: RequestEnd) -> Any:
    decision = None if end.decision is None else end.decision.as_dict()
    return _rounded({"reason": end.reason, "spent": end.spent_usd, "decision": decision, "took": end.took_s})


def _rounded(value: Any) -> Any:
    """Without times on the loop's own clock, which differ by when a request began, and the floats' last digits."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items() if name not in {"deadline", "what"}}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


@dataclass(slots=True)
class Instant:
    """A client that answers at once and counts the CPU time it takes itself."""

    text: str
    calls: int = 0
    cpu_s: float = 0.0

    async def ask(self, call: Call) -> Reply:
        """A different answer per LLM, with the judgements asked for."""
        await asyncio.sleep(0.001)
        began = time.process_time()
        self.calls += 1
        peers = [line[1:-1] for line in str(call.messages[-1]["content"]).splitlines() if line.startswith("[A")]
        scores = "\nSCORES: " + " ".join(f"{opaque}=0.50" for opaque in peers) if peers else ""
        text = f"{call.llm.id} says in layer {bool(peers)}: {self.text}{scores}\nCONFIDENCE: 0.50"
        reply = Reply(call.llm.id, text, "stop", 400, 300, call.llm.price.cost(400, 300), 1.0)
        self.cpu_s += time.process_time() - began
        return reply

    async def stream(self, call: Call) -> Any:
        """All of it in one chunk."""
        reply = await self.ask(call)
        yield Chunk(reply.text, reply=reply)


def own_work(seed: int, requests: int, characters: int) -> dict[str, Any]:
    """CPU milliseconds a request of three, three and one calls takes outside them; pool of 15, answers of so many characters."""
    candidates, _ = pool(random.Random(seed), 15)
    options = Options(k=3, max_layers=2, aggregation="synthesise", weights=Weights(usd=0, second=0))
    strategy = Layered(order="value", stop_threshold=1.1, refine_gain=0.9)
    client = Instant("So it is, as we know.\n" * (characters // 22))
    mixture = Mixture(client, clock)
    taken_ms = []

    async def go() -> None:
        for number in range(requests):
            client.calls, client.cpu_s = 0, 0.0
            messages = [{"role": "user", "content": f"query {number}: " + "what is it that we want to know? " * 12}]
            began = time.process_time()
            await mixture.answer(Request(messages, candidates, options, strategy))
            taken_ms.append(1000 * (time.process_time() - began - client.cpu_s))
            if client.calls != 7:
                raise RuntimeError(f"A request made {client.calls} calls, not 7.")

    drive(go())
    return {"requests": requests, "characters of an answer": characters, "pool": 15, **_percentiles(taken_ms, "cpu ms")}


def latencies(seed: int, requests: int, options: Options, *, slow: bool, learned: bool) -> tuple[list[float], list[float]]:
    """Latencies and costs of so many requests on one pool of eight, one after the other; the LLM with the highest prior is the slow one.

    learned: expected latencies follow what is answered, as in serving, over WARM requests before the slowdown and all through it.
    """
    dice = random.Random(f"{seed} slowdown")
    candidates, usual = pool(dice, 8, broken=0.0)
    candidates = tuple(replace(each, latency_s=usual[each.llm.id].latency_s * math.exp(0.5 * SPREAD**2)) for each in candidates)
    best = max(candidates, key=lambda each: each.prior).llm.id
    slowed = {**usual, best: replace(usual[best], latency_s=SLOWER * usual[best].latency_s)} if slow else usual
    llms = FaultyLLMs(seed)
    mixture, experience = Mixture(llms, clock), Experience(clock)
    recorded = {each.llm.id: RecordedCalls(400, 200.0, usual[each.llm.id].output_tokens, each.latency_s) for each in candidates}
    took_s, usd = [], []

    async def go() -> None:
        for number in range(-WARM if learned else 0, requests):
            dice = random.Random(f"{seed} prior {number}")
            drawn = [replace(each, prior=min(0.95, max(0.05, each.prior + dice.gauss(0.0, 0.15)))) for each in candidates]
            simulated = SimulatedRequest(
                number, tuple(drawn), usual if number < 0 else slowed, options, bool(number % 2), deadline_s=120.0, faults=False
            )
            account = Account.of(options)
            if learned:
                size = RequestSize.of(simulated.messages, {})
                followed = tuple(experience.candidate(each.llm, each.prior, size, recorded[each.llm.id]) for each in drawn)
                simulated = replace(simulated, candidates=followed)
            done = await ask(llms, mixture, simulated, account)
            experience.note(Request(simulated.messages, simulated.candidates), account, recorded)
            if number >= 0:
                took_s.append(done.took_s)
                usd.append(done.spent_usd)

    drive(go())
    return took_s, usd


def stragglers(seed: int, pools: int, requests: int) -> list[dict[str, Any]]:
    """Latency without and with the slow endpoint, over so many requests on each of several pools."""
    patient, alone, hurried = Options(), Options(spares=0), Options(weights=Weights(second=0.02))
    rows = []
    for name, options, learned in (
        ("mixture", patient, False),
        ("mixture, nobody stands by", alone, False),
        ("mixture, latencies followed", patient, True),
        ("mixture, latencies followed, a second worth 0.02", hurried, True),
        ("one LLM", patient.as_single(), False),
        ("one LLM, nobody stands by", alone.as_single(), False),
        ("one LLM, latencies followed", patient.as_single(), True),
    ):
        usual = [latencies(seed + at, requests, options, slow=False, learned=learned) for at in range(pools)]
        slow = [latencies(seed + at, requests, options, slow=True, learned=learned) for at in range(pools)]
        usual_PR, slow_PR = np.array([taken for taken, _ in usual]), np.array([taken for taken, _ in slow])
        rows.append(
            {
                "what": name,
                "p50 s": [float(np.median(usual_PR)), float(np.median(slow_PR))],
                "p99 s": [float(np.percentile(usual_PR, 99)), float(np.percentile(slow_PR, 99))],
                "p99 ratio": _ratio(usual_PR, slow_PR),
                "cost ratio": float(np.mean([usd for _, usd in slow]) / np.mean([usd for _, usd in usual])),
            }
        )
    return rows


def _percentiles(values: Sequence[float], unit: str) -> dict[str, Any]:
    """p50, p99 and mean with 95 % bootstrap intervals."""
    values_R = np.asarray(values)
    draws = values_R[np.random.default_rng(0).integers(0, len(values_R), size=(report.RESAMPLES, len(values_R)))]
    figures = {"p50": (np.median(values_R), np.median(draws, axis=1))}
    figures["p99"] = (np.percentile(values_R, 99), np.percentile(draws, 99, axis=1))
    figures["mean"] = (values_R.mean(), draws.mean(axis=1))
    return {f"{name} {unit}": [float(value), *map(float, np.percentile(drawn, [2.5, 97.5]))] for name, (value, drawn) in figures.items()}


def _ratio(usual_PR: "NDArray[np.float64]", slow_PR: "NDArray[np.float64]") -> list[float]:
    """p99 of `slow_PR` over p99 of `usual_PR` (pools, requests), with a 95 % bootstrap interval over pools, paired."""
    both = np.stack([usual_PR, slow_PR])
    draws = np.random.default_rng(0).integers(0, both.shape[1], size=(report.RESAMPLES, both.shape[1]))
    p99 = np.array([np.percentile(both[:, drawn].reshape(2, -1), 99, axis=1) for drawn in draws])
    usual, slow = np.percentile(both.reshape(2, -1), 99, axis=1)
    return [float(slow / usual), *map(float, np.percentile(p99[:, 1] / p99[:, 0], [2.5, 97.5]))]


def replays(ends: Sequence[RequestEnd]) -> dict[str, int]:
    """How many decisions come to something else when decided again from their records, as JSON."""
    decided = [end.decision for end in ends if end.decision is not None]
    records = [Decision.from_dict(json.loads(json.dumps(decision.as_dict()))) for decision in decided]
    return {"decisions": len(records), "differ": sum(bool(differences(record)) for record in records)}


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    limit = figures["limits"]
    limits_rows = [[name, _cell(value)] for name, value in limit.items() if name not in {"violations", "ended"}]
    limits_rows.append(["violations", json.dumps(limit["violations"]) if limit["violations"] else "0"])
    limits_rows += [[name, ", ".join(f"{key} {value}" for key, value in figures[name].items())] for name in ("sharing", "replays")]
    stragglers_rows = [
        [
            row["what"],
            *(f"{row[name][0]:.2f} → {row[name][1]:.2f}" for name in ("p50 s", "p99 s")),
            _cell(row["p99 ratio"]),
            f"{row['cost ratio']:.2f}",
        ]
        for row in figures["stragglers"]
    ]
    own_work_columns = list(figures["own work"][0])
    return "\n\n".join(
        [
            report.table(["limit", "found"], limits_rows),
            report.table(["ended", "requests"], limit["ended"].items()),
            report.table(own_work_columns, [[_cell(row[column]) for column in own_work_columns] for row in figures["own work"]]),
            report.table(["one endpoint ten times slower", "p50 s", "p99 s", "p99 ratio", "cost ratio"], stragglers_rows),
        ]
    )


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:.2f} [{value[1]:.2f}, {value[2]:.2f}]"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def failed(figures: dict[str, Any]) -> list[str]:
    """The bars that were missed."""
    missed = [f"{count} x {name}" for name, count in figures["limits"]["violations"].items()]
    missed += [f"{name}: {figures[name]['differ']} differ" for name in ("sharing", "replays") if figures[name]["differ"]]
    missed += [f"{row['mean cpu ms'][0]:.1f} ms CPU" for row in figures["own work"] if row["mean cpu ms"][0] > CPU_BAR_MS]
    missed += [
        f"{row['what']}: p99 ratio {row['p99 ratio'][0]:.2f}"
        for row in figures["stragglers"]
        if row["what"] in AT_THE_BAR and row["p99 ratio"][0] > P99_BAR
    ]
    return missed


def main() -> None:
    """Simulates, measures, prints, writes; exit code 1 where a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    began = time.process_time()
    ends = simulate(arguments.seed, range(arguments.queries))
    figures: dict[str, Any] = {
        "limits": limits(ends),
        "sharing": sharing(arguments.seed, min(500, arguments.queries)),
        "replays": replays(ends[:3000]),
        "own work": [own_work(arguments.seed, 300, characters) for characters in (300, 1200, 6000)],
        "stragglers": stragglers(arguments.seed, POOLS, REQUESTS),
    }
    figures["missed"] = failed(figures)
    figures["cpu_s"] = round(time.process_time() - began, 1)
    if arguments.out is not None:
        report.write(arguments.out, [table(figures)], figures)
    report.print_json(figures)
    sys.exit(bool(figures["missed"]))


if __name__ == "__main__":
    main()
