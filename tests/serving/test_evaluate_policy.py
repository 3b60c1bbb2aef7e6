"""`routemoa evaluate-policy` on the records of a real server: values against what is known of the LLMs, and what it refuses."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from routing_client import ready
from typer.testing import CliRunner
from world import World, entry

from cli.main import commands
from monitoring.records.record import AUDIT, Draw, Record
from monitoring.records.store import RecordStore
from registry.settings import Settings
from scorer.errors import RouteMoAError
from serving.settings import ExploreSettings, MixtureSettings

QUALITY = {"one": 0.4, "two": 0.7, "three": 0.9}
PRICES = {"one": 1.0, "two": 1.5, "three": 20.0}
ASK: dict[str, Any] = {"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}]}


def served(world: World, count: int, model: str = "routemoa-single", **explore: Any) -> None:
    """So many answers, from a server that explores."""
    for client in ready(world, explore=ExploreSettings(**explore), mixture=MixtureSettings(value_per_second=0)):
        client.app.state.serving.exploration.random = Random(3).random  # type: ignore[attr-defined]
        for _ in range(count):
            assert client.post("/v1/chat/completions", json={**ASK, "model": model}).status_code == 200


def audited(world: World, probability: float = 1.0) -> list[Record]:
    """Each answer is drawn with that probability, and graded by what its LLM is worth."""
    store, random = RecordStore(world.home / "var" / "records.db"), Random(5)
    found = store.scan(0, 2**40)
    store.decide_draws([Draw(record.id, probability, random.random() < probability) for record in found])
    statement = "INSERT INTO outcomes (record_id, score, source, reported_at) VALUES (?, ?, ?, 0)"
    drawn = [record for record in store.scan(0, 2**40) if record.drawn_with is not None]
    store.change(statement, [(record.id, float(random.random() < QUALITY.get(record.llm or "", 0.5)), AUDIT) for record in drawn])
    return store.scan(0, 2**40)


def first(record: Record) -> str:
    """Whom it asked first; on a busy machine another one may have stood in."""
    return str(record.decision["action"]["first"])


def evaluated(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[str, dict[str, Any]]:
    """What the command prints and writes."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(world.home))
    result = CliRunner().invoke(commands, ["evaluate-policy", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output, json.loads((world.home / "var" / "policies" / "1.json").read_text())


def refused(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Why the command refuses."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(world.home))
    with pytest.raises(RouteMoAError) as error:
        CliRunner().invoke(commands, ["evaluate-policy", *arguments], catch_exceptions=False)
    return str(error.value)


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> tuple[World, list[Record]]:
    """600 answers, half of them drawn among three LLMs, all audited."""
    made = project(tmp_path_factory.mktemp("explored") / "project", upstream)
    served(made, 600, share=0.5, delta=1000.0)
    served(made, 3, model="routemoa-layers")
    return made, [record for record in audited(made) if record.virtual_model == "routemoa-single"]


def project(home: Path, upstream: str) -> World:
    """Three LLMs that always answer."""
    made = World(home, upstream, roster=tuple(QUALITY))
    made.write_pool({name: entry(upstream, "echo", price={"input": price, "output": price}) for name, price in PRICES.items()})
    made.publish("1")
    return made


def test_the_value_of_another_pool_is_what_its_llm_brought(explored: tuple[World, list[Record]], monkeypatch: pytest.MonkeyPatch) -> None:
    """All queries are the same here, so it is the mean of that LLM's answers, in quality and money."""
    world, records = explored
    usual = str(records[0].decision["action"]["usual"])
    output, report = evaluated(world, monkeypatch, "--without", usual)
    assert report["requests"] == 600
    assert report["strategy"] == "single"
    assert report["not_judged"] == {"several LLMs were asked at once": 3}
    same, other = report["rows"]
    order = [each["llm"] for each in records[0].decision["action"]["candidates"]]
    theirs = [record for record in records if first(record) == next(llm for llm in order if llm != usual)]
    grades = [record.outcome.score for record in theirs if record.outcome is not None]
    assert other["quality"]["value"] == pytest.approx(np.mean(grades))
    assert other["quality"]["low"] < np.mean(grades) < other["quality"]["high"]
    assert other["quality"]["effective"] == pytest.approx(len(theirs))
    assert other["usd"]["value"] == pytest.approx(np.mean([record.cost_usd for record in theirs]))
    ours = [record for record in records if first(record) == usual]
    assert same["quality"]["value"] == pytest.approx(np.mean([record.outcome.score for record in ours if record.outcome is not None]))
    assert other["quality_difference"]["value"] == pytest.approx(other["quality"]["value"] - same["quality"]["value"])
    assert other["usd_difference"]["value"] == pytest.approx(other["usd"]["value"] - same["usd"]["value"])
    assert same["quality_difference"]["value"] == 0
    assert report["served"][0]["value"] == pytest.approx(np.mean([record.outcome.score for record in records if record.outcome]))
    assert report["exploration_usd"] == pytest.approx(sum(record.decision["action"]["extra_usd"] for record in records))
    assert "as served" in output
    assert "Not judged: 3 (several LLMs were asked at once)." in output


def test_a_dollar_worth_more_moves_to_the_cheapest(explored: tuple[World, list[Record]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Several values of a dollar at once; the floor names the last that surely holds it."""
    world, records = explored
    _, report = evaluated(world, monkeypatch, "--dollar", "0", "--dollar", "1000000", "--floor", "90pt")
    assert [row["usd_weight"] for row in report["rows"]] == [None, 0.0, 1e6]
    cheapest = [record.cost_usd for record in records if first(record) == "one"]
    assert report["rows"][2]["usd"]["value"] == pytest.approx(np.mean(cheapest))
    assert report["best"]["usd_weight"] == 1e6
    output, report = evaluated(world, monkeypatch, "--floor", "0.001pt")
    assert len(report["rows"]) > 3
    assert ("surely" in output) is True


def test_other_prices_are_billed_and_chosen_by(
    explored: tuple[World, list[Record]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A price list with the LLMs' names."""
    world, records = explored
    listed = tmp_path / "prices.yaml"
    listed.write_text("one: {input: 100, output: 100}\ntwo: {input: 0.001, output: 0.001}\nthree: {input: 100, output: 100}\n")
    _, report = evaluated(world, monkeypatch, "--prices", str(listed), "--dollar", "1000000")
    bills = [(0.001 if record.llm == "two" else 100) * 15 / 1e6 for record in records if first(record) == "two"]
    assert report["rows"][1]["usd"]["value"] == pytest.approx(np.mean(bills))
    grades = [record.outcome.score for record in records if first(record) == "two" and record.outcome is not None]
    assert report["rows"][1]["quality"]["value"] == pytest.approx(np.mean(grades))


def test_records_of_two_price_lists_are_at_the_prices_of_then(tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said, and money is what was paid; a price list in their place is one."""
    world = project(tmp_path / "project", upstream)
    served(world, 80, share=0.5, delta=1000.0)
    world.write_pool({name: entry(upstream, "echo", price={"input": 10 * usd, "output": 10 * usd}) for name, usd in PRICES.items()})
    served(world, 80, share=0.5, delta=1000.0)
    records = audited(world)
    output, report = evaluated(world, monkeypatch)
    assert "Prices changed in these records (one, three, two)" in output
    assert report["served"][1]["value"] == pytest.approx(np.mean([record.cost_usd for record in records]))
    listed = tmp_path / "prices.yaml"
    listed.write_text("".join(f"{name}: {{input: {usd}, output: {usd}}}\n" for name, usd in PRICES.items()))
    assert "Prices changed" not in evaluated(world, monkeypatch, "--prices", str(listed))[0]


def test_in_sessions_more_exploration_would_not_do(tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session keeps its LLM, so what another one would have brought there cannot be told; no share is named that would tell it."""
    world = project(tmp_path / "project", upstream)
    for client in ready(world, explore=ExploreSettings(share=0.5, delta=1000.0), mixture=MixtureSettings(value_per_second=0)):
        for session in range(20):
            talk: list[dict[str, str]] = []
            for turn in range(3):
                talk.append({"role": "user", "content": f"what is the sum of {session} and {turn} ?"})
                answer = client.post("/v1/chat/completions", json={**ASK, "messages": talk, "routemoa": {"session": f"s{session}"}})
                talk.append({"role": "assistant", "content": answer.json()["choices"][0]["message"]["content"]})
    audited(world)
    output, report = evaluated(world, monkeypatch, "--dollar", "1000000")
    assert report["rows"][1]["quality"]["value"] is None
    assert "Exploring more would not do: nothing is left to chance where a session has its LLM in" in output


def test_without_exploration_it_is_refused_and_says_what_it_takes(tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served can be judged, another choice cannot; the share that would do is named."""
    world = project(tmp_path / "project", upstream)
    served(world, 120)
    usual = str(audited(world)[0].decision["action"]["usual"])
    output, report = evaluated(world, monkeypatch, "--without", usual)
    assert report["rows"][1]["quality"]["value"] is None
    assert report["rows"][0]["quality"]["value"] is not None
    assert "No overlap: in 100% of the requests it asks an LLM that could not have been asked." in output
    assert "ROUTEMOA_EXPLORE__" in output


def test_outcomes_of_some_carry_the_audits_probability(tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third is audited: as many outcomes count, money is known of all."""
    world = project(tmp_path / "project", upstream)
    served(world, 300, share=0.5, delta=1000.0)
    records = audited(world, 1 / 3)
    _, report = evaluated(world, monkeypatch)
    assert report["audited"] == sum(record.outcome is not None for record in records)
    row = report["rows"][1]
    assert row["quality"]["outcomes"] < row["usd"]["outcomes"]
    assert row["quality_difference"]["value"] == 0


def test_what_cannot_be_judged_is_refused_in_words(
    explored: tuple[World, list[Record]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No such strategy, nothing that late, no such LLM, nothing served."""
    world, _ = explored
    assert "600: answered by the strategy single" in refused(world, monkeypatch, "--strategy", "sequential")
    assert "None of 0 records can be judged." in refused(world, monkeypatch, "--since", "2999-01-01")
    assert "--without tow: no candidate of these records" in refused(world, monkeypatch, "--without", "tow")
    assert "no number of points" in refused(world, monkeypatch, "--floor", "much")
    empty = tmp_path / "empty"
    (empty / "registry").mkdir(parents=True)
    (empty / "registry" / "pool.yaml").write_text("llms: {}\n")
    monkeypatch.setenv("ROUTEMOA_HOME", str(empty))
    assert Settings().home == empty
    with pytest.raises(RouteMoAError, match="No scorer version serves here"):
        CliRunner().invoke(commands, ["evaluate-policy"], catch_exceptions=False)
