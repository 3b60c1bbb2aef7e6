"""Every page, on a server that works and on one that does not, wide and narrow; signing in and out."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from console import words
from serving.access import keys
from tests.console.processes import NARROW, WIDE, Person, person, running
from tests.serving.world import Running, World

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATHS = ("/", "/pool", "/pool/register", "/scorers", "/drift", "/drift/audits", "/playground", "/decisions", "/keys")
READ = (
    "/",
    "/pool",
    "/scorers",
    "/drift",
    "/drift/audits",
    "/decisions",
    "/keys",
    "/jobs/retrain-1",
    "/decisions/20130101",
)  # from a server


@pytest.fixture
def somebody(browser: Any, console: str, server: Running) -> Iterator[Person]:
    """Signed in with a key that opens everything."""
    with person(browser, console) as made:
        yield made.sign_in(server.key)


@pytest.mark.parametrize(("screen", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide", "narrow"])
def test_every_page_fits_the_screen(browser: Any, console: str, server: Running, screen: dict[str, int], scheme: str) -> None:
    """No page scrolls sideways at 1280 or 390 pixels, and the browser has nothing to complain of."""
    with person(browser, console, screen=screen, scheme=scheme) as somebody:
        somebody.sign_in(server.key)
        for path in PATHS:
            somebody.open(path)
            assert somebody.overflow <= 0, path
            assert somebody.page.get_by_role("heading", level=1).count() == 1, path
        assert somebody.complaints == []


def test_the_overview_says_what_was_asked_and_spent(somebody: Person) -> None:
    """Requests and money of the last day."""
    page = somebody.open("/").page
    page.get_by_text("Requests", exact=True).first.wait_for()
    page.get_by_text("Who answered", exact=True).wait_for()
    page.get_by_text("MLflow does not answer").wait_for()  # a part that fails takes no other with it


def test_the_overview_has_the_savings_ledger(somebody: Person, server: Running) -> None:
    """By day, by key and by domain, with a row for all of them, which is the figure above; against whom a person chooses."""
    with server.client() as client:
        total = {llm: client.get("/admin/savings", params={"baseline": llm}).json()["total"] for llm in ("echo", "tooled")}
    page = somebody.open("/").page
    ledger = page.get_by_role("table", name="Savings ledger")
    ledger.get_by_text("total", exact=True).wait_for()
    page.get_by_role("button", name="Domain").click()
    ledger.get_by_text("sums", exact=True).wait_for()
    for llm, found in total.items():
        page.get_by_label("Against always asking").click()
        page.get_by_role("option", name=llm).click()
        saved = words.usd(found["saved_usd"])
        page.locator(".figure", has_text=f"against always {llm},").get_by_text(saved, exact=True).wait_for()
        ledger.get_by_text(saved).last.wait_for()
    assert somebody.overflow <= 0


@pytest.fixture
def nonsense() -> Iterator[str]:
    """A server that answers, but is none of ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.startswith("/v1/models")
            body = b'{"data": []}' if known else b"<html>It works!</html>"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def test_every_page_says_that_its_server_is_broken(browser: Any, nonsense: str, home: Path) -> None:
    """Each says so in its place, with a way to try again; its frame stands."""
    with running(home, nonsense) as console, person(browser, console) as somebody:
        somebody.sign_in("rm-whatever")
        for path in READ:
            failed = somebody.open(path).page.locator(".state.failed")
            failed.first.get_by_text("What answers is not a RouteMoA server.").wait_for()
            failed.first.get_by_role("button", name="Try again").click()
            failed.first.wait_for()
        page = somebody.open("/playground").page
        page.get_by_label("Question").fill("Anybody?")
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("alert").first.wait_for()
    assert "Traceback" not in (home / "console.log").read_text()


def test_a_server_that_is_gone_refuses_the_sign_in(browser: Any, home: Path) -> None:
    """With what to do about it, and the key is kept nowhere."""
    with running(home, "http://127.0.0.1:9") as console, person(browser, console) as somebody:
        page = somebody.page
        page.goto(console)
        page.get_by_label("API key").fill("rm-secret-key")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("The server cannot be reached. Start it with").wait_for()
    assert "rm-secret-key" not in (home / "console.log").read_text()
    assert [path for path in home.rglob("*") if path.is_file() and b"rm-secret-key" in path.read_bytes()] == []


def test_an_unknown_key_is_refused_and_a_good_one_can_leave(browser: Any, console: str, server: Running, world: World) -> None:
    """No page shows anything before, nor after signing out; the key is in no page."""
    with person(browser, console) as somebody:
        page = somebody.page
        page.goto(f"{console}/keys")
        page.get_by_label("API key").fill("rm-wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This API key is not known here.").wait_for()
        somebody.sign_in(server.key).open("/keys")
        page.get_by_text("everything", exact=True).wait_for()
        assert server.key not in page.content()
        page.get_by_label("Sign out").click()
        page.get_by_label("API key").wait_for()
        page.goto(f"{console}/keys")
        page.get_by_label("API key").wait_for()
        assert page.get_by_text("everything", exact=True).count() == 0
    files = [path for path in world.home.rglob("*") if path.is_file() and server.key.encode() in path.read_bytes()]
    assert files == []


