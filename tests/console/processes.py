"""The console as a process of its own, and a browser that a person sits before."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WAIT_MS = 60_000  # on a machine that does much else
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextlib.contextmanager
def running(home: Path, server: str, **environment: str) -> Iterator[str]:
    """The address of a console of the server at `server`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"ROUTEMOA_HOME": str(home), "ROUTEMOA_SERVER_URL": server, "ROUTEMOA_CONSOLE_PORT": str(port), "PYTHONPATH": str(ROOT)}
    with (home / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "console"], cwd=home, env={**os.environ, **variables, **environment}, stdout=log, stderr=log
        )
    try:
        give_up = time.monotonic() + 150
        while True:
            assert process.poll() is None, (home / "console.log").read_text()
            assert time.monotonic() < give_up, "the console did not start"
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Person:
    """Somebody before a page of the console at `url`. complaints: what the browser's console said was wrong."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, key: str) -> "Person":
        """With this key; returns once the first page stands there."""
        self.page.goto(self.url)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator(".shell").wait_for()
        return self

    def open(self, path: str) -> "Person":
        """A page, once nothing on it is loading any more."""
        self.page.goto(f"{self.url}{path}")
        self.page.locator(".shell").wait_for()
        self.page.wait_for_function("document.querySelector('.region') === null || document.querySelector('.skeleton') === null")
        return self

    @property
    def overflow(self) -> int:
        """Pixels by which the page is wider than the screen."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@contextlib.contextmanager
def person(browser: Any, url: str, *, screen: dict[str, int] = WIDE, scheme: str = "light") -> Iterator[Person]:
    """Somebody with a browser of his own, not signed in."""
    context = browser.new_context(viewport=screen, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    somebody = Person(page, url)
    page.on("console", lambda message: somebody.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: somebody.complaints.append(str(error)))
    yield somebody
    context.close()
