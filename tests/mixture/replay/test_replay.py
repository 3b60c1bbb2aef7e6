"""A decision's record leads to the same decision again, or says where it does not."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from mixture.choose.action import OFF, Explore
from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.sequential import Sequential
from mixture.choose.session import Session
from mixture.choose.strategy import Strategy
from mixture.client.protocol import Call, Chunk
from mixture.client.request_size import expected_input_tokens
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.llm import Endpoint, Message, Prompt, SelfAssessment
from mixture.replay.replay import CannotReplay, differences, request_again
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.makers import broken, candidate, user

FREE = Weights(usd=0, second=0)
BY_VALUE = Layered(order="value")


def judged(name: str) -> Script:
    """Different prose in every layer, with judgements."""

    def says(call: Call) -> str:
        asked = str(call.messages[-1]["content"])
        shown = [line[1:-1] for line in asked.splitlines() if line.startswith("[A")]
        scores = "\nSCORES: " + " ".join(f"{opaque}=0.{at}7" for at, opaque in enumerate(shown, start=1)) if "SCORES" in asked else ""
        if "response_format" in call.options:
            return json.dumps({"answer": f"{name} tells {len(asked)}", "scores": dict.fromkeys(shown, 0.3), "confidence": 0.123456789})
        return f"{name} tells a tale of {len(asked)}.\nIt ends.{scores}\nCONFIDENCE: 0.4{len(shown)}"

    return Script(says)


def decided(
    scripts: dict[str, Script],
    options: Options,
    strategy: Strategy = BY_VALUE,
    *,
    live: bool = False,
    judges: Mapping[str, SelfAssessment] = MappingProxyType({}),
    session: Session | None = None,
    explore: Explore = OFF,
    messages: Sequence[Message] = (),
    **request: Any,
) -> Decision:
    """A decision as read back from its record. messages: a short question where there is none."""
    pool = [candidate(name, 0.6 - at / 10, latency_s=1.0) for at, name in enumerate("abcde")]
    pool[1] = replace(pool[1], llm=replace(pool[1].llm, endpoint=Endpoint("http://a/v1", "a"), prompt=Prompt("Be brief.", "Think.")))
    pool.append(candidate("small", 0.9, context_window=8))
    can = frozenset({"tools", "json"})
    pool = [replace(each, llm=replace(each.llm, self_assessment=judges.get(each.llm.id, "in_text"), capabilities=can)) for each in pool]
    mixture = Mixture(ScriptedClient({name: judged(name) for name in "abcde"} | scripts), clock)

    async def emit(_: Chunk) -> None:
        """Takes the stream."""

    decision = drive(
        mixture.answer(
            Request(messages or user(), pool, options, strategy, request, session=session, explore=explore), emit if live else None
        )
    )
    return Decision.from_dict(json.loads(json.dumps(decision.as_dict())))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("scripts", "options"),
    [
        ({}, Options(weights=FREE)),
        ({}, Options()),
        ({"a": broken("a"), "b": broken("b")}, Options(weights=FREE, max_layers=2)),
        ({"a": Script("late", takes=50.0)}, Options(weights=FREE, k=2, aggregation="best")),
        ({"a": Script("late", takes=50.0)}, Options(weights=FREE, deadline=4.0)),
        ({"c": Script(" ")}, Options(weights=FREE, budget_usd=0.003, aggregation="synthesise")),
        ({name: Script("42") for name in "abc"}, Options(weights=FREE)),
        ({"a": Script("")}, Options().as_single()),
    ],
)
def test_a_record_leads_to_the_same_decision(scripts: dict[str, Script], options: Options, live: bool) -> None:
    """Layers, scores, judges, stand-ins, stop reason, aggregation, text and costs come out again, streamed or not."""
    assert differences(decided(scripts, options, live=live, max_tokens=100)) == []


@pytest.mark.parametrize(("options", "strategy"), [(Options().as_single(), BY_VALUE), (Options(weights=FREE, k=1), Sequential())])
def test_a_choice_of_chance_is_made_again(options: Options, strategy: Strategy) -> None:
    """The number that was drawn is in the record."""
    decision = decided({}, options, strategy, explore=Explore(0.5, 1.0, 0.25, why=""))
    assert decision.action is not None
    assert decision.action.explored
    assert decision.layers[0].runs[0].llm == decision.action.first
    assert differences(decision) == []


@pytest.mark.parametrize("budget_usd", [None, 0.003])
def test_structured_judgements_lead_to_the_same_decision(budget_usd: float | None) -> None:
    """What the form said is read again, with the same to spend."""
    options = Options(weights=FREE, max_layers=3, budget_usd=budget_usd)
    decision = decided({}, options, judges={"a": "json_schema", "c": "none"})
    runs = {run.llm: run for run in decision.layers[0].runs}
    assert {llm: runs[llm].self_score for llm in ("a", "c") if llm in runs} == {"a": 0.123456789, "c": None}
    assert differences(decision) == []


@pytest.mark.parametrize(
    ("options", "strategy"),
    [
        (Options().as_single(), BY_VALUE),
        (Options(weights=FREE, k=1, max_layers=3), Sequential()),
        (Options(weights=FREE, k=1, max_layers=3), Sequential(AgreementPosterior(self_score=0.5))),
        (Options(weights=FREE, aggregation="synthesise"), Layered()),
    ],
)
def test_a_record_of_any_strategy_leads_to_the_same_decision(options: Options, strategy: Strategy) -> None:
    """One LLM alone judges nothing, one that gets the bare question no peers, and the published layers all of it."""
    decision = decided({}, options, strategy, judges=dict.fromkeys("abcde", "json_schema"))
    assert differences(decision) == []


def test_a_changed_record_is_told_where_it_differs() -> None:
    """Every change of what was decided is named by its place."""
    decision = decided({}, Options(weights=FREE, max_layers=2, aggregation="best"))
    layer = decision.layers[0]
    rescored = replace(layer, after={**layer.after, "a": 0.99})
    changes = {
        "text: recorded 'another'": replace(decision, text="another"),
        "stopped_because: recorded 'gain', now 'layers'": replace(decision, stopped_because="gain"),
        "cost_usd: recorded 0.0": replace(decision, cost_usd=0.0),
        "layers 1 after a: recorded 0.99": replace(decision, layers=(rescored, *decision.layers[1:])),
    }
    for told, changed in changes.items():
        assert any(found.startswith(told) for found in differences(changed)), (told, differences(changed))
    shorter = replace(decision, layers=(replace(layer, runs=layer.runs[:2]), *decision.layers[1:]))
    assert any(found.startswith("layers 1 runs 3: recorded None") for found in differences(shorter))


def test_a_record_without_texts_or_of_a_pass_through_cannot_be_replayed() -> None:
    """It says what is missing rather than guess."""
    decision = decided({}, Options(weights=FREE))
    with pytest.raises(CannotReplay, match="no texts"):
        differences(Decision.from_dict(decision.as_dict(texts=False)))
    with pytest.raises(CannotReplay, match="made from"):
        differences(replace(decision, snapshot=None))


def test_what_a_record_holds_of_the_request_is_its_shape() -> None:
    """No word of the request or of a prompt, and no endpoint's address, is kept for the replay."""
    kept = json.dumps(decided({}, Options()).as_dict()["snapshot"])
    assert all(word not in kept for word in ("What is", "6 x 7", "Be brief", "Think", "http"))


