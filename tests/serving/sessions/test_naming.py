"""A session is what its caller calls it."""

import pytest

from serving.sessions.naming import MOST_CHARACTERS, Name, name_of


@pytest.mark.parametrize(
    ("written", "headers", "name"),
    [
        ({"routemoa": {"session": "ours"}, "prompt_cache_key": "key"}, {"x-session-id": "header"}, "ours"),
        ({"prompt_cache_key": "key", "metadata": {"session_id": "meta"}}, {"x-session-id": "header"}, "header"),
        ({"prompt_cache_key": "key", "metadata": {"session_id": "meta"}}, {}, "key"),
        ({"metadata": {"session_id": "meta", "user_id": "user_1_account__session_0123-4567-89ab"}}, {}, "meta"),
        (
            {"metadata": {"user_id": "user_ab12_account__session_0b6a7e9e-1c1d-4a43-9f4e-0a1b2c3d4e5f"}},
            {},
            "0b6a7e9e-1c1d-4a43-9f4e-0a1b2c3d4e5f",
        ),
        ({"metadata": {"user_id": '{"device_id": "d", "account_uuid": "", "session_id": "s-1"}'}}, {}, "s-1"),
        ({"user": "user_ab12_account__session_0b6a7e9e-1c1d"}, {}, "0b6a7e9e-1c1d"),
        ({"metadata": {"user_id": "alice"}, "user": "bob"}, {}, ""),
        ({"metadata": {"user_id": "{broken"}}, {}, ""),
        ({"metadata": {"user_id": "[1]"}}, {}, ""),
        ({"metadata": "text", "routemoa": None, "prompt_cache_key": 7}, {}, ""),
        ({"prompt_cache_key": "x" * (MOST_CHARACTERS + 1)}, {}, ""),
        ({}, {}, ""),
    ],
)
def test_the_first_name_counts(written, headers, name) -> None:
    """Ours, the header, the cache key, the metadata; a user alone is no session, and what is no name is none."""
    assert name_of(written, headers) == Name(name)