def test_a_key_without_the_scope_is_told_so(browser: Any, console: str, world: World, server: Running) -> None:
    """It asks in the playground; what it may not see says which scope it lacks."""
    key = keys.create(world.settings().keys_file, "asker", ["chat"])
    with server.client() as client:
        headers = {"Authorization": f"Bearer {key}"}
        while client.get("/v1/models", headers=headers).status_code != 200:
            pass
    with person(browser, console) as somebody:
        page = somebody.sign_in(key).open("/pool").page
        page.get_by_text("This key may not see that").first.wait_for()
        page.get_by_text("needs 'admin'").first.wait_for()
        somebody.open("/playground")
        page.get_by_label("Question").fill("what is the sum of 2 and 3 ?")
        page.get_by_role("button", name="Ask").click()
        page.get_by_text("Stopped:").wait_for()


def test_a_key_is_made_shown_once_and_revoked(somebody: Person, server: Running) -> None:
    """With its limits; it works at once, and no more after."""
    page = somebody.open("/keys").page
    page.get_by_text("Limits and expiry").click()
    shown = page.get_by_test_id("new-key")
    for _ in range(4):  # on a very busy machine a field that is filled while the page still joins its socket is emptied again
        page.get_by_label("Name").fill("bot")
        page.get_by_label("USD a day").fill("5")
        page.get_by_role("button", name="Create the key").click()
        with suppress(PlaywrightTimeout):
            shown.wait_for(timeout=20_000)
            break
    key = shown.inner_text()
    row = page.get_by_role("row").filter(has_text="bot")
    row.get_by_text("$0 of $5.00").wait_for()
    with server.client() as client:
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/v1/models", headers=headers).status_code == 200
        row.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        row.wait_for(state="detached")
        assert client.get("/v1/models", headers=headers).status_code == 401
    somebody.open("/keys")
    assert key not in page.content()


def test_a_question_is_decided_answered_and_replayed(somebody: Person) -> None:
    """Who is weighed stands there first, then the answer and why it stopped; two ways side by side; the record replays to the same."""
    page = somebody.open("/playground").page
    page.get_by_label("Beside it").click()
    page.get_by_role("option").filter(has_text="single").click()
    page.get_by_label("Question").fill("what is the sum of 4 and 5 ?")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Stopped:").nth(1).wait_for()
    assert page.get_by_role("table", name="LLMs weighed for this query").count() == 2
    page.get_by_role("link", name="The record").first.click()
    page.get_by_role("button", name="Replay it").click()
    page.get_by_text("Replayed: the same decision").wait_for()
    page.get_by_role("button", name="It is good").click()
    page.get_by_text("by user, just now").wait_for()


def test_records_are_found_by_words_and_filters(somebody: Person) -> None:
    """Words of the query where texts are kept; one that nobody asked finds nothing and says so."""
    page = somebody.open("/decisions").page
    page.get_by_role("table", name="Records").wait_for()
    page.get_by_label("Id, or words of the query").fill("no such words")
    page.keyboard.press("Enter")
    page.get_by_text("No record fits").wait_for()
    page.get_by_label("Id, or words of the query").fill("sum of 1")
    page.keyboard.press("Enter")
    page.get_by_role("table", name="Records").wait_for()


def test_an_llm_is_repriced_retired_and_taken_back(somebody: Person, world: World) -> None:
    """The pool file follows each time."""
    page = somebody.open("/pool").page
    pool_file = world.home / "registry" / "pool.yaml"
    page.get_by_label("Actions for tooled").click()
    page.get_by_text("Reprice").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Published as").fill("openai/gpt-4o-mini")
    dialog.get_by_role("button", name="Look up").click()
    dialog.get_by_text("Published as openai/gpt-4o-mini").wait_for()
    dialog.get_by_role("button", name="Change the price").click()
    page.get_by_role("row").filter(has_text="tooled").get_by_text("$0.15").wait_for()
    assert "genai-prices" in pool_file.read_text()
    for action, state in (("Retire", "retired"), ("Take back", "routed to")):
        page.get_by_label("Actions for tooled").click()
        page.get_by_role("menu").get_by_text(action).click()
        if action == "Retire":
            page.get_by_role("dialog").get_by_role("button", name="Retire").click()
        page.get_by_role("row").filter(has_text="tooled").get_by_text(state).wait_for()


def test_light_and_dark_by_a_button_and_the_keyboard_alone(somebody: Person) -> None:
    """The choice outlives a page; the first stop of Tab leads past the navigation."""
    page = somebody.open("/").page
    button = page.get_by_label("Light, dark or as the system has it")
    button.click()
    button.click()
    page.locator("body.body--dark").wait_for()
    somebody.open("/keys")
    page.locator("body.body--dark").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"


def test_what_callers_write_stays_text(somebody: Person, server: Running) -> None:
    """A domain, and a query, that are markup and attributes run nothing and make no element."""
    evil = '"><img src=x onerror="document.title=1"> onclick="document.title=2"'
    body = {"model": "routemoa-single", "messages": [{"role": "user", "content": evil}], "routemoa": {"domain": evil[:64]}}
    with server.client() as client:
        decision = client.post("/v1/chat/completions", json=body).json()["routemoa"]["decision_id"]
    for path in ("/pool", "/decisions", f"/decisions/{decision}", "/drift"):
        page = somebody.open(path).page
        page.wait_for_timeout(300)
        assert page.locator("img[src=x], [onclick], [onerror]").count() == 0, path
        assert page.title().endswith("RouteMoA"), path
    somebody.open("/decisions").page.get_by_text("onerror").first.wait_for()