def test_the_command_replays() -> None:
    """Exit code 0 and 'the same decision'; 1 and the differences otherwise."""
    decision = decided({}, Options(weights=FREE))
    for given, code, told in ((decision, 0, "the same decision"), (replace(decision, text="another"), 1, "text: recorded 'another'")):
        command = [sys.executable, "-m", "mixture.replay.explain", "--replay", "-"]
        printed = subprocess.run(command, input=json.dumps(given.as_dict()), capture_output=True, text=True, check=False)
        assert (printed.returncode, printed.stderr) == (code, "")
        assert told in printed.stdout


def test_an_agents_request_is_as_long_when_it_is_made_again() -> None:
    """Calls of tools, the tools and the answer's form: the same tokens are expected, and so the same money moves its session."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "x" * 4000}}
    messages = [
        *user(),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "5"},
    ]
    fields = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "user": "somebody",
        "max_tokens": 100,
    }
    decision = decided({}, Options().as_single(), session=Session("s", "d", margin=1.0), messages=messages, **fields)
    again = request_again(decision)
    assert expected_input_tokens(again.messages, again.fields) == expected_input_tokens(messages, fields) > 1000
    assert differences(decision) == []


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("session", "scripts", "options", "strategy"),
    [
        (Session("s"), {}, Options().as_single(), BY_VALUE),
        (Session("s", "d", held="tool loop"), {}, Options().as_single(), BY_VALUE),
        (Session("s", "d", margin=1.0), {}, Options().as_single(), Sequential()),
        (Session("s", "d"), {}, Options(weights=FREE).as_single(), Sequential()),
        (Session("s", "d", held="same turn"), {"d": broken("d")}, Options().as_single(), Sequential()),
        (Session("s", "small", held="tool loop"), {}, Options().as_single(), Sequential()),
        (Session("s", "d", margin=1.0), {}, Options(k=1, max_layers=3, weights=FREE), Sequential()),
        (Session("s", "d", margin=1.0), {}, Options(), BY_VALUE),
    ],
)
def test_a_sessions_choice_is_made_again(session, scripts, options, strategy, live) -> None:
    """Stayed, switched or failed: the record says why, and leads to the same."""
    decision = decided(scripts, options, strategy, live=live, session=session)
    assert decision.session is not None
    assert decision.session.before == session.llm
    assert decision.session.stayed == (decision.llm == session.llm and session.llm is not None and decision.session.why != "layers")
    assert differences(decision) == []
    changed = replace(decision, session=replace(decision.session, why="silent"))
    assert differences(changed) == [f"session why: recorded 'silent', now {decision.session.why!r}"]
