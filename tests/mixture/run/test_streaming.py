"""What the caller sees while an answer is written, and what happens when it breaks."""

import asyncio
from typing import Any

import pytest

from mixture.choose.layered import Layered
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.client.protocol import Call, Chunk
from mixture.client.scripted import Script, ScriptedClient
from mixture.decision import Decision
from mixture.errors import LLMFailed, LLMUnreachable, NoAnswer
from mixture.replay.virtual_time import clock, drive
from mixture.run.engine import Mixture
from mixture.run.final_answer import in_pieces
from mixture.run.request import Request
from tests.mixture.makers import broken, candidate, user

SINGLE = Options().as_single()
MIXTURE = Options(weights=Weights(usd=0, second=0), max_layers=1)
POOL = [candidate("a", 0.6), candidate("b", 0.5), candidate("c", 0.4)]


Sent = list[tuple[float, Chunk]]


def request(options: Options, candidates: list[Candidate] = POOL, **fields: Any) -> Request:
    return Request(user(), candidates, options, Layered(order="value"), fields)


async def collect(asked: ScriptedClient, asking: Request, into: Sent) -> Decision:
    async def emit(chunk: Chunk) -> None:
        into.append((clock(), chunk))

    return await Mixture(asked, clock).answer(asking, emit)


def streamed(asked: ScriptedClient, options: Options, **fields: Any) -> tuple[Sent, Decision]:
    sent: Sent = []
    decision = drive(collect(asked, request(options, **fields), sent))
    return sent, decision


def text_of(sent: Sent) -> str:
    return "".join(chunk.text for _, chunk in sent)


def tale(call: Call) -> str:
    return "all of it in one" if "[A1]" in str(call.messages[-1]["content"]) else "a tale.\nIt ends."


def client(**scripts: Script) -> ScriptedClient:
    return ScriptedClient({name: Script(f"{name} says it at length") for name in "abc"} | scripts)


def test_a_single_llm_streams_its_own_chunks_unchanged() -> None:
    """routemoa-single: nothing is asked on top, each chunk passes through as it comes, the last piece has the decision and the reply."""
    asked = client()
    sent, decision = streamed(asked, SINGLE, temperature=0.3)
    assert text_of(sent) == "a says it at length"
    assert [at for at, _ in sent][:3] == pytest.approx([1.0, 1.1, 1.2])
    assert all(chunk.raw for _, chunk in sent[:-1])
    assert (decision.text, decision.llm, decision.aggregation, decision.stopped_because) == ("a says it at length", "a", "single", "single")
    assert decision.reply is not None
    assert decision.reply.raw == {"id": "a"}
    assert (asked.calls[0].messages, asked.calls[0].options) == (user(), {"temperature": 0.3})


def test_a_single_llm_that_fails_before_its_first_byte_is_replaced() -> None:
    """The next in the ranking answers, and the failure is in the decision."""
    asked = client(a=broken("a"))
    sent, decision = streamed(asked, SINGLE)
    assert text_of(sent) == "b says it at length"
    assert [each.llm for each in decision.failures] == ["a"]


def test_a_single_llm_that_breaks_midway_raises() -> None:
    """After the first byte there is no second attempt: the caller gets the error after the pieces."""
    asked = client(a=Script("one two three", fails=LLMUnreachable("a", "is gone."), pieces_before_failure=2))
    sent: Sent = []
    with pytest.raises(LLMUnreachable, match="a: is gone"):
        drive(collect(asked, request(SINGLE), sent))
    assert text_of(sent) == "one two"
    assert asked.asked() == ["a"]


def test_when_every_single_llm_fails_there_is_no_piece() -> None:
    """NoAnswer comes before anything was sent."""
    sent: Sent = []
    with pytest.raises(NoAnswer, match="Every LLM asked failed"):
        drive(collect(client(**{name: broken(name) for name in "abc"}), request(SINGLE), sent))
    assert sent == []


def test_a_stream_is_bounded_by_the_deadline() -> None:
    """An LLM that writes past the deadline is cut off with a time-out."""
    asked = client(a=Script("word " * 100, takes=1.0))
    sent: Sent = []
    with pytest.raises(LLMFailed, match="deadline passed"):
        drive(collect(asked, request(Options(deadline=2.0).as_single()), sent))
    assert sent[-1][0] <= 2.0


def test_a_synthesis_is_streamed_while_it_is_written() -> None:
    """The last step's words reach the caller one by one; the decision follows."""
    sent, decision = streamed(client(**{name: Script(tale) for name in "a"}, b=Script("b.\nSo."), c=Script("c.\nSo.")), MIXTURE)
    assert text_of(sent) == "all of it in one"
    assert [at for at, _ in sent[:3]] == pytest.approx([2.0, 2.1, 2.2])
    assert (decision.aggregation, decision.text) == ("synthesise", "all of it in one")


