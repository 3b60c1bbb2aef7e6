"""What a browser finds at the server's own address."""

from typing import Any


def test_a_browser_is_sent_to_the_console(client: Any) -> None:
    """The server draws no page itself: it names the process that does, without a key."""
    response = client.get("/", follow_redirects=False, headers={"Authorization": ""})
    assert (response.status_code, response.headers["location"]) == (307, "http://127.0.0.1:8070")
