"""The three things people do with the platform, in the console from first click to last: on a real small project, without a terminal."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import steps
from local.stage import Stage
from tests.console.processes import CHROMIUM, Person, chromium, person
from tests.stories.test_own_llms import UNKNOWN, Places, places, queries, stage

__all__ = ["places", "stage"]  # fixtures, for a platform of this module's own
pytestmark = [
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the console is not clicked"),
]
JOB_MS = 600_000  # of a retraining on a machine that does much else


@pytest.fixture(scope="module")
def console(stage: Stage) -> str:
    """The address of the platform's console."""
    stage.platform.start_console()
    return stage.platform.addresses.console


@pytest.fixture
def somebody(console: str, stage: Stage) -> Iterator[Person]:
    """A person with the platform's key."""
    with chromium() as browser, person(browser, console) as made:
        yield made.sign_in(stage.platform.api_key)


def register(page: Any, llm: str, address: str) -> None:
    """Fills in the form, reads what joining costs, and has it join; the page of its job stands there after."""
    page.get_by_role("link", name="Pool").click()
    page.get_by_role("button", name="Register an LLM").click()
    page.get_by_label("Id", exact=True).fill(llm)
    page.get_by_label("Address").fill(address)
    page.get_by_label("What that server calls it").fill(llm)
    page.get_by_label("USD per 1M tokens in").fill("0.01")
    page.get_by_label("USD per 1M tokens out").fill("0.02")
    page.get_by_label("Longest answer, tokens").fill("16")
    page.get_by_role("button", name="Probe it").click()
    page.get_by_text(f"{llm} answered its probe.").wait_for()
    page.get_by_text("Expected cost").wait_for()
    page.get_by_role("button", name="Register and train").click()
    page.get_by_role("heading", name="Job", exact=True).wait_for()


def promote(page: Any, version: str) -> None:
    """Promotes a version; returns once the worker did."""
    page.get_by_role("link", name="Scorers").click()
    page.get_by_role("button", name=f"Promote version {version}").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote it").click()
    page.get_by_text("is champion; servers follow").wait_for()


def follow(page: Any) -> None:
    """Watches the job that is shown until it is done."""
    page.get_by_role("button", name="See the scorer versions").wait_for(timeout=JOB_MS)


def ask(stage: Stage, wanted: list[dict[str, Any]]) -> None:
    """Sends queries through the one LLM of best value."""
    for query in wanted:
        stage.visitor.ask(query, virtual_model="routemoa-single", max_tokens=16)


def test_an_llm_is_registered_and_its_job_watched(somebody: Person, places: Places, stage: Stage) -> None:
    """User story 1: probe, price, one button; the job's stage and log are followed to the end."""
    page = somebody.page
    register(page, "specialist", places["specialist"].url)
    page.get_by_label("Log", exact=True).get_by_text("specialist:").wait_for(timeout=JOB_MS)
    follow(page)
    page.get_by_role("link", name="Pool").click()
    page.get_by_role("row").filter(has_text="specialist").get_by_text("not trained on yet").wait_for()
    assert "specialist" in (stage.home / "registry" / "pool.yaml").read_text()


def test_its_version_is_promoted_and_rolled_back(somebody: Person, stage: Stage) -> None:
    """User story 2: the gate's reasons stand beside the champion; one button promotes, another goes back; the server follows."""
    page = somebody.page
    page.get_by_role("link", name="Scorers").click()
    page.get_by_text("challenger", exact=True).first.wait_for()
    page.get_by_role("table", name="Gain by domain").get_by_text("mathematics").wait_for()
    for before, after in (("1", "2"), ("2", "1"), ("1", "2")):  # one that a rollback left may be promoted again
        assert stage.visitor.request("GET", "/admin/scorer")["version"] == before
        if after == "2":
            promote(page, after)
        else:
            page.get_by_role("button", name="Roll back").click()
            page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
            page.get_by_text("is champion again").wait_for()
        give_up = time.monotonic() + 60
        while stage.visitor.request("GET", "/admin/scorer")["version"] != after:
            assert time.monotonic() < give_up, "the server did not follow"
            time.sleep(0.1)
    page.get_by_text("in use", exact=True).first.wait_for()


def test_drift_is_reviewed_and_answers_are_graded(somebody: Person, stage: Stage) -> None:
    """User story 3: which domain is unknown, three of its queries, its name, ten answers graded by two keys, and the retraining begun."""
    new = queries(1)
    ask(stage, [query for query in new if query["domain"] != UNKNOWN][:90] + [query for query in new if query["domain"] == UNKNOWN][:40])
    steps.look(stage)
    page = somebody.open("/drift").page
    groups = page.locator('[aria-label^="Group "]')
    group = groups.first  # the largest that is alike; `scattered`, where no five are
    assert group.get_by_role("link").count() == 3
    group.get_by_text("medicine", exact=True).wait_for()
    for place in range(groups.count()):  # ten to grade are in all of them together
        groups.nth(place).get_by_role("button", name="Audit 20").click()
        page.get_by_text("more answers wait for a grade").wait_for()
        page.get_by_text("more answers wait for a grade").wait_for(state="detached")
    group.get_by_role("button", name="Name it").click()
    page.get_by_label("Name of the domain").fill("medicine")
    page.get_by_role("dialog").get_by_role("button", name="Name it").click()
    page.get_by_role("table", name="Named domains").get_by_text("medicine").wait_for()
    page.goto(f"{somebody.url}/drift/audits")
    page.get_by_text("Is this answer right?").wait_for()
    for number in range(1, 11):
        page.keyboard.press("j" if number % 2 else "f")
        page.get_by_text(f"{number} graded by you now").wait_for()
    page = somebody.open("/drift").page
    page.get_by_role("table", name="Estimated quality").wait_for()
    page.get_by_role("button", name="Retrain now").click()
    page.get_by_role("heading", name="Job", exact=True).wait_for()
    page.get_by_role("button", name="Cancel it").click()
    page.get_by_text("cancelled", exact=True).first.wait_for()


def test_nothing_of_the_key_is_left_behind(stage: Stage) -> None:
    """After all of it the console's log does not have it."""
    log = Path(stage.platform.settings.var) / "logs" / "console.log"
    assert stage.platform.api_key not in log.read_text()
    assert "Traceback" not in log.read_text()
