"""Decides again from a decision's record: the real engine, in virtual time, over a client that gives the recorded answers."""

import json
import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from mixture import errors
from mixture.choose.options import Options, OptionsRefused
from mixture.choose.ranking import Candidate
from mixture.choose.session import SessionChoice
from mixture.choose.strategies import from_json
from mixture.choose.strategy import Strategy
from mixture.client.protocol import Chunk, Reply
from mixture.client.scripted import NO_SCRIPT, Script, ScriptedClient
from mixture.decision import Decision, Failure, Layer, Run
from mixture.energy import Energy
from mixture.errors import LLMFailed, MixtureError, NoAnswer
from mixture.judge.assessment import Questions
from mixture.judge.text_reply import JudgedReply
from mixture.llm import LLM, Decoding, Endpoint, Message, Prompt
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.layers import shown_after
from mixture.run.request import Request
from mixture.snapshot import Snapshot, Turn
from mixture.usage import Usage

AFTER_S = 1e-6  # a time-out that the engine itself called comes first; only one of the endpoint's own is left to tell
NOTHING = Questions(self_score=False)
EVERYTHING = frozenset({"tools", "vision", "audio", "files", "json"})
NOT_COMPARED = frozenset(
    {
        "latency_s",
        "at_s",
        "what",
        "billable",
        "excluded",
        "options",
        "strategy",
        "snapshot",
        "reply",
        "usage",
        "unpriced",
        "energy_kwh",
        "unmetered",
        "reasoning_tokens",
        "cached_tokens",
        "state_dropped",
        "action",
    }
)


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
    # A call that was not recorded: the event loop's delay let an answer win that the replay finds late by a moment.
    failures = tuple(failure for failure in again.failures if not failure.what.endswith(NO_SCRIPT))
    return list(_differences("", _comparable(recorded), _comparable(replace(again, failures=failures))))


def decide_again(recorded: Decision) -> Decision:
    """The decision that its own record leads to. Raises CannotReplay, NoAnswer."""
    snapshot = recorded.snapshot
    if snapshot is None:
        raise CannotReplay("The record does not say what the decision was made from.", next_step="Replay one that a mixture made.")
    if not recorded.text or not all(run.text for layer in recorded.layers for run in layer.runs):
        raise CannotReplay("The record holds no texts of answers.", next_step="Ask with explain, or store texts.")
    request = request_again(recorded)
    mixture = Mixture(scripted(recorded, snapshot, request.strategy), clock)
    return drive(mixture.answer(request, _nowhere if snapshot.streamed else None))


def request_again(recorded: Decision) -> Request:
    """The request that a decision was made for: its shape, options and candidates, without a word of it. Raises CannotReplay."""
    snapshot = recorded.snapshot
    if snapshot is None:
        raise CannotReplay("The record does not say what the decision was made from.", next_step="Replay one that a mixture made.")
    options, strategy = replace(_options(recorded), deadline=snapshot.deadline_s), _strategy(recorded)
    return Request(
        _messages(snapshot),
        _candidates(recorded, snapshot, options),
        options,
        strategy,
        _fields(snapshot),
        session=snapshot.session,
        explore=snapshot.explore,
    )


async def _nowhere(_: Chunk) -> None:
    """Takes a stream that nobody reads."""


def scripted(decision: Decision, snapshot: Snapshot, strategy: Strategy) -> ScriptedClient:
    """A client by which each LLM's attempts end as they did, when they did.

    The sign of life that a stream gives before its words comes at once, since nobody recorded when.
    """
    scripts: dict[str, list[Script]] = defaultdict(list)
    how = {each.llm: each.self_assessment for each in snapshot.candidates}
    for at, layer in enumerate(decision.layers):
        shown = shown_after(decision.layers[:at], strategy)
        for run in layer.runs:
            questions = NOTHING if decision.aggregation == "single" else Questions.to(how[run.llm], shown, strategy)
            scores = {opaque: run.peer_scores[peer.llm] for opaque, peer in shown.items() if peer.llm in run.peer_scores}
            text = questions.write(JudgedReply(run.text, run.self_score, scores))
            scripts[run.llm].append(Script(_reply(run, text), until=run.at_s))
    for failure in decision.failures:
        scripts[failure.llm].append(_failing(failure))
    for failure in decision.retried:
        scripts[failure.llm].append(_followed(_failing(failure)))
    if (written := decision.synthesis) is not None:
        scripts[written.llm].append(Script(_reply(written, written.text), until=written.at_s))
    in_time = {llm: deque(sorted(each, key=lambda script: script.until or 0.0)) for llm, each in scripts.items()}
    return ScriptedClient(in_time, pause_s=0.0, begins_at_once=True)


def _failing(failure: Failure) -> Script:
    """How the call went that the engine took for a failure: an empty reply, or an error."""
    if failure.input_tokens and failure.error == errors.LLMGarbled.__name__:
        cost = (failure.input_tokens, failure.output_tokens, failure.cost_usd)
        return Script(Reply(failure.llm, "", "stop", *cost, 0.0), until=failure.at_s)
    error = _error(failure)
    return Script(fails=error, until=failure.at_s + (AFTER_S if isinstance(error, errors.LLMTimedOut) else 0.0))


