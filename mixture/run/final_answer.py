"""The last step of a request: one answer made of the layers' answers, streamed where it is written now."""

import math
import re
from collections.abc import Mapping, Sequence

from mixture.choose.ranking import Candidate
from mixture.client.protocol import Chunk
from mixture.client.request_size import expected_input_tokens
from mixture.decision import Run
from mixture.judge.text_reply import opaque_ids
from mixture.run.aggregation import Way, choose, synthesis_messages
from mixture.run.calls import Emit
from mixture.run.first_word import ask_from_first_word
from mixture.run.layers import LayerLoop

SHOWN = 3  # answers that an aggregator gets to see, at least
AGGREGATORS = 2  # asked one after the other, before the best answer is returned as it is
_WORDS = re.compile(r"\S*\s*", re.ASCII)
_WORDS_PER_PIECE = 6
_MOST_PIECES = 500  # of an answer that is there already: a longer one comes in longer pieces


async def final_answer(loop: LayerLoop, emit: Emit | None) -> tuple[Way, Run]:
    """How the answer was made, and it. Raises LLMFailed where a streamed synthesis breaks after its first word."""
    texts = {llm: run.text for llm, run in loop.answers.items()}
    request, aggregators = loop.request, _aggregators(loop)
    price = _synthesis_price(loop, aggregators)
    choice = choose(texts, loop.scores, strategy=request.strategy, options=request.options, synthesis_price=price)
    if choice.way == "synthesise":
        written = await _synthesis(loop, aggregators, texts, emit)
        if written is not None:
            return "synthesise", written
    run = loop.answers[choice.llm]
    if emit is not None:
        for piece in in_pieces(run.text):
            await emit(Chunk(piece))
    return "best" if choice.way == "synthesise" else choice.way, run


def in_pieces(text: str) -> list[str]:
    """`text` cut between words; joined, the pieces are `text` again."""
    words = _WORDS.findall(text)
    size = max(_WORDS_PER_PIECE, math.ceil(len(words) / _MOST_PIECES))
    pieces = ["".join(words[at : at + size]) for at in range(0, len(words), size)]
    return [piece for piece in pieces if piece]


async def _synthesis(loop: LayerLoop, aggregators: Sequence[Candidate], texts: Mapping[str, str], emit: Emit | None) -> Run | None:
    """The aggregator's answer, None where no aggregator answers within the budget and the time."""
    calls = loop.calls
    shown = {opaque: texts[llm] for opaque, llm in opaque_ids(_best_few(loop, texts)).items()}
    messages = synthesis_messages(loop.request.messages, shown)
    for aggregator in aggregators[:AGGREGATORS]:
        if calls.remaining_s <= loop.layers[-1].latency_s or (reserved := calls.reserve(aggregator.llm, messages)) is None:
            continue
        words = None if emit is None else _words_only(emit)
        late_s = calls.late_after_s(aggregator.reading(_tokens(loop)))
        reply = await ask_from_first_word(calls, reserved, late_s, late_s, words, layer=0, is_empty=lambda reply: not reply.text.strip())
        if reply is not None:
            return Run.of(reply, reply.text, at_s=calls.elapsed_s)
    return None


def _words_only(emit: Emit) -> Emit:
    """An aggregator's own chunks would name it and end the answer before its decision is there."""

    async def emit_words(chunk: Chunk) -> None:
        if chunk.text:
            await emit(Chunk(chunk.text))

    return emit_words


def _aggregators(loop: LayerLoop) -> list[Candidate]:
    """The LLMs that answered and have room for all answers, the one with the highest score first."""
    answered = [each for each in loop.request.candidates if each.llm.id in loop.answers and each.llm.id not in loop.failed]
    roomy = [each for each in answered if _tokens(loop) < each.llm.context_window]
    return sorted(roomy, key=lambda each: (-loop.scores[each.llm.id], each.llm.id))


def _best_few(loop: LayerLoop, texts: Mapping[str, str]) -> dict[str, str]:
    """The answers with the highest scores: k, and where few are asked at once, SHOWN."""
    best = sorted(texts, key=lambda llm: (-loop.scores[llm], llm))[: max(loop.request.options.k, SHOWN)]
    return {llm: texts[llm] for llm in best}


def _synthesis_price(loop: LayerLoop, aggregators: Sequence[Candidate]) -> float:
    """What the first aggregator's call is expected to cost, in the unit of the weights.

    Infinite where there is none, or only one that scores lower than the best answer: it would rather spoil that answer.
    """
    best = max(loop.scores[llm] for llm in loop.answers)
    if not aggregators or loop.scores[aggregators[0].llm.id] < best:
        return math.inf
    sized = aggregators[0].reading(_tokens(loop))
    return loop.request.options.weights.penalty(sized.cost_usd, sized.latency_s or 0.0, sized.kwh)


def _tokens(loop: LayerLoop) -> int:
    shown = [{"content": run.text} for run in loop.answers.values()]
    return expected_input_tokens([*loop.request.messages, *shown], {})
