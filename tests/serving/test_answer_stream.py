"""Between the mixture and a caller: a bounded queue, and work that ends with its reader."""

import asyncio

import pytest

from mixture.client.protocol import Chunk
from mixture.decision import Decision
from mixture.errors import LLMUnreachable
from serving.answers.answer_stream import MOST_AHEAD, AnswerStream
from serving.answers.streaming import AnswerResponse

DECISION = Decision("a b", "a", "stop", (), "single", "single", 0.5, 0.0, 1.0, 1, 1)


def test_chunks_come_in_order_and_the_decision_after_them() -> None:
    """The one reader gets all of them."""

    async def answer(emit) -> Decision:
        for word in ("a", " b"):
            await emit(Chunk(word))
        return DECISION

    async def read() -> tuple[list[str], Decision]:
        stream = AnswerStream(answer)
        return [chunk.text async for chunk in stream], await stream.decision()

    assert asyncio.run(read()) == (["a", " b"], DECISION)


def test_a_failure_comes_after_what_was_written_before_it() -> None:
    """Words that left cannot be taken back; the reader learns what happened next."""

    async def answer(emit) -> Decision:
        await emit(Chunk("a"))
        raise LLMUnreachable("a", "is gone.")

    async def read() -> None:
        stream = AnswerStream(answer)
        assert (await anext(stream)).text == "a"
        with pytest.raises(LLMUnreachable, match="a: is gone"):
            await anext(stream)

    asyncio.run(read())


def test_an_llm_is_read_no_faster_than_its_caller_reads() -> None:
    """A caller that does not read holds the LLM up, and no memory fills."""
    written: list[int] = []

    async def answer(emit) -> Decision:
        for at in range(1000):
            await emit(Chunk(str(at)))
            written.append(at)
        return DECISION

    async def leave_it() -> None:
        stream = AnswerStream(answer)
        await asyncio.sleep(0.05)
        assert len(written) == MOST_AHEAD
        stream.cancel()

    asyncio.run(leave_it())


def test_a_caller_who_leaves_before_the_first_byte_ends_the_work() -> None:
    """The response never began to read, and yet nobody works on."""
    ended = []

    async def answer(emit) -> Decision:
        try:
            while True:
                await emit(Chunk("word"))
        finally:
            ended.append(True)

    async def unread():
        yield b"never"

    async def gone(message) -> None:
        raise OSError

    async def hang() -> dict:
        await asyncio.sleep(10)
        return {"type": "http.disconnect"}

    async def leave() -> None:
        response = AnswerResponse(unread(), AnswerStream(answer), {})
        with pytest.raises((OSError, ExceptionGroup)):
            await response({"type": "http", "asgi": {"spec_version": "2.3"}}, hang, gone)
        await asyncio.sleep(0.01)
        assert ended

    asyncio.run(leave())
