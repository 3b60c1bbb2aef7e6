"""CPU of a session's turn that may not switch: `python -m benchmarks.session_turn [--rounds 400] [--llms 4]` prints JSON.

A coding agent's conversation inside a loop of tool calls, at three lengths: no encoder runs. `decide` is everything between the parsed
request and the mixture (text, beginnings, look-up, candidates, prices, whether it may switch), `rank` the mixture's own ranking, `keep`
what is written once the answer is there. `without` is the same request with sessions switched off and a scorer that costs nothing, so
`added` is what sessions cost. Milliseconds of CPU, medians; the encoder's own CPU depends on the encoder (`benchmarks.decision_latency`).
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import print_json
from benchmarks.server_world import LLMS, project
from mixture.client.protocol import Reply
from mixture.decision import Decision, Layer, Run
from mixture.run.account import Account
from mixture.run.ledger import Ledger
from mixture.usage import Usage
from scorer.types import Prediction
from serving.access.keys import KeyEntry
from serving.app import create_app
from serving.choice import routing
from serving.front import logs
from serving.request.protocol import ChatRequest
from serving.scorers.scored_request import ScoredRequest
from serving.settings import ServingSettings
from serving.state import State

BAR_MS = 1.0
LENGTHS = (10, 40, 120)  # messages
TOOLS = [{"type": "function", "function": {"name": f"tool_{at}", "description": "x" * 400, "parameters": {}}} for at in range(12)]


def conversation(messages: int) -> list[dict[str, Any]]:
    """An agent's: a long system text, one task, and then calls of tools with their results."""
    started: list[dict[str, Any]] = [
        {"role": "system", "content": "You are an agent. " * 500},
        {"role": "user", "content": "<system-reminder>be kind</system-reminder>\nWhy does the sum of the list fail? " * 4},
    ]
    for at in range((messages - 2) // 2):
        call = {"id": f"call-{at}", "type": "function", "function": {"name": "tool_1", "arguments": '{"path": "src/module.py"}'}}
        started += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call-{at}", "content": "def f(x): return x\n" * 100},
        ]
    return started


async def cpu_ms(task: Callable[[], Awaitable[Any]], rounds: int) -> float:
    """Median of a call's CPU, of this thread."""
    taken = []
    for _ in range(rounds):
        began = time.thread_time_ns()
        await task()
        taken.append((time.thread_time_ns() - began) / 1e6)
    return round(statistics.median(taken), 4)


async def measure(rounds: int, messages: int, home: Path, key: KeyEntry) -> dict[str, float]:
    """One length's figures."""
    on, off = await _state(home, enabled=True), await _state(home, enabled=False)
    messages_now = conversation(messages)
    written = {"model": "routemoa-single", "messages": messages_now, "tools": TOOLS, "routemoa": {"session": f"s{messages}"}}
    chat = ChatRequest.model_validate(written)
    before = {**written, "messages": messages_now[:-2]}
    first = await routing.scored_request(on, ChatRequest.model_validate(before), before, key)
    await _kept(on, first)
    held = await routing.scored_request(on, chat, written, key)
    assert held.request.session is not None
    assert held.request.session.held == "tool loop"
    assert not held.query_D.size
    off.scorer.value = replace(off.active, scorer=Free(off.active.scorer))  # type: ignore[arg-type]
    decide = await cpu_ms(lambda: routing.scored_request(on, chat, written, key), rounds)
    without = await cpu_ms(lambda: routing.scored_request(off, chat, written, key), rounds)
    rank = await cpu_ms(lambda: _ranked(held), rounds)
    bare = await routing.scored_request(off, chat, written, key)
    rank_without = await cpu_ms(lambda: _ranked(bare), rounds)
    keep = await cpu_ms(lambda: _kept(on, held), rounds)
    await on.sessions.store.close()
    added = decide + rank + keep - without - rank_without
    return {"decide": decide, "rank": rank, "keep": keep, "without": without + rank_without, "added": round(added, 4)}


class Free:
    """A scorer that costs nothing: every score is the same."""

    def __init__(self, real: Any) -> None:
        self.roster, self.manifest, self.recorded_calls = real.roster, real.manifest, real.recorded_calls
        self._prediction = Prediction(np.full((1, len(real.roster)), 0.5), np.zeros((1, 8), dtype=np.float32))

    def score(self, _: list[str]) -> Prediction:
        """For one text."""
        return self._prediction


async def _ranked(scored: ScoredRequest) -> None:
    scored.request.with_requirements().settled()


async def _kept(state: State, scored: ScoredRequest) -> None:
    """As after an answer of the LLM that ranks first."""
    request = scored.request.with_requirements()
    ranking, choice = request.settled()
    llm = ranking[0].candidate.llm
    reply = Reply(
        llm.id, "", "tool_calls", 9000, 60, 0.01, 1.0, raw={"choices": [{"message": {"tool_calls": [{}]}}]}, usage=Usage(9000, 60)
    )
    layer = Layer((Run.of(reply, ""),), {}, {})
    decision = Decision("", llm.id, "tool_calls", (layer,), "single", "single", 0.5, 0.01, 1.0, 9000, 60, session=choice, reply=reply)
    llms = {each.llm.id: each.llm for each in request.candidates}
    assert scored.session is not None
    await state.sessions.answered(scored.session, decision, Account(Ledger(), replies=[reply]), llms)


async def _state(home: Path, *, enabled: bool) -> State:
    settings = ServingSettings(_env_file=None, home=home, sessions={"enabled": enabled})
    state: State = create_app(settings).state.serving
    for followed in (state.keys, state.pool, state.scorer):
        await followed.refresh()
    return state


async def main() -> None:
    """Reads the command line."""
    logs.configure()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        project(home, "http://127.0.0.1:9", capabilities=["tools"], context_window=1_000_000)
        key = KeyEntry(name="bench", sha256="0" * 64, scopes=("chat",), created_at=0.0)
        figures = {str(messages): await measure(arguments.rounds, messages, home, key) for messages in LENGTHS}
    print_json({"cpu_ms_by_messages": figures, "llms": len(LLMS), "bars": {"added": BAR_MS}})


if __name__ == "__main__":
    asyncio.run(main())
