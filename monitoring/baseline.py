"""What savings are told against: always asking the LLM that is promised most over all training queries, at the tokens that were served."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixture.llm import LLM
from monitoring.ledger_entry import as_one_call
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
        return self.llm.price.bill(as_one_call(record.decision, record.llm, record.input_tokens, record.output_tokens))
