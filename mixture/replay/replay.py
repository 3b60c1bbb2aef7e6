"""Decides again from a decision's record: the real engine, in virtual time, over a client that gives the recorded answers."""

import asyncio
import json
import math
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from mixture import errors
from mixture.choose.options import Options, OptionsRefused
from mixture.choose.ranking import Candidate
from mixture.client.protocol import Call, Chunk, Reply
from mixture.decision import Decision, Failure, Layer, Run
from mixture.errors import LLMFailed, LLMRefused, MixtureError, NoAnswer
from mixture.judge.assessment import Questions
from mixture.judge.in_text import Judged
from mixture.llm import LLM, Decoding, Endpoint, Message, Price, Prompt
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.layers import shown_after
from mixture.snapshot import Snapshot, Turn

AFTER_S = 1e-6  # a time-out that the engine itself called comes first; only one of the endpoint's own is left to tell
UNKNOWN = "the record has no such call."  # the event loop's delay let an answer win that the replay finds late by a moment
EVERYTHING = frozenset({"tools", "vision", "audio", "files", "json"})
NOT_COMPARED = frozenset({"latency_s", "at_s", "what", "billable", "excluded", "options", "given", "reply"})


class CannotReplay(MixtureError):
    """A decision whose record does not hold what it was made from."""


def differences(recorded: Decision) -> list[str]:
    """Where deciding again from the record of a decision comes to something else; empty where it is the same.

    Compared: layers, runs, scores, judges, failures, why it stopped, aggregation, answer, cost, tokens. Not compared: times, and who was
    excluded, which is taken from the record. Raises CannotReplay, and must be called outside an event loop.
    """
    try:
        again = decide_again(recorded)
    except NoAnswer as nothing:
        return [f"recorded {recorded.stopped_because!r}, now no answer: {nothing.what}"]
    known = tuple(failure for failure in again.failures if not failure.what.endswith(UNKNOWN))
    return list(_differences("", _comparable(recorded), _comparable(replace(again, failures=known))))


def decide_again(recorded: Decision) -> Decision:
    """The decision that its own record leads to. Raises CannotReplay, NoAnswer."""
    given = recorded.given
    if given is None:
        raise CannotReplay("The record does not say what the decision was made from.", next_step="Replay one that a mixture made.")
    if not recorded.text or not all(run.text for layer in recorded.layers for run in layer.runs):
        raise CannotReplay("The record holds no texts of answers.", next_step="Ask with explain, or store texts.")
    options = replace(_options(recorded.options), deadline=given.deadline_s)
    mixture = Mixture(Recorded.of(recorded, given, options), clock)
    asked = (_messages(given), _candidates(recorded, given, options), options, _request(given))

    async def go() -> Decision:
        if not given.live:
            return await mixture.run(*asked)
        pieces = [piece async for piece in mixture.stream(*asked)]
        decision = pieces[-1].decision
        if decision is None:
            raise RuntimeError("A stream ended without its decision; this is a defect in mixture.run.engine.")
        return decision

    return drive(go())


