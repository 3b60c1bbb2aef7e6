"""Takes the guide's pictures: `python -m benchmarks.screenshots [mlflow | console] [--version N] [--key KEY] ...`.

In a project whose platform runs (`routemoa up`). mlflow: its pages of a version and its run. console: the console's pages, signed in with
`--key`. They are written into this checkout as docs/guide/{mlflow,console}-PAGE.png.
"""

import argparse
import io
import shutil
from pathlib import Path
from typing import Any

from console.settings import ConsoleSettings
from registry import versions
from registry.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs" / "guide"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
COLOURS = {"mlflow": 48, "console": 160}  # of a palette: text stays sharp, a page stays below 150 kB
SETTLE_MS = 4_000  # pictures and tables come after the page
CONSOLE = {
    "overview": "/",
    "register": "/pool/register",
    "scorers": "/scorers",
    "drift": "/drift",
    "plan": "/drift",
    "playground": "/playground",
}
QUESTION = "What is the sum of 12 and 30? Give the number."


def take(settings: Settings, number: str, chromium: str) -> list[Path]:
    """The version's page, its run's page, and the version's gate and pictures further down."""
    from playwright.sync_api import sync_playwright

    version = versions.find(number, settings=settings)
    page_of_version = f"{settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{version.version}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(page_of_version)
        page.get_by_text("Made because").first.wait_for()
        page.wait_for_timeout(SETTLE_MS)
        _close_assistant(page)
        written = [_save(page, "mlflow-version.png")]
        page.get_by_role("heading", name="Gate", exact=True).first.scroll_into_view_if_needed()
        page.get_by_role("heading", name="Pictures", exact=True).first.scroll_into_view_if_needed()
        page.wait_for_timeout(SETTLE_MS)
        written.append(_save(page, "mlflow-gate.png"))
        page.get_by_text("Schema").first.scroll_into_view_if_needed()
        page.wait_for_timeout(SETTLE_MS)
        written.append(_save(page, "mlflow-signature.png"))
        page.goto(f"{settings.mlflow_url}/#/experiments/{_experiment(settings)}/runs/{version.run_id}")
        page.get_by_text(f"scorer {version.version}:").first.wait_for()
        page.wait_for_timeout(SETTLE_MS)
        _close_assistant(page)
        written.append(_save(page, "mlflow-run.png"))
        browser.close()
    return written


def take_console(url: str, key: str, question: str, chromium: str) -> list[Path]:
    """The console's pages at `url`, as whoever holds `key` sees them; the playground answers `question`.

    The drift page needs a verdict, and shows what a retraining bought where one said it.
    """
    from playwright.sync_api import sync_playwright

    written = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.locator(".shell").wait_for()
        for name, path in CONSOLE.items():
            page.goto(f"{url}{path}")
            page.wait_for_function("document.querySelector('.skeleton') === null")
            if name == "overview":
                page.get_by_label("Span of time").click()
                page.get_by_role("option").filter(has_text="last hour").click()
            if name == "playground":
                page.get_by_label("Question").fill(question)
                page.get_by_role("button", name="Ask").click()
                page.get_by_text("Stopped:").wait_for()
            if name == "plan":
                page.get_by_role("button", name="Retrain now").click()
                page.get_by_role("button", name="Start it", disabled=False).wait_for()
            page.wait_for_timeout(SETTLE_MS / 4)
            written.append(_save(page, f"console-{name}.png"))
        browser.close()
    return written


def _close_assistant(page: Any) -> None:
    """MLflow's own chat stands open on a first visit, over a third of the page."""
    close = page.locator('[data-component-id="mlflow.assistant.chat_panel.close"]')
    if close.count():
        close.first.click()
        page.wait_for_timeout(1_000)


def _experiment(settings: Settings) -> str:
    from registry.mlflow_rest import Rest
    from registry.run_state import EXPERIMENT

    found = Rest(settings.mlflow_url).call("GET", "experiments/get-by-name", experiment_name=EXPERIMENT)
    return str(found["experiment"]["experiment_id"])


def _save(page: Any, name: str) -> Path:
    from PIL import Image

    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS[name.partition("-")[0]]).save(FOLDER / name, optimize=True)
    return FOLDER / name


def main() -> None:
    """Takes them and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("of", nargs="?", choices=["mlflow", "console"], default="mlflow")
    parser.add_argument("--version", default="challenger", help="the version to show: a number or an alias")
    parser.add_argument("--key", help="for the console: an API key with every scope")
    parser.add_argument("--question", default=QUESTION, help="for the console's playground")
    parser.add_argument("--chromium", default=next(filter(None, map(shutil.which, CHROMIUM)), None), help="the browser")
    options = parser.parse_args()
    if options.chromium is None:
        parser.error("no Chromium is on PATH: name one with --chromium.")
    if options.of == "console":
        if options.key is None:
            parser.error("the console needs a --key: `routemoa up` prints one.")
        pictures = take_console(f"http://127.0.0.1:{ConsoleSettings().console_port}", options.key, options.question, options.chromium)
    else:
        pictures = take(Settings(), options.version, options.chromium)
    for path in pictures:
        print(f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
