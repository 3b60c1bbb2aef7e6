"""A query unlike anything labelled is called so, and gets what the operator chose: nothing, the best overall, more, or a named LLM."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from routing_client import ready
from starlette.testclient import TestClient
from world import World

from registry.errors import PoolRefused
from scorer.runtime import load
from serving.app import create_app
from tests.scorer.tiny import tiny_artifact

SUM = "what is the sum of 1 and 2 ?"
FOREIGN = "hospital doctor patient fever medicine"
ROSTER = ("echo", "slow", "tooled")
BEST = "tooled"  # by the reference's scores; what its price says aside


def known_sums(folder: Path) -> None:
    """An artifact whose training queries are sums, so that what is no sum is unlike them."""
    tiny_artifact(folder, roster=ROSTER, seed=0)
    scorer = load(folder)
    with np.load(folder / "reference.npz") as arrays:
        content = {name: arrays[name] for name in arrays}
    training, held_out = len(content["queries_RD"]), len(content["held_queries_HD"])
    mixed = np.random.default_rng(0).permutation(training + held_out)
    texts = [f"what is the sum of {at // 10} and {at % 10} ?" for at in mixed]
    queries = scorer.score(texts).queries_QD
    content["queries_RD"] = queries[:training].astype(content["queries_RD"].dtype)
    content["held_queries_HD"] = queries[training:].astype(content["held_queries_HD"].dtype)
    content["scores_RL"][:] = [0.3, 0.2, 0.9]
    np.savez(folder / "reference.npz", **content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["reference.npz"] = hashlib.sha256((folder / "reference.npz").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def summing(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> World:
    made = World(tmp_path_factory.mktemp("summing") / "project", upstream, roster=ROSTER)
    known_sums(made.home / "var" / "scorers" / "1")
    made.made.add("1")
    made.publish("1")
    return made


def route(client: TestClient, text: str, model: str = "routemoa-single") -> dict:
    asked = client.post("/v1/route", json={"model": model, "messages": [{"role": "user", "content": text}]})
    assert asked.status_code == 200, asked.text
    return asked.json()


def clients(world: World, unfamiliar: str) -> Iterator[TestClient]:
    return ready(world, unfamiliar=unfamiliar)


def test_what_is_unlike_anything_labelled_is_called_so_and_nothing_changes_by_itself(summing: World) -> None:
    """Route, explanation and answer say it, with the nearest domains and their distances; a known query is not called so."""
    for client in clients(summing, "nothing"):
        known, strange = route(client, SUM), route(client, FOREIGN)
        assert (known["familiar"]["unlike_anything_labelled"], strange["familiar"]["unlike_anything_labelled"]) == (False, True)
        assert strange["familiar"]["distance"] > strange["familiar"]["threshold"] > known["familiar"]["distance"]
        assert strange["familiar"]["nearest"][0].keys() == {"domain", "distance"}
        assert strange["explanation"].startswith("Unlike anything labelled (distance ")
        assert "ROUTEMOA_UNFAMILIAR" not in strange["explanation"]
        assert "Unlike" not in known["explanation"]
        for text, unlike in ((SUM, False), (FOREIGN, True)):
            answer = client.post("/v1/chat/completions", json={"model": "routemoa-single", "messages": [{"role": "user", "content": text}]})
            assert answer.json()["routemoa"]["unlike_anything_labelled"] is unlike


@pytest.mark.parametrize(("unfamiliar", "llm"), [("best", BEST), ("slow", "slow")])
def test_the_best_overall_or_a_named_llm_is_asked_then(summing: World, unfamiliar: str, llm: str) -> None:
    """For the strange query alone; the others stand by, and the explanation says why."""
    for client in clients(summing, unfamiliar):
        strange = route(client, FOREIGN)
        assert strange["chosen"] == [llm]
        assert f"(ROUTEMOA_UNFAMILIAR={unfamiliar})" in strange["explanation"]
        assert "given no answer lately" not in strange["explanation"]
        assert {each["llm"] for each in strange["ranked"]} == set(ROSTER)
        known = route(client, SUM)
        assert not any(each["stepped_over"] for each in known["ranked"])
        asked = {"model": "routemoa-single", "messages": [{"role": "user", "content": FOREIGN}]}
        assert client.post("/v1/chat/completions", json=asked).json()["routemoa"]["llm"] == llm


def test_asking_on_pays_sooner_where_more_is_wanted(summing: World) -> None:
    """A right answer is worth ten times as much; a known query keeps its weights."""
    for client in clients(summing, "more"):
        assert route(client, FOREIGN)["options"]["weights"]["quality"] == 10 * route(client, SUM)["options"]["weights"]["quality"]


def test_a_word_that_is_no_action_and_no_llm_is_refused_at_the_start(summing: World) -> None:
    """With the near ones."""
    with (
        pytest.raises(PoolRefused, match="bst: neither nothing, best, more nor an LLM") as refused,
        TestClient(create_app(summing.settings(unfamiliar="bst"))),
    ):
        pass
    assert "best" in refused.value.next_step
