"""A request for a virtual model as it was sent, and as a scorer version scored it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixture.client.native import Native
from mixture.run.request import Request
from serving.access.keys import KeyEntry
from serving.request.protocol import ChatRequest
from serving.scorers.active_scorer import Active
from serving.scorers.familiarity import Familiar
from serving.sessions.turn import SessionTurn

NO_QUERY = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a virtual model, as it was sent by the holder of a key. native: where it was written in another dialect."""

    chat: ChatRequest
    written: Mapping[str, Any]
    holder: KeyEntry
    native: Native | None = None


@dataclass(frozen=True, slots=True)
class ScoredRequest:
    """One scored request.

    active: the scorer version it was scored by. text: what of the conversation was scored. scores: by LLM id, in roster order.
    request: its candidates are the LLMs of the roster that can be called; it says of the others why not. session: None where it has none.
    A session that may not leave its LLM keeps the scores of its present user turn; nothing is embedded then, and `query_D` is empty.
    familiar: how near the query is to what was labelled. unit: what drew the version where a canary runs (`serving.scorers.beside`).
    """

    active: Active
    text: str
    scores: Mapping[str, float]
    query_D: NDArray[np.float32]
    request: Request
    asked: Asked
    familiar: Familiar | None = None
    session: SessionTurn | None = None
    unit: str = ""
