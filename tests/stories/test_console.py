"""The three things people do with the platform, in the console from first click to last: on a real small project, without a terminal."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local import steps
from local.errors import StepFailed
from local.stage import Stage
from tests.console.processes import CHROMIUM, Person, chromium, person
from tests.pipelines.endpoint import running
from tests.stories.test_own_llms import UNKNOWN, Places, answer, queries, stage

__all__ = ["stage"]  # a fixture, for a platform of this module's own
pytestmark = [
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the console is not clicked"),
]
# by KINDS, as in `test_own_llms` but for the unknown one: whoever answers it at first does not know it, the others do
SKILLS = {"steady": (0.5, 0.6, 0.6, 0.1), "weak": (0.2, 0.4, 0.3, 0.9), "specialist": (1.0, 0.1, 0.1, 0.9)}
JOB_MS = 1_200_000  # of a retraining on a machine that does much else


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """An endpoint for each LLM; it knows the queries of the project, and new ones."""
    with ExitStack() as opened:
        endpoints = {llm: opened.enter_context(running()) for llm in SKILLS}
        for llm, place in endpoints.items():
            place.knows.update({query["text"]: answer(llm, query, SKILLS) for seed in (0, 1) for query in queries(seed)})
        yield endpoints


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
    page.get_by_role("link", name="Pool", exact=True).click()
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
    page.get_by_role("link", name="Scorers", exact=True).click()
    page.get_by_role("button", name=f"Promote version {version}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("gate").first.wait_for()
    if (why := dialog.get_by_label("Why, although its gate has not passed")).is_visible():
        why.fill("a person saw what it bought")
    dialog.get_by_role("button", name="Promote it").click()
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
    page.get_by_role("link", name="Pool", exact=True).click()
    page.get_by_role("row").filter(has_text="specialist").get_by_text("not routed to yet").wait_for()
    assert "specialist" in (stage.home / "registry" / "pool.yaml").read_text()


def test_a_version_decides_along_in_the_shadow(somebody: Person, stage: Stage) -> None:
    """Started and stopped by a button: how often it agrees, what it would cost, whom it would ask first; in the playground, too."""
    try:
        stage.visitor.request("GET", "/admin/scorer/shadow")
    except StepFailed:
        pytest.skip("this server runs no version beside the champion")
    page = somebody.page
    page.get_by_role("link", name="Scorers", exact=True).click()
    page.get_by_role("button", name="Start a shadow").click()
    page.get_by_role("dialog").get_by_role("button", name="Start it").click()
    page.get_by_text("decides along within 5 seconds").wait_for()
    give_up = time.monotonic() + 60
    while stage.visitor.request("GET", "/admin/scorer")["shadow"]["version"] != "2":
        assert time.monotonic() < give_up, "the server loads no shadow"
        time.sleep(0.1)
    ask(stage, [query for query in queries(1) if query["domain"] == "mathematics"][:8])
    page.get_by_role("table", name="First choices").get_by_text("specialist").wait_for()
    somebody.open("/playground")
    page.get_by_label("Beside it").click()
    page.get_by_role("option").filter(has_text="scorer version 2, the shadow").click()
    page.get_by_label("Question").fill(next(query["text"] for query in queries(1) if query["domain"] == "mathematics"))
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("another choice").wait_for()
    page.get_by_text("It asks specialist first.").wait_for()
    somebody.open("/scorers")
    page.get_by_role("button", name="Stop the shadow").click()
    page.get_by_text("is no shadow any more").wait_for()
    page.get_by_role("button", name="Start a shadow").wait_for()


def test_its_version_is_promoted_and_rolled_back(somebody: Person, stage: Stage) -> None:
    """User story 2: the gate's reasons stand beside the champion; one button promotes, another goes back; the server follows."""
    page = somebody.page
    page.get_by_role("link", name="Scorers", exact=True).click()
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
    """User story 3: which domain is unknown, three of its queries, its name, and ten answers graded by two keys."""
    new = queries(1)
    ask(stage, [query for query in new if query["domain"] != UNKNOWN][:90] + [query for query in new if query["domain"] == UNKNOWN][:60])
    steps.look(stage)
    page = somebody.open("/drift").page
    page.get_by_role("table", name="Looks of the monitor").wait_for()
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
    right = {query["text"]: query["reference"] for query in new}
    for number in range(1, 11):
        asked, said = (quote.inner_text() for quote in page.locator(".quote").all()[:2])
        page.keyboard.press("j" if said == right[asked] else "f")
        page.get_by_text(f"{number} graded by you now").wait_for()
    somebody.open("/drift").page.get_by_role("table", name="Estimated quality").wait_for()


def test_a_retraining_is_planned_watched_promoted_and_its_gain_seen(somebody: Person, stage: Stage) -> None:
    """What it would ask, of whom and for how many USD is shown first; afterwards quality on the unknown, before and after, rose."""
    page = somebody.open("/drift").page
    page.get_by_role("button", name="Retrain now").click()
    dialog = page.get_by_role("dialog")
    asked = dialog.get_by_role("table", name="Who is asked")
    asked.wait_for()
    assert all(asked.get_by_text(llm, exact=True).count() == 1 for llm in SKILLS)
    dialog.get_by_role("table", name="What it is for").wait_for()
    dialog.get_by_text("Costs about", exact=True).wait_for()
    dialog.get_by_role("button", name="Not now").click()
    assert [job["state"] for job in jobs(stage)].count("queued") == 0  # a plan starts nothing
    group = page.locator('[aria-label^="Group "]').first
    group.get_by_role("button", name="Retrain on it").click()
    dialog.get_by_text("Costs about", exact=True).wait_for()
    dialog.get_by_role("button", name="Not now").click()
    page.get_by_role("button", name="Retrain now").click()
    dialog.get_by_role("button", name="Start it").click()
    page.get_by_role("heading", name="Job", exact=True).wait_for()
    follow(page)
    bought = page.get_by_role("table", name="What it bought")
    bought.wait_for()
    gained(stage, jobs(stage)[0])
    versions = stage.visitor.request("GET", "/admin/gains")["gains"]
    promote(page, versions[0]["version"])
    somebody.open("/drift").page.get_by_text("What the last retraining bought").wait_for()
    page.get_by_role("table", name="What it bought").wait_for()


def jobs(stage: Stage) -> list[dict[str, Any]]:
    """All jobs, the newest first."""
    return list(stage.visitor.request("GET", "/admin/jobs")["jobs"])


def gained(stage: Stage, job: dict[str, Any]) -> None:
    """The job's gain: on the unknown, what is chosen now is better than what was chosen before, and both have an interval."""
    (told,) = stage.visitor.request("GET", f"/admin/gains?job={job['id']}")["gains"]
    measured = [group for group in told["groups"] if group["difference"] is not None]
    largest = max(measured, key=lambda group: group["kept_out"])
    assert largest["difference"]["value"] > 0, told
    assert largest["difference"]["low"] is not None, told
    assert largest["after"]["value"] == pytest.approx(largest["before"]["value"] + largest["difference"]["value"])


def test_nothing_of_the_key_is_left_behind(stage: Stage) -> None:
    """After all of it the console's log does not have it."""
    log = Path(stage.platform.settings.var) / "logs" / "console.log"
    assert stage.platform.api_key not in log.read_text()
    assert "Traceback" not in log.read_text()
