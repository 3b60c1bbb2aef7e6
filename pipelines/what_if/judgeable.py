"""Which logged calls can be judged, and what of them: scores of the candidates, sessions, the baseline and its cost. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixture.llm import LLM
from pipelines.certify import expected_costs
from pipelines.what_if import history, likeness
from pipelines.what_if.history import Billed
from pipelines.what_if.knowledge import Knowledge, Texts

Values = NDArray[np.float64]
FAR = "unlike every query that the scorer was trained on"


@dataclass(frozen=True, slots=True, eq=False)
class Judgeable:
    """N calls whose texts were scored and whose sessions can be re-routed.

    llms: the candidates, their columns in the roster `columns`. scores_NL: by candidate. baseline_N: column among the candidates of what is
    compared with, baseline_usd_N its cost; stays: whether that is what was logged. session_N: index of the session; first_N: place of the
    call that decides it. expected_NL: USD by which is chosen. unlike_N: of a kind that no labelled query is like. text_N: which of the
    texts it has. share: of the log's sessions that were drawn, each by itself, and are here.
    """

    billed: tuple[Billed, ...]
    llms: tuple[LLM, ...]
    columns: tuple[int, ...]
    scores_NL: Values
    domains_N: NDArray[np.str_]
    baseline_N: NDArray[np.intp]
    baseline_usd_N: Values
    stays: bool
    session_N: NDArray[np.intp]
    first_N: NDArray[np.intp]
    expected_NL: Values
    unlike_N: NDArray[np.bool_]
    text_N: NDArray[np.intp]
    share: float = 1.0

    @property
    def sessions(self) -> int:
        """How many there are."""
        return len(np.unique(self.session_N))

    def units(self, inside_N: NDArray[np.bool_]) -> float:
        """How many independent calls these are worth: calls of one session go together, and so do those that ask the same (Kish)."""
        if not inside_N.any():
            return 0.0
        counts = [np.unique(names_N[inside_N], return_counts=True)[1] for names_N in (self.session_N, self.text_N)]
        return min(float(each.sum() ** 2 / (each**2).sum()) for each in counts)


def judgeable(
    billed: Sequence[Billed],
    scored: Mapping[int, int],
    texts: Texts,
    known: Knowledge,
    llms: Mapping[str, LLM],
    *,
    baseline: str | None = None,
    share: float = 1.0,
) -> tuple[Judgeable, Mapping[str, int]]:
    """Who can be judged, and why others cannot, by how many calls.

    scored: place of a call -> its row in `texts`. llms: candidates by id.
    """
    columns = [at for at, llm in enumerate(known.roster) if llm in llms]
    candidates = tuple(llms[known.roster[at]] for at in columns)
    place_of = {llm.id: at for at, llm in enumerate(candidates)}
    why: dict[str, int] = {}
    kept: list[int] = []
    session_of: list[int] = []
    first_of: list[int] = []
    for number, places in enumerate(history.by_session(billed)):
        able = []
        for place in places:
            reason = _why_not(billed[place], scored.get(place), texts, place_of, baseline)
            if reason:
                why[reason] = why.get(reason, 0) + billed[place].requests
            else:
                able.append(place)
        first_of += [len(kept)] * len(able)
        session_of += [number] * len(able)
        kept += able
    rows = np.array([scored[place] for place in kept], dtype=np.intp)
    calls = tuple(billed[place] for place in kept)
    reference = [baseline or (each.llm.id if each.llm else "") for each in calls]
    made = Judgeable(
        billed=calls,
        llms=candidates,
        columns=tuple(columns),
        scores_NL=texts.scores_NL[rows][:, columns],
        domains_N=texts.domains_N[rows],
        baseline_N=np.array([place_of[llm] for llm in reference], dtype=np.intp),
        baseline_usd_N=np.array([_usd_of(each, llms[baseline] if baseline else None) for each in calls], dtype=np.float64),
        stays=baseline is None,
        session_N=np.array(session_of, dtype=np.intp),
        first_N=np.array(first_of, dtype=np.intp),
        expected_NL=expected_costs([each.call.text or "" for each in calls], candidates, known.recorded),
        unlike_N=_unlike(texts, known)[rows],
        text_N=rows,
        share=share,
    )
    return made, dict(sorted(why.items(), key=lambda pair: -pair[1]))


def _usd_of(each: Billed, baseline: LLM | None) -> float:
    """What a call cost, or would have with the baseline on the same tokens."""
    if baseline is None or (each.llm is not None and each.llm.id == baseline.id) or each.usage is None:
        return each.usd or 0.0
    return history.at(baseline.price, each.call, each.usage)


def _why_not(each: Billed, row: int | None, texts: Texts, place_of: Mapping[str, int], baseline: str | None) -> str:
    if each.usd is None:
        return each.why_not
    if each.call.requests != 1:
        return "sums of calls: their money is known, what was asked is not"
    if row is None:
        return "no text"
    if baseline is None and (each.llm is None or each.llm.id not in place_of):
        return f"the scorer does not know {each.call.llm}"
    if texts.far_N[row]:
        return FAR
    return ""


def _unlike(texts: Texts, known: Knowledge) -> NDArray[np.bool_]:
    """By text; nothing can be said of it where nothing is labelled, and then there is no interval either."""
    if known.held_out is None:
        return np.zeros(len(texts.far_N), dtype=bool)
    return likeness.unlike(texts, known.held_out.scored)
