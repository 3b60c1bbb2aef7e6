"""Who is signed in, and for how long."""

from console.sessions import IDLE_S, MOST, Sessions


def test_a_session_ends_when_nobody_uses_it() -> None:
    """Each use counts; after the idle time the browser is a stranger again."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    sessions.begin("browser", "rm-key")
    now[0] = IDLE_S - 1
    assert sessions.of("browser") is not None
    now[0] += IDLE_S - 1
    assert sessions.of("browser") is not None
    now[0] += IDLE_S
    assert sessions.of("browser") is None


def test_signing_out_forgets_the_key() -> None:
    """And a browser that never signed in has none."""
    sessions = Sessions(lambda: 0.0)
    sessions.begin("browser", "rm-key")
    sessions.end("browser")
    assert sessions.of("browser") is sessions.of("another") is None


def test_a_key_is_in_no_text_of_a_session() -> None:
    """So that no log or traceback has it."""
    sessions = Sessions(lambda: 0.0)
    sessions.begin("browser", "rm-secret")
    assert "rm-secret" not in repr(sessions.of("browser"))


def test_sessions_do_not_grow_without_end() -> None:
    """The one that is idle longest ends first."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    for place in range(MOST + 1):
        now[0] = place
        sessions.begin(str(place), "rm-key")
    assert sessions.of("0") is None
    assert sessions.of(str(MOST)) is not None
