"""A version promoted, refused and rolled back in the browser: a real MLflow, a real worker, a real server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from console.settings import ConsoleSettings
from registry.mlflow_door import Door
from registry.mlflow_rest import Rest
from registry.run_state import Runs
from registry.version import CHALLENGER, CHAMPION, GATE, GATE_REASONS, REASON, ROSTER
from tests.console.processes import ROOT, Person, person, running
from tests.mlflow_server import MLflow
from tests.serving.world import Running, World

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAME = "console-scorer"
FIGURES = {"test/ours/quality": 0.7, "test/ours/cost_usd": 1e-5, "test/best_single/quality": 0.6, "test/best_single/cost_usd": 2e-5}


@pytest.fixture(scope="module")
def door(mlflow: MLflow) -> Door:
    """Two versions, the second waiting with a gate that passed; and one whose gate failed."""
    made, runs = Door(mlflow.url, NAME), Runs(mlflow.url)
    gates = {
        "1": ("passed", "Overall: better."),
        "2": ("passed", "maths: +0.120 [+0.020, +0.220], 150 queries: not worse by more than 0.02."),
        "3": ("failed", "Overall: realised quality -0.100 against the champion, 95 % interval [-0.200, -0.010], 69 queries: worse."),
    }
    for number, (gate, reason) in gates.items():
        run = runs.begin(f"scorer {number}", {})
        runs.log(run, FIGURES, {})
        tags = {GATE: gate, GATE_REASONS: reason, ROSTER: "echo,slow", REASON: f"reason {number}"}
        kept = Rest(mlflow.url).call("GET", "runs/get", run_id=run)["run"]["info"]["artifact_uri"]
        made.create_version(source=f"{kept}/scorer", run_id=run, tags=tags, description="")
    made.set_alias(CHAMPION, "1")
    made.set_alias(CHALLENGER, "2")
    return made


@pytest.fixture
def somebody(browser: Any, world: World, server: Running, door: Door) -> Iterator[Person]:
    """Before a console that knows this MLflow, beside a worker."""
    variables = {"ROUTEMOA_MLFLOW_URL": door.url, "ROUTEMOA_SCORER_NAME": NAME}
    environment = {**os.environ, **variables, "ROUTEMOA_HOME": str(world.home), "PYTHONPATH": str(ROOT)}
    with (world.home / "worker.log").open("ab") as log:
        worker = subprocess.Popen([sys.executable, "-m", "registry.worker"], cwd=world.home, env=environment, stdout=log, stderr=log)
    try:
        with running(world.home, server.url, **variables) as console, person(browser, console) as made:
            yield made.sign_in(server.key)
    finally:
        worker.terminate()
        worker.wait()


def test_a_version_is_promoted_and_rolled_back(somebody: Person, door: Door) -> None:
    """Side by side with its gain; one button and a question promote it, another goes back. A failed gate asks why, and keeps it."""
    page = somebody.open("/scorers").page
    page.get_by_role("table", name="Gain by domain").get_by_text("maths").wait_for()
    page.get_by_role("button", name="Promote version 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote it").click()
    page.get_by_text("Version 2 is champion").wait_for()
    assert door.aliases()[CHAMPION] == "2"
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    page.get_by_text("Version 1 is champion again").wait_for()
    assert door.aliases()[CHAMPION] == "1"
    page.get_by_role("button", name="Promote version 3").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Promote it").click()
    dialog.get_by_text("Say why; it is kept with the version.").wait_for()
    dialog.get_by_label("Why, although its gate has not passed").fill("a trial")
    dialog.get_by_role("button", name="Promote it").click()
    page.get_by_text("Version 3 is champion").wait_for()
    assert door.version("3").tags["override"] == "a trial"
    assert somebody.complaints == []


def test_pages_of_a_version_are_those_of_mlflow(door: Door) -> None:
    """The link leads to the version there."""
    from console import versions

    settings = ConsoleSettings(_env_file=None, mlflow_url=door.url, scorer_name=NAME)
    assert versions.page(settings, door.version("2")) == f"{door.url}/#/models/{NAME}/versions/2"