def test_a_synthesis_that_fails_before_its_first_word_gives_way() -> None:
    """Nothing was sent, so the best answer can still be."""

    def says(call: Call) -> str:
        return "" if "[A1]" in str(call.messages[-1]["content"]) else "a tale.\nIt ends."

    sent, decision = streamed(client(a=Script(says), b=Script(says), c=Script("c.\nSo.")), MIXTURE)
    assert text_of(sent) == "a tale.\nIt ends."
    assert (decision.aggregation, len(decision.failures)) == ("best", 2)


def test_a_synthesis_that_breaks_midway_raises() -> None:
    """Half an answer is never followed by another one."""

    class Breaking(ScriptedClient):
        async def stream(self, call: Call) -> Any:
            async for chunk in super().stream(call):
                yield chunk
                if chunk.text.strip() == "of":
                    raise LLMUnreachable(call.llm.id, "is gone.")

    asked = Breaking({"a": Script(tale), "b": Script("b.\nSo."), "c": Script("c.\nSo.")})
    sent: Sent = []
    with pytest.raises(LLMUnreachable):
        drive(collect(asked, request(MIXTURE), sent))
    assert text_of(sent) == "all of"


def test_a_chosen_answer_comes_in_pieces() -> None:
    """Without a synthesis the chosen answer is sent in pieces between words, none of them lost."""
    long = "word  by\nword " * 20 + "end"
    sent, _ = streamed(client(a=Script(long)), Options(aggregation="best", max_layers=1))
    assert text_of(sent) == long.strip()
    assert len(sent) > 5


@pytest.mark.parametrize("text", ["", "one", "  a b ", "a\n\nb\n", "words " * 50])
def test_pieces_join_to_the_text(text: str) -> None:
    """Cutting loses nothing."""
    assert "".join(in_pieces(text)) == text


def test_a_long_answer_comes_in_longer_pieces() -> None:
    """A megabyte in six-word pieces would take longer to send than it took to write."""
    text = "word " * 200_000
    pieces = in_pieces(text)
    assert "".join(pieces) == text
    assert 400 < len(pieces) <= 500


def test_streaming_and_not_decide_alike() -> None:
    """The same request gives the same answer, layers and costs either way; only the words' pace adds to the latency."""
    asked = {"a": Script(tale), "b": Script("b.\nSo."), "c": Script("c.\nSo.")}
    whole = drive(Mixture(ScriptedClient(asked), clock).answer(request(MIXTURE)))
    _, decision = streamed(ScriptedClient(asked), MIXTURE)
    assert (decision.text, decision.layers, decision.cost_usd, decision.synthesis) == (
        whole.text,
        whole.layers,
        whole.cost_usd,
        whole.synthesis,
    )


@pytest.mark.parametrize(("options", "after"), [(SINGLE, 1), (MIXTURE, 1)])
def test_a_caller_that_leaves_midway_closes_the_stream_at_the_llm(options: Options, after: int) -> None:
    """Cancelling the request reaches the client's stream at once."""
    asked = client(a=Script(tale), b=Script("b.\nSo."), c=Script("c.\nSo."))

    async def leave() -> None:
        enough, sent = asyncio.Event(), list[Chunk]()

        async def emit(chunk: Chunk) -> None:
            sent.append(chunk)
            if len(sent) == after:
                enough.set()

        task = asyncio.create_task(Mixture(asked, clock).answer(request(options), emit))
        await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asked.cancelled == ["a"]

    drive(leave())


def test_a_caller_that_leaves_during_a_layer_cancels_its_calls() -> None:
    """Nobody works for a caller who is gone."""
    asked = client()

    async def leave() -> None:
        task = asyncio.create_task(collect(asked, request(MIXTURE), []))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    drive(leave())
    assert (sorted(asked.cancelled), asked.running) == (["a", "b", "c"], 0)


def test_a_stream_that_says_nothing_is_replaced_before_anything_was_sent() -> None:
    """A role and an end are no answer: they are kept back, and the next LLM's words come instead."""
    sent, decision = streamed(client(a=Script("")), SINGLE)
    assert text_of(sent) == "b says it at length"
    assert [(each.llm, each.error) for each in decision.failures] == [("a", "LLMGarbled")]


def test_a_stream_that_began_is_not_late() -> None:
    """Patience counts to the first word: an LLM that writes for long is left to write."""
    late = [candidate("a", 0.6, latency_s=1.0), *POOL[1:]]
    sent: Sent = []
    drive(collect(client(a=Script("word " * 50)), request(SINGLE, late), sent))
    assert sent[-1][0] > 5.0
    assert text_of(sent).startswith("word word")
