"""How long an LLM's answer would have been, as the answer that another one gave tells. Pure."""

import numpy as np

from pipelines.what_if.judgeable import Judgeable, Values
from pipelines.what_if.knowledge import Knowledge


def expected(known: Knowledge, llm: str, other: str | None, written: float) -> float:
    """Tokens of an answer by `llm` where `other` wrote so many: as many times more or fewer as its recorded answers have.

    Its usual length where nothing is recorded of the other; as many as the other where nothing is recorded of itself.
    """
    own, others = known.recorded.get(llm), known.recorded.get(other or "")
    if own is None:
        return written
    if others is None or not others.output_tokens:
        return own.output_tokens
    return written * own.output_tokens / others.output_tokens


def shares(judged: Judgeable) -> Values:
    """logged_L: of the log's calls by each candidate; the baseline's where the log is by none of them."""
    place_of = {llm.id: at for at, llm in enumerate(judged.llms)}
    logged = [place_of[each.llm.id] for each in judged.billed if each.llm is not None and each.llm.id in place_of]
    counts_L = np.bincount(logged or judged.baseline_N, minlength=len(judged.llms))
    return np.asarray(counts_L / max(counts_L.sum(), 1), dtype=np.float64)
