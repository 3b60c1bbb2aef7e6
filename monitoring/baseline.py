"""What savings are told against: always asking the LLM that is promised most over all training queries, at the tokens that were served."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixture.llm import LLM
from monitoring.profile import ReferenceProfile
from monitoring.record import Record
from registry import pool
from registry.errors import PoolRefused


@dataclass(frozen=True, slots=True)
class Baseline:
    """The LLM that is best overall."""

    llm: LLM

    @classmethod
    def of(cls, profile: ReferenceProfile, pool_file: Path) -> "Baseline | None":
        """The best of the pool's LLMs whose price is known, None where there is none or the pool cannot be read."""
        try:
            llms = {llm.id: llm for llm in pool.load(pool_file).llms}
        except PoolRefused:
            return None
        overall = dict(zip(profile.roster, profile.scores_RL.mean(axis=0), strict=True))
        known = [llm for llm in overall if llm in llms and llms[llm].price.known and llms[llm].status != "retired"]
        return cls(llms[max(known, key=lambda llm: float(overall[llm]))]) if known else None

    def saved(self, records: Iterable[Record]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """For each record what asking this LLM alone would have cost more than what was spent; below 0 where less."""
        return np.array([self._cost(record) - record.cost_usd for record in records], dtype=np.float64)

    def _cost(self, record: Record) -> float:
        input_tokens, output_tokens = _tokens_of_one_call(record)
        return self.llm.price.cost(input_tokens, output_tokens)


def _tokens_of_one_call(record: Record) -> tuple[int, int]:
    """Of the call whose answer was served; the mean of all calls where it is not told apart."""
    layers: Sequence[dict[str, Any]] = record.decision.get("layers") or ()
    runs = [run for layer in layers for run in layer.get("runs") or ()]
    own = [run for run in runs if run.get("llm") == record.llm]
    if own:
        return int(own[-1]["input_tokens"]), int(own[-1]["output_tokens"])
    calls = max(1, len(runs))
    return record.input_tokens // calls, record.output_tokens // calls
