"""How a request's session is named: by its caller, or by the answer that it follows. What has no name is recognised by its beginning."""

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
    """text: what the caller calls the session, empty where he does not. follows: the id of our answer that the request goes on from.

    answer: the id of the answer that it will get, where a later request may name the session by it.
    """

    text: str = ""
    follows: str = ""
    answer: str = ""


def name_of(written: Mapping[str, Any], headers: Mapping[str, str]) -> Name:
    """The first of: `routemoa.session`, the header, `prompt_cache_key`, `metadata.session_id`, the session in `metadata.user_id` or `user`.

    written: the request's JSON. headers: by names in small letters. `previous_response_id` says what the request follows.
    """
    ours, metadata = written.get("routemoa"), written.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    named = (
        ours.get("session") if isinstance(ours, Mapping) else None,
        headers.get(HEADER),
        written.get("prompt_cache_key"),
        metadata.get("session_id"),
        _of_user(metadata.get("user_id")),
        _of_user(written.get("user")),
    )
    text = next((each for each in named if isinstance(each, str) and 0 < len(each) <= MOST_CHARACTERS), "")
    return Name(text, of_response(written.get("previous_response_id")))


def of_response(response_id: object) -> str:
    """What `previous_response_id` follows: our decision's id, whatever prefix the dialect gave it; empty where it is none."""
    if not isinstance(response_id, str) or len(response_id) > MOST_CHARACTERS:
        return ""
    return response_id.rpartition("_")[2].rpartition("-")[2]


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
