"""The three things people do with the platform, as one story in a terminal: every step of theirs is a `routemoa` command."""

import re
import time

import pytest

from local.stage import Stage
from tests.stories.terminal import routemoa, typed
from tests.stories.test_console import SKILLS, ask, gained, jobs, places
from tests.stories.test_own_llms import UNKNOWN, Places, queries, stage

__all__ = ["places", "stage"]  # fixtures, for a platform of this module's own
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
NEWCOMER = ("--served-name", "specialist", "--input-price", "0.01", "--output-price", "0.02", "--max-tokens", "16")


def test_the_whole_story(stage: Stage, places: Places) -> None:
    """An LLM joins and is promoted; an unknown domain is found, named, graded, learned and promoted; then one step back."""
    joins(stage, places["specialist"].url)
    is_promoted_and_taken_back(stage)
    groups = drift_is_reviewed(stage)
    answers_are_graded(stage)
    version = it_is_learned(stage, groups)
    assert f"Scorer version {version} is champion." in promote(stage, version)
    served(stage, version)
    assert "Scorer version 2 is champion again." in routemoa(stage.home, "rollback")
    served(stage, "2")


def joins(stage: Stage, address: str) -> None:
    """User story 1: its price is agreed to, its job followed to the end."""
    assert "specialist" not in routemoa(stage.home, "llms")
    with typed(stage.home, "add-llm", "specialist", "--base-url", address, *NEWCOMER) as adding:
        assert "costs about $" in adding.until("Go on?")
        adding.enter("y")
        (job,) = re.findall(r"routemoa jobs (\S+) --follow", adding.until("--follow"))
        assert adding.end() == 0
    followed = routemoa(stage.home, "jobs", job, "--follow")
    assert "gate passed: better in mathematics" in followed
    assert "Promote: routemoa promote 2" in followed
    assert "specialist: " in routemoa(stage.home, "jobs", job, "--log")
    assert re.search(rf"{job} +done", routemoa(stage.home, "jobs"))
    assert "specialist" in routemoa(stage.home, "llms")


def is_promoted_and_taken_back(stage: Stage) -> None:
    """User story 2, without the MLflow UI: the gate's reasons are read first."""
    assert re.search(r"2 +challenger +passed +3, \+ specialist", routemoa(stage.home, "list"))
    assert "mathematics" in routemoa(stage.home, "show", "challenger")
    assert "Scorer version 2 is champion." in routemoa(stage.home, "promote", "challenger")
    served(stage, "2")
    assert "Scorer version 1 is champion again." in routemoa(stage.home, "rollback")
    served(stage, "1")
    routemoa(stage.home, "promote", "2")
    served(stage, "2")


def drift_is_reviewed(stage: Stage) -> list[str]:
    """User story 3: what is unknown, three of its queries, its name; returns what to call each group."""
    new = queries(1)
    ask(stage, [query for query in new if query["domain"] != UNKNOWN][:90] + [query for query in new if query["domain"] == UNKNOWN][:60])
    report = routemoa(stage.home, "report")
    assert re.search(r"\.html$", report, re.MULTILINE)
    assert UNKNOWN in routemoa(stage.home, "verdict")
    listed = routemoa(stage.home, "groups")
    first, *others = re.findall(r"\[([0-9a-f]{12})\]$", listed, re.MULTILINE)  # the largest that is alike; then, too, the scattered ones
    assert sum(query["text"] in listed for query in new if query["domain"] == UNKNOWN) >= 3, listed
    assert "medicine" in listed
    assert f"{first} is medicine from now on" in routemoa(stage.home, "groups", "name", first, "medicine")
    groups = ["medicine", *others]
    for group in groups:
        assert f"answers of {group} wait for a grade: routemoa grade" in routemoa(stage.home, "groups", "audit", group, "--count", "20")
    assert re.search(r"named: medicine, .* [1-9]\d* wait for a grade", routemoa(stage.home, "groups"))
    return groups


def answers_are_graded(stage: Stage) -> None:
    """Ten of them, by two keys."""
    right = {query["text"]: query["reference"] for query in queries(1)}
    assert "routemoa grade" in routemoa(stage.home, "audits")
    with typed(stage.home, "grade", "--limit", "10") as grading:
        for _ in range(10):
            shown = grading.until("q stop")
            asked, said = (re.search(rf"^{name} +(.*)$", shown, re.MULTILINE) for name in ("query", "answer"))
            assert asked, shown
            assert said, shown
            grading.press("j" if said[1] == right[asked[1]] else "f")
        assert "10 graded, " in grading.until("routemoa quality")
        assert grading.end() == 0
    assert re.search(rf"{UNKNOWN}.* to ", routemoa(stage.home, "quality"))


def it_is_learned(stage: Stage, groups: list[str]) -> str:
    """The plan names whom it asks and the price, and starts nothing; the job says what it bought. Returns the version."""
    before = len(jobs(stage))
    chosen = [word for group in groups for word in ("--group", group)]
    plan = routemoa(stage.home, "retrain", "--plan", *chosen)
    assert all(llm in plan for llm in SKILLS)
    assert "Costs about" in plan
    assert len(jobs(stage)) == before
    started = routemoa(stage.home, "retrain", *chosen, "--reason", "medicine is asked now")
    (job,) = re.findall(r"routemoa jobs (\S+) --follow", started)
    followed = routemoa(stage.home, "jobs", job, "--follow")
    assert "not saved as a DVC experiment" not in routemoa(stage.home, "jobs", job, "--log")
    assert re.search(r": quality .* before, .* after, by ", followed), followed
    gained(stage, jobs(stage)[0])
    version: str = re.findall(r"scorer version (\d+) registered", followed)[-1]
    return version


def promote(stage: Stage, version: str) -> str:
    """By its gate, or, as the error says how, against it."""
    listed = routemoa(stage.home, "list")
    if re.search(rf"{version} +challenger +passed", listed):
        return routemoa(stage.home, "promote", version)
    refused = routemoa(stage.home, "promote", version, code=1)
    assert f"routemoa promote {version} --override REASON" in refused
    return routemoa(stage.home, "promote", version, "--override", "a person saw what it bought")


def served(stage: Stage, version: str) -> None:
    """Returns once the server routes by `version`."""
    give_up = time.monotonic() + 60
    while stage.visitor.request("GET", "/admin/scorer")["version"] != version:
        assert time.monotonic() < give_up, "the server did not follow"
        time.sleep(0.1)
