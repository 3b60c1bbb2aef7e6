"""A decision can be read: `python -m mixture.replay.explain`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.replay import explain
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.request import Request
from tests.mixture.makers import broken, candidate, user


@pytest.fixture
def decision() -> Decision:
    """Two layers with a failure, a self-assessment, a judge and an LLM left out."""
    scripts = {
        "a": Script(
            lambda call: (
                "41\nSCORES: A1=0.20 A2=0.90\nCONFIDENCE: 0.30" if "[A1]" in call.messages[-1]["content"] else "40\nCONFIDENCE: 0.10"
            )
        ),
        "b": Script("[bold]42[/bold]"),
        "c": broken("c"),
    }
    pool = [candidate("a", 0.6), candidate("b", 0.5), candidate("c", 0.4), candidate("small", 0.9, context_window=8)]
    options = Options(max_layers=2, weights=Weights(usd=0))
    return drive(Mixture(ScriptedClient(scripts), clock).answer(Request(user(), pool, options, Layered(order="value"))))


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mixture.replay.explain", *arguments], input=text, capture_output=True, text=True, check=False
    )


def test_the_tree_tells_the_whole_story(decision: Decision, tmp_path: Path) -> None:
    """Who ran, scores before and after, judgements, failures, exclusions, costs, why it stopped; texts are not read as markup."""
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(decision.as_dict()))
    printed = run(str(path))
    assert printed.returncode == 0, printed.stderr
    for told in (
        "layer 1", "layer 2", "a  0.60 → 0.55", "self 0.10", "scores ", "(these count)", "failed: LLMUnreachable", "not asked: small",
        "stopped: no more layers are allowed", "total: 400+40 tokens", "by best", "[bold]42[/bold]",
    ):  # fmt: skip
        assert told in " ".join(printed.stdout.split()) or told in printed.stdout, printed.stdout


def test_a_record_around_the_decision_is_read_too(decision: Decision) -> None:
    """GET /v1/decisions/ID wraps it in a record."""
    assert explain.load(json.dumps({"id": "x", "decision": decision.as_dict()})) == decision


def test_a_chat_that_explains_is_read_too(decision: Decision) -> None:
    assert explain.load(json.dumps({"id": "x", "choices": [], "routemoa": {"decision": decision.as_dict()}})) == decision


def test_help_and_a_missing_file_say_what_to_do() -> None:
    assert "mixture.replay.explain DECISION.json" in run("--help").stderr
    missing = run("no-such-decision")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "GET /v1/decisions/ID" in missing.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"decision": {"text": 1}}', '{"layers": [{"surprise": 1}]}'])
def test_what_is_no_decision_is_said_to_be_none(text: str) -> None:
    """A wrong file is a message and exit code 1, no traceback."""
    printed = run("-", text=text)
    assert (printed.returncode, printed.stdout) == (1, "")
    assert "No decision can be read" in printed.stderr
    assert "Traceback" not in printed.stderr


@pytest.mark.parametrize("command", [[], ["--replay"]])
@pytest.mark.parametrize("older", ["decision", "run"])
def test_a_record_of_an_older_version_is_recognised(decision: Decision, older: str, command: list[str]) -> None:
    """The snapshot and a run's peer scores were both called `given` once; that is said, not which argument Python misses."""
    tree = decision.as_dict()
    if older == "decision":
        tree["given"] = tree.pop("snapshot")
    else:
        run_tree = tree["layers"][0]["runs"][0]
        run_tree["given"] = run_tree.pop("peer_scores")
    printed = run(*command, "-", text=json.dumps({"id": "x", "decision": tree}))
    assert (printed.returncode, printed.stdout) == (1, "")
    assert "recorded by an older version, whose records can no longer be drawn" in printed.stderr
    assert "TypeError" not in printed.stderr


def test_a_missing_file_is_named() -> None:
    """The path stands in the message."""
    printed = run("nowhere.json")
    assert printed.returncode == 1
    assert "nowhere.json" in printed.stderr
