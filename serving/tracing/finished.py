"""A request that has ended, as far as its spans tell of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixture.decision import Decision
from mixture.llm import LLM, Message
from mixture.run.account import Account


@dataclass(frozen=True, slots=True)
class Finished:
    """decision, error: one of them is there. llms: the candidates, by id. ended_at: on the engine's clock. asked_by: the key's name."""

    decision_id: str
    model: str
    streamed: bool
    asked_by: str
    scorer_version: str
    messages: Sequence[Message]
    llms: Mapping[str, LLM]
    account: Account
    decision: Decision | None
    error: BaseException | None
    ended_at: float
