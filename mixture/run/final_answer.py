"""The last step of a request: one answer made of the layers' answers, streamed where it is written now."""

import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from mixture.choose.ranking import Candidate, late_after_s
from mixture.client.request_size import expected_input_tokens
from mixture.decision import Run, empty
from mixture.errors import LLMFailed
from mixture.judge.in_text import opaque_ids
from mixture.run.aggregation import Choice, Way, choose, synthesis_messages
from mixture.run.layers import LayerLoop

SHOWN = 3  # answers that an aggregator gets to see, at least
AGGREGATORS = 2  # asked one after the other, before the best answer is returned as it is
_WORDS = re.compile(r"\S*\s*", re.ASCII)
_WORDS_PER_PIECE = 6


@dataclass(frozen=True, slots=True)
class Ending:
    """How the answer was made; `run` is it."""

    way: Way
    run: Run


async def ending(course: LayerLoop, *, live: bool) -> AsyncGenerator[str | Ending, None]:
    """The answer's text in pieces, then how it was made. Raises LLMFailed where a synthesis breaks after its first piece."""
    texts = {llm: run.text for llm, run in course.answers.items()}
    aggregators = _aggregators(course)
    choice = choose(texts, course.scores, course.desk.options, _price(course, aggregators))
    if choice.way == "synthesise":
        async with aclosing(_synthesis(course, aggregators, texts, live=live)) as pieces:
            async for piece in pieces:
                yield piece
                if isinstance(piece, Ending):
                    return
        choice = Choice("best", choice.llm)
    run = course.answers[choice.llm]
    if live:
        for piece in in_pieces(run.text):
            yield piece
    yield Ending(choice.way, run)


def in_pieces(text: str) -> list[str]:
    """`text` cut between words; joined, the pieces are `text` again."""
    words = _WORDS.findall(text)
    pieces = ["".join(words[at : at + _WORDS_PER_PIECE]) for at in range(0, len(words), _WORDS_PER_PIECE)]
    return [piece for piece in pieces if piece]


async def _synthesis(
    course: LayerLoop, aggregators: Sequence[Candidate], texts: Mapping[str, str], *, live: bool
) -> AsyncGenerator[str | Ending, None]:
    """The aggregator's answer as it is written; nothing where no aggregator answers within the budget and the time."""
    desk = course.desk
    shown = {opaque: texts[llm] for opaque, llm in opaque_ids(_best_few(course, texts)).items()}
    asked = synthesis_messages(course.messages, shown)
    for aggregator in aggregators[:AGGREGATORS]:
        if desk.remaining_s <= course.layers[-1].latency_s or (held := desk.hold(aggregator.llm, asked)) is None:
            continue
        began = False
        try:
            async with aclosing(desk.pieces(held, late_after_s(aggregator, desk.options), live=live)) as chunks:
                async for chunk in chunks:
                    if chunk.text:
                        began = True
                        yield chunk.text
                    if chunk.reply is not None:
                        if not chunk.reply.text.strip():
                            raise empty(chunk.reply)
                        yield Ending("synthesise", Run.of(chunk.reply, chunk.reply.text, at_s=desk.elapsed_s))
                        return
        except LLMFailed as failure:
            if began and live:
                raise
            desk.failed(0, failure)


def _aggregators(course: LayerLoop) -> list[Candidate]:
    """The LLMs that answered and have room for all answers, the one with the highest score first."""
    answered = [each for each in course.candidates if each.llm.id in course.answers and each.llm.id not in course.out]
    roomy = [each for each in answered if _tokens(course) < each.llm.context_window]
    return sorted(roomy, key=lambda each: (-course.scores[each.llm.id], each.llm.id))


def _best_few(course: LayerLoop, texts: Mapping[str, str]) -> dict[str, str]:
    """The answers with the highest scores: k, and where few are asked at once, SHOWN."""
    best = sorted(texts, key=lambda llm: (-course.scores[llm], llm))[: max(course.desk.options.k, SHOWN)]
    return {llm: texts[llm] for llm in best}


def _price(course: LayerLoop, aggregators: Sequence[Candidate]) -> float:
    """What the first aggregator's call is expected to cost, in the unit of the weights.

    Infinite where there is none, or only one that scores lower than the best answer: it would rather spoil that answer.
    """
    best = max(course.scores[llm] for llm in course.answers)
    if not aggregators or course.scores[aggregators[0].llm.id] < best:
        return math.inf
    sized = replace(aggregators[0], input_tokens=_tokens(course))
    return course.desk.options.weights.price(sized.cost_usd, sized.latency_s or 0.0)


def _tokens(course: LayerLoop) -> int:
    shown = [{"content": run.text} for run in course.answers.values()]
    return expected_input_tokens([*course.messages, *shown], {})
