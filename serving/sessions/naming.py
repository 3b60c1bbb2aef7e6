"""How a request's session is named by its caller. What has no name is recognised by its beginning, whatever dialect it came in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

HEADER = "x-session-id"
MOST_CHARACTERS = 512  # of a name; a longer one is none
# Coding agents put their session into Anthropic's `metadata.user_id`: user_..._account_..._session_UUID, or JSON with session_id.
_SESSION_OF_USER = re.compile(r"session_([0-9a-fA-F-]{8,64})\Z")


@dataclass(frozen=True, slots=True)
class Name:
    """text: what the caller calls the session, empty where he does not."""

    text: str = ""


def name_of(written: Mapping[str, Any], headers: Mapping[str, str]) -> Name:
    """The first of: `routemoa.session`, the header, `prompt_cache_key`, `metadata.session_id`, the session in `metadata.user_id` or `user`.

    written: the request's JSON. headers: by names in small letters.
    """
    ours, metadata = written.get("routemoa"), written.get("metadata")
    return Name(
        _first(
            ours.get("session") if isinstance(ours, Mapping) else None,
            headers.get(HEADER),
            written.get("prompt_cache_key"),
            in_metadata(metadata) if isinstance(metadata, Mapping) else None,
            _of_user(written.get("user")),
        )
    )


def in_metadata(metadata: Mapping[str, Any]) -> str:
    """The session that a request's metadata name, empty where they name none."""
    return _first(metadata.get("session_id"), _of_user(metadata.get("user_id")))


def _first(*named: object) -> str:
    return next((each for each in named if isinstance(each, str) and 0 < len(each) <= MOST_CHARACTERS), "")


def _of_user(user_id: object) -> str | None:
    """The session in a user id that holds one: a user alone has many conversations."""
    if not isinstance(user_id, str) or len(user_id) > MOST_CHARACTERS:
        return None
    if user_id.startswith("{"):
        try:
            tree = orjson.loads(user_id)
        except orjson.JSONDecodeError:
            return None
        session = tree.get("session_id")
        return session if isinstance(session, str) else None
    match = _SESSION_OF_USER.search(user_id)
    return match[1] if match else None
