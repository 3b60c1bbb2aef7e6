"""The commands that attack the server notice what is wrong, and a little of each finds nothing."""

import asyncio
import json
import random

import pytest

from benchmarks import drain, full_disk, kills, malformed, overload, planted_secrets
from benchmarks.malformed import Seen
from benchmarks.malformed_bodies import Malformed
from benchmarks.raw_http import Answer

JSON = {"content-type": "application/json"}
STREAM = {"content-type": "text/event-stream"}
REFUSED = {"message": "No.", "type": "invalid_request_error", "param": None, "code": "deadline_exceeded"}


def answer(status: int, content: bytes, headers: dict[str, str] = JSON, *, whole: bool = True) -> Answer:
    return Answer(status, headers, content, whole, 0.1)


def error(**changed: object) -> bytes:
    return json.dumps({"error": REFUSED | changed}).encode()


@pytest.mark.parametrize(
    ("got", "complete"),
    [
        (answer(200, b"{}"), True),
        (answer(200, b"{}", whole=False), False),
        (answer(503, error()), False),
        (answer(200, b"data: {}\n\ndata: [DONE]\n\n", STREAM), True),
        (answer(200, b"data: {}\n\n", STREAM), False),
        (answer(200, b"data: {}\n\ndata: [DONE]\n\n", STREAM, whole=False), False),
    ],
)
def test_an_answer_is_an_acknowledgement_only_when_all_of_it_came(got: Answer, complete: bool) -> None:
    """Whole by its length, a stream by its mark of the end."""
    assert got.complete is complete


def test_an_error_in_a_stream_is_found() -> None:
    """Behind what came before it."""
    content = b'data: {"choices": []}\n\ndata: ' + error() + b"\n\n"
    assert answer(200, content, STREAM).error == REFUSED
    assert drain._end(answer(200, content, STREAM)) == "told deadline_exceeded"
    assert drain._end(answer(200, b'data: {"choices": []}\n\n', STREAM)) == "cut without a word"
    assert drain._end(None) == "connection broken"


@pytest.mark.parametrize(
    ("got", "wrong"),
    [
        (answer(400, error()), None),
        (answer(200, b"{}"), None),
        (answer(500, error()), "answered 500"),
        (answer(503, error()), "answered 503"),
        (answer(504, error()), None),
        (answer(504, error(code="internal_error")), "answered 504"),
        (answer(400, b"No."), "an error outside the schema"),
        (answer(404, b'{"error": {"message": "No."}}'), "an error outside the schema"),
        (answer(200, b"{", whole=False), "without an answer"),
        (None, "without an answer"),
    ],
)
def test_what_is_wrong_with_an_answer_is_counted(got: Answer | None, wrong: str | None) -> None:
    """Each rule by itself; a deadline that the request set is counted apart."""
    seen = Seen()
    seen.note(Malformed("POST", "/v1/route", b"{"), got)
    assert dict(seen.wrong) == ({wrong: 1} if wrong else {})
    assert len(seen.shown) == bool(wrong)
    assert seen.too_short == (got is not None and got.status == 504 and wrong is None)


def test_malformed_requests_are_the_same_for_a_seed() -> None:
    """And many are of their own kind."""
    several = [[malformed.malformed(random.Random(number)) for number in range(200)] for _ in range(2)]
    assert several[0] == several[1]
    assert len({each.body for each in several[0]}) > 100


def test_every_secret_of_a_request_is_in_it() -> None:
    """Those of headers and of the host are elsewhere, an image is encoded."""
    secret = planted_secrets.planted("rm-key")
    body = planted_secrets.request(secret, "one", "answers", stream=True).decode()
    elsewhere = {"header", "cookie", "query string", "image", *planted_secrets.OURS}
    assert {place for place, value in secret.items() if value not in body} == elsewhere


def test_a_refusal_without_a_wait_is_told_apart() -> None:
    """Clients need the header."""
    assert overload._end(answer(503, error(), {**JSON, "retry-after": "1"})) in overload.GOOD
    assert overload._end(answer(503, error())) not in overload.GOOD
    assert overload._end(answer(502, error())) not in overload.GOOD


def test_an_acknowledged_answer_in_no_record_is_lost(tmp_path) -> None:
    """And the others are not."""

    class Kept:
        def records(self):
            return []

    told = answer(200, b"{}", {**JSON, "x-routemoa-decision": "d1"})
    assert full_disk._counted(Kept(), [told, answer(503, error())], asked=2) == {  # type: ignore[arg-type]
        "acknowledged": 1,
        "lost": 1,
        "refused": {"deadline_exceeded": 1},
        "LLMs asked for nothing": 1,
    }


@pytest.mark.long
def test_a_little_of_each_finds_nothing() -> None:
    """A kill, some malformed requests, all planted secrets, streams that drain."""
    killed = asyncio.run(kills.run(1, 1))
    assert (killed["kills"], killed["lost"], killed["duplicated"], killed["integrity"]) == (1, 0, 0, "ok")
    assert asyncio.run(malformed.run(300, 1))["wrong"] == "nothing"
    assert [each["found"] for each in asyncio.run(planted_secrets.run()).values()] == ["none", "none"]
    assert asyncio.run(drain.drained(5, "1", "60"))["complete"] == 5
