"""Conversations in ShareGPT's form: each reply is a call, and a conversation is a session."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs import chat
from pipelines.logs.call import LoggedCall
from pipelines.logs.fields import Fields
from pipelines.logs.reading import Reading, expect

NAME = "conversations in ShareGPT's form"


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """A call for each reply."""
    for path in paths:
        for row in reading.rows(path):
            expect(path, row, NAME, ("conversations", "conversation", "messages"))
            _calls(reading, path, row)


def _calls(reading: Reading, path: Path, row: Fields) -> None:
    turns = row.items("conversations", "conversation", "messages")
    session = row.text("id") or f"{path.name}-{row.number}"
    llm, at = row.text("model"), row.when("created_at", "timestamp")
    before = len(reading.calls)
    for place, turn in enumerate(turns):
        answer = chat.replied(turn) if isinstance(turn, dict) else None
        asked = chat.asked(turns[:place]) if answer is not None and place else None
        if asked is None:
            continue
        reading.keep(
            LoggedCall(
                str(path),
                row.number,
                call_id=f"{session}-{place}",
                at=at,
                llm=llm,
                session=session,
                text=asked.text,
                messages=asked.messages,
                answer=answer,
                rest=row.rest(),
            )
        )
    if len(reading.calls) == before:
        reading.skip("conversations without a reply to a question")
