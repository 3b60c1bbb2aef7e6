"""Three names, three ways to be answered, each whole and streamed; what the operator sets for each."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from routing_client import ready
from world import World

from mixture.choose.layered import Layered
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.sequential import Sequential
from mixture.choose.strategies import STRATEGIES
from mixture.decision import Decision
from mixture.replay.replay import differences
from serving.choice.virtual_models import VIRTUAL
from serving.settings import ServingSettings

ASK = [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]
NAMES = ["routemoa", "routemoa-layers", "routemoa-single"]


def whole(client, model, **routemoa):
    response = client.post("/v1/chat/completions", json={"model": model, "messages": ASK, "routemoa": {"explain": True, **routemoa}})
    assert response.status_code == 200, response.text
    answer = response.json()
    return answer["choices"][0]["message"]["content"], answer["routemoa"]["decision"]


def streamed(client, model, **routemoa):
    body = {"model": model, "messages": ASK, "stream": True, "routemoa": {"explain": True, **routemoa}}
    lines = [line.removeprefix("data: ") for line in client.post("/v1/chat/completions", json=body).text.split("\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    return text, chunks[-1]["routemoa"]["decision"]


def test_all_three_are_listed(client) -> None:
    """GET /v1/models says what each is."""
    listed = {each["id"]: each for each in client.get("/v1/models").json()["data"]}
    assert list(VIRTUAL) == NAMES
    assert all(listed[name]["owned_by"] == "routemoa" and listed[name]["description"] for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ask", [whole, streamed])
def test_a_request_to_each_is_answered(client, name, ask) -> None:
    """By the strategy of that name, and its record decides the same again."""
    text, tree = ask(client, name)
    decision = Decision.from_dict(tree)
    assert text == decision.text
    assert "what is the sum of 1 and 2" in text
    assert decision.strategy["name"] == ("layered" if name == "routemoa-layers" else "sequential")
    assert (decision.stopped_because == "single") == (name == "routemoa-single")
    assert differences(decision) == []


def test_the_layers_are_the_papers(client) -> None:
    """K 3, three layers, threshold .85, strict priority, self- and cross-assessment, a synthesis; each LLM is shown the others' answers."""
    _, tree = whole(client, "routemoa-layers")
    options, strategy = tree["options"], tree["strategy"]
    assert (options["k"], options["max_layers"], options["quorum"], options["aggregation"]) == (3, 3, 3, "synthesise")
    assert (strategy["order"], strategy["stop_threshold"], strategy["posterior"]["rule"]) == ("strict", 0.85, "PaperScore")
    assert strategy["self_assessment"]
    assert strategy["cross_assessment"]
    assert tree["aggregation"] == "synthesise"
    assert len(tree["layers"][0]["runs"]) == 3


def test_route_says_by_which_strategy(client) -> None:
    """The first layer, and what decides on the next."""
    planned = client.post("/v1/route", json={"model": "routemoa-layers", "messages": ASK}).json()
    assert planned["strategy"]["name"] == "layered"
    assert len(planned["chosen"]) == 3


def test_the_layers_have_settings_of_their_own(world: World) -> None:
    """The threshold is the operator's; budget, deadline and data policy hold under every name."""
    settings = {"layers": {"stop_threshold": 0.0, "k": 2}, "mixture": {"data_policy": ["local"]}}
    for client in ready(world, **settings):
        _, tree = whole(client, "routemoa-layers")
        assert (tree["stopped_because"], len(tree["layers"]), tree["options"]["k"]) == ("threshold", 1, 2)
        assert "tooled" in tree["excluded"]
        refused = client.post(
            "/v1/chat/completions", json={"model": "routemoa-layers", "messages": ASK, "routemoa": {"data_policy": ["mars"]}}
        )
        assert refused.json()["error"]["code"] == "no_capable_llm"


def test_strategies_are_set_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, with fields of their own; a name that nobody knows and the old setting are refused at the start."""
    monkeypatch.setenv("ROUTEMOA_LAYERS__STOP_THRESHOLD", "0.9")
    monkeypatch.setenv("ROUTEMOA_MIXTURE__REFINE_GAIN", "0.1")
    settings, fitted = ServingSettings(_env_file=None), AgreementPosterior(base=0.5)
    assert VIRTUAL["routemoa-layers"].strategy(settings, fitted) == Layered(stop_threshold=0.9)
    assert VIRTUAL["routemoa"].strategy(settings, fitted) == Sequential(fitted, refine_gain=0.1)
    monkeypatch.setitem(STRATEGIES, "mine", Layered)
    monkeypatch.setenv("ROUTEMOA_MIXTURE__STRATEGY", "mine")
    assert VIRTUAL["routemoa"].strategy(ServingSettings(_env_file=None), fitted) == Layered(refine_gain=0.1)
    for name, value, message in (("STRATEGY", "sequence", "Did you mean sequential"), ("DEEPEN", "refine", "Extra inputs")):
        monkeypatch.setenv(f"ROUTEMOA_MIXTURE__{name}", value)
        with pytest.raises(ValidationError, match=message):
            ServingSettings(_env_file=None)
        monkeypatch.delenv(f"ROUTEMOA_MIXTURE__{name}")


def test_settings_that_cannot_be_used_are_one_sentence(tmp_path: Path) -> None:
    """The variable's name, the names that there are, where to correct it; no traceback."""
    (tmp_path / ".env").write_text("ROUTEMOA_MIXTURE__USD=1000\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-m", "serving"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert re.match(r"Settings: mixture\.usd is not a known key.*value_per_usd.*in \.env; CHANGELOG", done.stderr)
