"""Replies and streams of five providers' shapes, damaged at random: `python -m benchmarks.wire_fuzz`.

Each case is a request over real HTTP through the client, the engine and the server's envelope: passed through to the endpoint, or routed
with another LLM standing by; whole or streamed. Counted, and every one a reason to exit 1: an error that would leave as a 500, a failure
that nobody foresaw, a routed request that the other LLM did not answer, an attempt that is in no record, a cost that does not add up, an
answer that is not in the protocol, a part of our key in an error. `--cases` (20,000), `--seed` (0); `--out FOLDER` gets table.md and
results.json.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks import report
from benchmarks.wire_world import KEY, SHAPES, Answer, answer
from mixture.choose.options import Options
from mixture.choose.ranking import Candidate
from mixture.client.complaints import SHORTEST_SHOWN
from mixture.client.httpx_errors import UNFORESEEN
from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Chunk
from mixture.decision import Decision
from mixture.errors import LLMFailed, NoAnswer
from mixture.llm import LLM, Endpoint, Limits
from mixture.price import Price
from mixture.run.account import Account
from mixture.run.engine import Mixture
from mixture.run.request import Request
from serving.dialects.completion import Completion
from serving.errors import UNEXPECTED, body_of, row_of

AT_ONCE = 32
SAY_EVERY = 500  # cases
PATIENT_S = 600.0  # nothing here hangs on purpose, and a busy machine is no fault
KEY_VARIABLE = "ROUTEMOA_FUZZ_KEY"
WAYS = ("passed through", "passed through, streamed", "routed", "routed, streamed")
GOOD = Answer(
    200,
    "application/json",
    (
        b'{"choices": [{"index": 0, "message": {"content": "Rome."}, "finish_reason": "stop"}],',
        b'"usage": {"prompt_tokens": 9, "completion_tokens": 3}}',
    ),
)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Function(_Strict):
    name: str | None = None
    arguments: str


class _ToolCall(_Strict):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function


class _Said(_Strict):
    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(_Strict):
    index: int
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None


class _Usage(_Strict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _InProtocol(_Strict):
    """What a client of the protocol relies on."""

    id: str
    object: str
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(slots=True)
class FaultyEndpoint:
    """The endpoint. asked: attempts at the damaged and at the good LLM, by case."""

    seed: int
    asked: Counter[int] = field(default_factory=Counter)
    url: str = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request after the other."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                sent = orjson.loads(await reader.readexactly(int(length.split(b":")[1])))
                number = int(sent["messages"][-1]["content"])
                self.asked[number] += 1
                damaged = sent["model"] == "damaged"
                await self._answer(writer, answer(self.seed, number, stream=sent["stream"]) if damaged else GOOD, streamed=sent["stream"])
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client is done
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, answered: Answer, *, streamed: bool) -> None:
        writer.write(answered.head(streamed=streamed))
        for piece in answered.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if streamed else piece)
            await writer.drain()
            await asyncio.sleep(0)
        if answered.breaks:
            raise ConnectionError
        if streamed:
            writer.write(b"0\r\n\r\n")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FaultyEndpoint"]:
        """While it listens."""
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()

    def llm(self, name: str) -> LLM:
        """The LLM of this name."""
        place = Endpoint(self.url, name, KEY_VARIABLE)
        return LLM(name, name, Price(1.0, 2.0), place, limits=Limits(AT_ONCE, PATIENT_S, PATIENT_S, PATIENT_S, PATIENT_S))


@dataclass(frozen=True, slots=True)
class Case:
    """How one case ended. chunks: what a streamed one brought."""

    number: int
    way: str
    outcome: Decision | BaseException
    chunks: Sequence[Chunk]
    account: Account
    attempts: int

    def violations(self) -> list[str]:
        """What is wrong with it, in the words of the table."""
        ended = self._answered(self.outcome) if isinstance(self.outcome, Decision) else self._failed(self.outcome)
        return [*self._accounted(), *ended]

    def _failed(self, error: BaseException) -> list[str]:
        if not isinstance(error, LLMFailed | NoAnswer) or row_of(error) is UNEXPECTED:
            return [f"would leave as a 500 ({type(error).__name__})"]
        stood_by = self.way.startswith("routed") and not any(chunk.text or chunk.raw.get("choices") for chunk in self.chunks)
        return [
            *(["a part of our key in an error"] if _shows_key(json.dumps(body_of(error)) + str(error)) else []),
            *(["the other LLM did not answer"] if stood_by else []),
        ]

    def _accounted(self) -> list[str]:
        """Every attempt is in the account, with what it cost or may cost."""
        account, ledger = self.account, self.account.ledger
        lost = [each.as_failure() for each in (*account.failed, *account.retried)]
        runs = [run for layer in self.outcome.layers for run in layer.runs] if isinstance(self.outcome, Decision) else []
        costs = [*(run.cost_usd for run in runs), *(each.cost_usd for each in lost)]
        tokens = sum(run.input_tokens + run.output_tokens for run in runs) + sum(each.input_tokens + each.output_tokens for each in lost)
        may_be_charged = any(each.billable and not each.input_tokens for each in lost)
        adds_up = math.isclose(math.fsum(costs), ledger.spent_usd, abs_tol=1e-15) and min(costs, default=0.0) >= 0
        adds_up = adds_up and tokens == account.input_tokens + account.output_tokens and may_be_charged == (ledger.unsettled_usd > 0)
        said = "".join(each.what for each in lost)
        return [
            *(["an attempt that is in no record"] if len(runs) + len(lost) != self.attempts else []),
            *([] if adds_up else ["a cost that does not add up"]),
            *(["a failure that nobody foresaw"] if UNFORESEEN in said else []),
            *(["a part of our key in an error"] if _shows_key(said) else []),
        ]

    def _answered(self, decision: Decision) -> list[str]:
        envelope = Completion("fuzz", "asked-for", 0, None, explain=True)
        try:
            trees = [envelope.whole(decision)] if not self.way.endswith("streamed") else self._events(envelope, decision)
            for tree in trees:
                _InProtocol.model_validate(orjson.loads(orjson.dumps(tree)))
        except (ValidationError, TypeError, ValueError) as exc:
            return [f"an answer that is not in the protocol ({type(exc).__name__})"]
        said = "".join(chunk.text for chunk in self.chunks)
        if not _survives(decision):
            return ["a record that is not read again"]
        return ["a stream that says something else than its record"] if self.chunks and said != decision.text else []

    def _events(self, envelope: Completion, decision: Decision) -> list[dict[str, Any]]:
        seen = [envelope.chunk(chunk, first=at == 0) for at, chunk in enumerate(self.chunks)]
        return [
            *(each for each in seen if each is not None),
            envelope.last(decision, None),
            envelope.usage_chunk(decision),
            envelope.whole(decision),
        ]


def _shows_key(text: str) -> bool:
    return any(KEY[at : at + SHORTEST_SHOWN] in text for at in range(len(KEY) - SHORTEST_SHOWN + 1))


def _survives(decision: Decision) -> bool:
    try:
        return Decision.from_dict(orjson.loads(orjson.dumps(decision.as_dict()))).as_dict() == decision.as_dict()
    except (TypeError, ValueError):
        return False


async def run(seed: int, cases: int) -> tuple[Counter[str], Counter[str], dict[str, list[int]]]:
    """How cases ended, how calls failed, and the numbers of those in which something is wrong, by what it is."""
    os.environ[KEY_VARIABLE] = KEY
    ended, failures, violations = Counter[str](), Counter[str](), dict[str, list[int]]()
    numbers = iter(range(cases))
    async with FaultyEndpoint(seed).running() as endpoint, OpenAIClient(attempts=1, failures=10**9) as client:

        async def work() -> None:
            for number in numbers:
                case = await _case(endpoint, Mixture(client), number)
                for wrong in case.violations():
                    violations.setdefault(wrong, []).append(number)
                ended[f"{case.way}: {_end(case.outcome)}"] += 1
                if ended.total() % SAY_EVERY == 0:
                    print(f"{ended.total()} of {cases}: {violations or 'nothing wrong'}", file=sys.stderr, flush=True)
                failures.update(type(each.error).__name__ for each in case.account.failed)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    return ended, failures, violations


async def _case(endpoint: FaultyEndpoint, mixture: Mixture, number: int) -> Case:
    way = WAYS[number // len(SHAPES) % len(WAYS)]
    chunks: list[Chunk] = []

    async def emit(chunk: Chunk) -> None:
        chunks.append(chunk)

    routed = way.startswith("routed")
    pool = [Candidate(endpoint.llm("damaged"), 0.9), *([Candidate(endpoint.llm("good"), 0.5)] if routed else [])]
    request, account = Request([{"role": "user", "content": str(number)}], pool, Options().as_single()), Account()
    outcome: Decision | BaseException
    try:
        ask = mixture.answer if routed else mixture.pass_through
        outcome = await ask(request, emit if way.endswith("streamed") else None, account)
    except Exception as exc:
        outcome = exc
    return Case(number, way, outcome, chunks, account, endpoint.asked[number])


def _end(outcome: Decision | BaseException) -> str:
    if isinstance(outcome, Decision):
        return "answered by the other LLM" if outcome.llm == "good" else "answered"
    return "failed after it began" if isinstance(outcome, LLMFailed) and outcome.billable else "failed"


def main() -> int:
    """The exit code: 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    started = time.process_time()
    ended, failures, violations = asyncio.run(run(arguments.seed, arguments.cases))
    cpu_s = round(time.process_time() - started)
    wrong = {what: {"cases": len(numbers), "first": numbers[:5]} for what, numbers in sorted(violations.items())}
    results = {
        "cases": arguments.cases,
        "seed": arguments.seed,
        "violations": wrong,
        "ended": dict(ended),
        "failures": dict(failures),
        "cpu_s": cpu_s,
    }
    if arguments.out is not None:
        tables = [
            report.table(["violations", "cases"], [[what, each["cases"]] for what, each in wrong.items()] or [["none", 0]]),
            report.table(["ended", "cases"], sorted(ended.items())),
            report.table(["a call failed as", "calls"], failures.most_common()),
        ]
        report.write(arguments.out, tables, results)
    report.print_json(results)
    return int(bool(violations))


if __name__ == "__main__":
    sys.exit(main())