@dataclass(frozen=True, slots=True)
class Recorded:
    """Implements `mixture.client.protocol.Client` from one decision: each LLM's attempts end as they did, when they did.

    ends: by LLM, (seconds from the start, what came, whether the client tried again), in the order of their times.
    """

    ends: Mapping[str, deque[tuple[float, Reply | LLMFailed, bool]]]

    @classmethod
    def of(cls, decision: Decision, given: Snapshot, options: Options) -> "Recorded":
        """Every attempt that `decision` holds, as what was asked with `options` was answered."""
        found: dict[str, list[tuple[float, Reply | LLMFailed, bool]]] = defaultdict(list)
        judges = {each.llm: each.self_assessment for each in given.considered}
        for at, layer in enumerate(decision.layers):
            shown = shown_after(decision.layers[:at], options)
            for run in layer.runs:
                questions = Questions.to(judges[run.llm], shown, options)
                scores = {opaque: run.given[peer.llm] for opaque, peer in shown.items() if peer.llm in run.given}
                text = questions.write(Judged(run.text, run.self_score, scores))
                found[run.llm].append((run.at_s, _reply(run, text), False))
        for failure in decision.failures:
            found[failure.llm].append((failure.at_s, _silence(failure) if failure.input_tokens else _failure(failure), False))
        for failure in decision.retried:
            found[failure.llm].append((failure.at_s, _failure(failure), True))
        if decision.synthesis is not None:
            found[decision.synthesis.llm].append((decision.synthesis.at_s, _reply(decision.synthesis, decision.synthesis.text), False))
        return cls({llm: deque(sorted(ends, key=lambda end: end[0])) for llm, ends in found.items()})

    async def ask(self, call: Call) -> Reply:
        """The recorded end of this LLM's next call."""
        while self.ends.get(call.llm.id):
            at_s, end, again = self.ends[call.llm.id].popleft()
            late_s = AFTER_S if isinstance(end, errors.LLMTimedOut) else 0.0
            await asyncio.sleep(max(0.0, at_s + late_s - clock()))
            if isinstance(end, Reply):
                return end
            if not again or not call.again(end):
                raise end
        raise LLMRefused(call.llm.id, UNKNOWN)

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The same; the sign of life that a stream gives before its words comes at once, since nobody recorded when."""
        yield Chunk("")
        reply = await self.ask(call)
        yield Chunk(reply.text)
        yield Chunk("", reply=reply)


def _reply(run: Run, text: str) -> Reply:
    """The reply of this text that was read as `run`."""
    return Reply(run.llm, text, run.finish_reason, run.input_tokens, run.output_tokens, run.cost_usd, run.latency_s, run.mean_logprob)


def _silence(failure: Failure) -> Reply:
    """The empty reply that the engine took for a failure."""
    return Reply(failure.llm, "", "stop", failure.input_tokens, failure.output_tokens, failure.cost_usd, 0.0)


def _failure(failure: Failure) -> LLMFailed:
    kind = getattr(errors, failure.error, None)
    if not isinstance(kind, type) or not issubclass(kind, LLMFailed):
        raise CannotReplay(f"{failure.error!r} is no failure of an LLM.", next_step="Replay a decision of this version.")
    failed: LLMFailed = kind(failure.llm, failure.what.removeprefix(f"{failure.llm}: "))
    failed.billable = failure.billable
    return failed


def _options(tree: Mapping[str, Any]) -> Options:
    try:
        return Options.from_dict(tree)
    except (TypeError, OptionsRefused) as exc:
        raise CannotReplay(
            f"The record's options are not this version's: {exc}.", next_step="Replay with the version that wrote it."
        ) from exc


def _messages(given: Snapshot) -> list[Message]:
    """Messages of the recorded shape, which say nothing."""
    return [{"role": turn.role, "content": _content(turn)} for turn in given.turns]


def _content(turn: Turn) -> str | list[dict[str, str]]:
    if not turn.images:
        return "x" * turn.size
    empty = len(json.dumps([{"type": "text", "text": ""}], separators=(",", ":")))
    return [{"type": "text", "text": "x" * max(0, turn.size - empty)}, *[{"type": "image_url"}] * turn.images]


def _request(given: Snapshot) -> dict[str, Any]:
    return {**given.counted, "tools": "x" * given.tools_bytes, "functions": "x" * given.other_bytes}


def _candidates(recorded: Decision, given: Snapshot, options: Options) -> list[Candidate]:
    """The LLMs as the ranking saw them; those that could not answer then are retired."""
    priors = recorded.layers[0].before
    return [
        Candidate(
            LLM(
                each.llm,
                each.llm,
                Price(each.input_usd, each.output_usd),
                Endpoint("http://recorded/v1", each.weights),
                Prompt("x" * each.system_bytes, "x" * each.suffix_bytes),
                Decoding(max_tokens=each.max_tokens),
                context_window=each.context_window,
                capabilities=options.capabilities | EVERYTHING,
                self_assessment=each.self_assessment,
                data_policy=options.data_policy or frozenset(),
                status="retired" if each.llm in recorded.excluded else "active",
            ),
            priors[each.llm],
            output_tokens=each.output_tokens,
            latency_s=each.latency_s,
        )
        for each in given.considered
    ]


def _comparable(value: Any) -> Any:
    if isinstance(value, Decision | Layer | Run | Failure):
        return {each.name: _comparable(getattr(value, each.name)) for each in fields(value) if each.name not in NOT_COMPARED}
    if isinstance(value, tuple | list):
        return {str(at): _comparable(each) for at, each in enumerate(value, start=1)}
    return dict(value) if isinstance(value, Mapping) else value


def _differences(path: str, recorded: Any, again: Any) -> list[str]:
    if isinstance(recorded, dict) and isinstance(again, dict):
        names = [*recorded, *(name for name in again if name not in recorded)]
        return [found for name in names for found in _differences(f"{path} {name}".strip(), recorded.get(name), again.get(name))]
    same = math.isclose(recorded, again, abs_tol=1e-9) if isinstance(recorded, float) and isinstance(again, float) else recorded == again
    return [] if same else [f"{path}: recorded {recorded!r}, now {again!r}"]
