"""The three things people do with the platform, end to end on real components (in this order, on one platform)."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from local import acts
from local.stack import Stack
from local.stage import Stage
from local.traffic import Visitor
from registry import pool as pools
from registry import versions

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def visitor(platform: Stack) -> Visitor:
    """A user of the server."""
    return Visitor(platform.addresses.server, platform.api_key)


def latest(platform: Stack) -> dict[str, Any]:
    """What the monitor said last."""
    return dict(json.loads((platform.settings.var / "reports" / "latest.json").read_text()))


def answers(platform: Stack) -> dict[str, pd.DataFrame]:
    """Every LLM's recorded answers."""
    return {path.stem: pd.read_parquet(path) for path in (platform.settings.home / "build" / "answers").glob("*.parquet")}


def test_usual_traffic_is_served_recorded_and_kept(stage: Stage, platform: Stack, visitor: Visitor) -> None:
    """Queries like the training ones are answered, each decision can be read back, and the monitor does not ask for a retrain."""
    acts.usual_traffic(stage)
    assert latest(platform)["verdict"]["kind"] in {"keep", "too-little-data", "watch"}
    route = {"model": "routemoa-single", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    assert visitor.request("POST", "/v1/route", route)
    served = visitor.request("POST", "/v1/chat/completions", {**route, "max_tokens": 8})
    decision = served["routemoa"]["decision_id"]
    kept = visitor.request("GET", f"/v1/decisions/{decision}")
    assert kept["id"] == decision
    assert kept["llm"] == served["routemoa"]["llm"]
    assert set(kept["scores"]) == {llm.id for llm in pools.load(platform.settings.pool_file).active}


def test_registering_an_llm_retrains_the_scorer(stage: Stage, platform: Stack) -> None:
    """User story 1: one registration, and a challenger whose roster holds the new LLM is in MLflow; only the new LLM was asked."""
    before = answers(platform)
    known = {version.version for version in versions.list_versions(settings=platform.settings)}
    acts.one_more_llm(stage)
    newest = [version for version in versions.list_versions(settings=platform.settings) if version.version not in known]
    assert len(newest) == 1
    roster = json.loads((platform.settings.home / "build" / "scorer" / "roster.json").read_text())
    assert "smollm2-135m-sentence-2" in json.dumps(roster)
    after = answers(platform)
    assert set(after) == {*before, "smollm2-135m-sentence-2"}
    for llm, asked in before.items():
        pd.testing.assert_frame_equal(after[llm], asked)  # the time each was asked included


def test_unknown_domains_show_in_the_drift_report(stage: Stage, platform: Stack) -> None:
    """User story 3: traffic of domains never trained on changes the verdict, and the report names those domains."""
    acts.unusual_traffic(stage)
    said = latest(platform)
    assert said["verdict"]["kind"] in {"watch", "retrain"}
    html = Path(said["report"]["html"]).read_text()
    assert all(domain in html for domain in stage.plan.unusual)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the MLflow UI is not clicked")
def test_promoting_in_the_mlflow_ui_changes_what_is_served(platform: Stack, visitor: Visitor, tmp_path: Path) -> None:
    """User story 2: a person sets the alias `champion` in MLflow's page; the server swaps to that version within 5 seconds of it."""
    serving = visitor.request("GET", "/admin/scorer")["version"]
    other = next(version.version for version in versions.list_versions(settings=platform.settings) if version.version != serving)
    set_champion_in_the_ui(platform.addresses.mlflow, platform.settings.scorer_name, other, tmp_path)
    began = time.monotonic()
    while visitor.request("GET", "/admin/scorer")["version"] != other:
        assert time.monotonic() - began < 10, "the server did not follow the alias"
        time.sleep(0.1)
    previous = next(version for version in versions.list_versions(settings=platform.settings) if version.version == serving)
    deadline = time.monotonic() + 10
    while "previous" not in previous.aliases and time.monotonic() < deadline:
        time.sleep(0.2)
        previous = next(version for version in versions.list_versions(settings=platform.settings) if version.version == serving)
    assert "previous" in previous.aliases


def set_champion_in_the_ui(mlflow_url: str, name: str, version: str, tmp_path: Path) -> None:
    """Clicks through MLflow's page of the registered model as a person would."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    arguments += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(f"{mlflow_url}/#/models/{name}")
        link = page.get_by_role("link", name=f"Version {version}", exact=True)
        page.get_by_role("row").filter(has=link).locator("button[data-component-id*='aliases']").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("combobox").fill("champion")
        page.keyboard.press("Enter")
        dialog.get_by_role("button", name="Save aliases").click()
        dialog.wait_for(state="hidden")
        page.screenshot(path=tmp_path / "promoted.png")
        browser.close()
