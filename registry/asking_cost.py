"""What asking an LLM its queries will cost: the figures, and where pipelines (registry knows none of their tables) computes them."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import child_process
from registry.errors import ChildFailed

WITHIN_S = 120.0  # two seconds of CPU; whoever adds an LLM can wait for a busy machine


@dataclass(frozen=True, slots=True)
class AskingCost:
    """What asking `queries` of the query pool's `of` queries is expected to cost.

    input_tokens, output_tokens: in all. usd: of them, at the pool's price. most_usd: if every answer were as long as the LLM may answer.
    judging_usd: what the judge's verdicts on the answers to open queries cost beside that (`label.judge`), 0 without a judge.
    llms: how many LLMs' recorded answers the lengths are typical of; 0: nothing is recorded, and answers are taken to be as long as they
    may be. stops_at_usd: asking ends before it has cost this much (`answer.budget_usd` in params.yaml).
    """

    queries: int
    of: int
    input_tokens: int
    output_tokens: int
    usd: float
    most_usd: float
    judging_usd: float
    llms: int
    stops_at_usd: float

    def __str__(self) -> str:
        """As a sentence."""
        basis = f"if its answers are as long as those of {_counted(self.llms, 'LLM')} here" if self.llms else "if all answers are that long"
        judging = f" Judging its answers costs about {usd(self.judging_usd)} more." if self.judging_usd else ""
        return (
            f"Asking it {self.queries} of {self.of} queries costs about {usd(self.usd)} ({self.input_tokens:,} tokens in, "
            f"{self.output_tokens:,} out, {basis}), at most {usd(self.most_usd)}; it stops at {usd(self.stops_at_usd)}.{judging}"
        )


def told(home: Path, llm_id: str, entry: Mapping[str, Any] | None = None) -> AskingCost | None:
    """The cost of asking the LLM `llm_id` of the pool at `home`, computed in a process of its own, which takes seconds.

    entry: its pool entry, where it is in no pool yet.

    None where it cannot be told: the project has no queries or parameters here.
    """
    if not (home / "params.yaml").is_file():  # a host that serves and trains nothing
        return None
    command = [sys.executable, "-m", "pipelines.asking_cost", llm_id, *([] if entry is None else ["--entry", json.dumps(dict(entry))])]
    try:
        return AskingCost(**json.loads(child_process.output(command, cwd=home, timeout_s=WITHIN_S)))
    except (ChildFailed, ValueError, TypeError):
        return None


def usd(amount: float) -> str:
    """Two digits, or cents where there are more: `$0.0042`, `$1.30`."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.2g}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