def _followed(script: Script) -> Script:
    """The same where another attempt followed, by the client or by the engine: a failure that none followed is recorded as one."""
    if script.fails is not None:
        script.fails.retryable = True
    return replace(script, retried=True)


def _reply(run: Run, text: str) -> Reply:
    """The reply of this text that was read as `run`."""
    usage = (run.input_tokens, run.output_tokens, run.cost_usd)
    counted = run.usage or Usage(run.input_tokens, run.output_tokens, estimated=run.usage_estimated)
    return Reply(run.llm, text, run.finish_reason, *usage, run.latency_s, run.mean_logprob, usage=counted, stated_usd=run.stated_usd)


def _error(failure: Failure) -> LLMFailed:
    kind = getattr(errors, failure.error, None)
    if not isinstance(kind, type) or not issubclass(kind, LLMFailed):
        raise CannotReplay(f"{failure.error!r} is no failure of an LLM.", next_step="Replay a decision of this version.")
    failed: LLMFailed = kind(failure.llm, failure.what.removeprefix(f"{failure.llm}: "))
    failed.billable, failed.retryable = failure.billable, False
    failed.paid = (failure.cost_usd, failure.input_tokens, failure.output_tokens)
    return failed


def _options(recorded: Decision) -> Options:
    try:
        return Options.from_dict(recorded.options)
    except (TypeError, OptionsRefused) as exc:
        raise _of_another_version("options", exc) from exc


def _strategy(recorded: Decision) -> Strategy:
    try:
        return from_json(recorded.strategy)
    except (KeyError, TypeError, OptionsRefused) as exc:
        raise _of_another_version("strategy", exc) from exc


def _of_another_version(what: str, error: Exception) -> CannotReplay:
    return CannotReplay(f"The record's {what} is not this version's: {error}.", next_step="Replay with the version that wrote it.")


def _messages(snapshot: Snapshot) -> list[Message]:
    """Messages of the recorded shape, which say nothing."""
    return [
        {"role": turn.role, "content": _content(turn), **({"tool_calls": "x" * turn.calls} if turn.calls else {})}
        for turn in snapshot.turns
    ]


def _content(turn: Turn) -> str | list[dict[str, str]]:
    if not turn.images:
        return "x" * turn.size
    empty = len(json.dumps([{"type": "text", "text": ""}], separators=(",", ":")))
    return [{"type": "text", "text": "x" * max(0, turn.size - empty)}, *[{"type": "image_url"}] * turn.images]


def _fields(snapshot: Snapshot) -> dict[str, Any]:
    form = {"type": "x" * (snapshot.form_bytes - len('{"type":""}'))} if snapshot.form_bytes else None
    others = {"tools": "x" * snapshot.tools_bytes, "response_format": form, "prediction": "x" * snapshot.other_bytes}
    return {**snapshot.counted, **others}


def _candidates(recorded: Decision, snapshot: Snapshot, options: Options) -> list[Candidate]:
    """The LLMs as the ranking saw them; those that could not answer then are retired."""
    priors = recorded.layers[0].before
    return [
        Candidate(
            LLM(
                each.llm,
                each.llm,
                each.price,
                Endpoint("http://recorded/v1", each.weights),
                Prompt("x" * each.system_bytes, "x" * each.suffix_bytes),
                Decoding(max_tokens=each.max_tokens),
                context_window=each.context_window,
                capabilities=options.capabilities | EVERYTHING,
                self_assessment=each.self_assessment,
                data_policy=options.data_policy or frozenset(),
                status="retired" if each.llm in recorded.excluded else "active",
                energy=None if each.energy is None else Energy(*each.energy),
            ),
            priors[each.llm],
            output_tokens=each.output_tokens,
            latency_s=each.latency_s,
            usual_s=each.usual_s,
            patience_s=each.patience_s,
            silent=each.silent,
            cached_tokens=each.cached_tokens,
            caches=each.caches,
        )
        for each in snapshot.candidates
    ]


def _comparable(value: Any) -> Any:
    if isinstance(value, Decision | Layer | Run | Failure | SessionChoice):
        return {each.name: _comparable(getattr(value, each.name)) for each in fields(value) if each.name not in NOT_COMPARED}
    if isinstance(value, tuple | list):
        return {str(at): _comparable(each) for at, each in enumerate(value, start=1)}
    return dict(value) if isinstance(value, Mapping) else value


def _differences(path: str, recorded: Any, again: Any) -> list[str]:
    if isinstance(recorded, dict) and isinstance(again, dict):
        names = [*recorded, *(name for name in again if name not in recorded)]
        return [each for name in names for each in _differences(f"{path} {name}".strip(), recorded.get(name), again.get(name))]
    same = math.isclose(recorded, again, abs_tol=1e-9) if isinstance(recorded, float) and isinstance(again, float) else recorded == again
    return [] if same else [f"{path}: recorded {recorded!r}, now {again!r}"]
