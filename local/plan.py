"""How much of everything the demo does, and how that shrinks on a slow machine."""

import time
from dataclasses import dataclass, replace

import httpx2

from local.errors import StepFailed

USUAL_PACE_S = 2.5  # of `measure` right after a start, on two idle cores, by the 1.5B LLM; a later answer takes half of it
LEAST = {"usual": 15, "strange": 20}  # the monitor looks at 15 records, and at 35 (monitoring/drift/policy.py)
PROBE = "List the first ten even numbers, then the first ten odd ones."
PROBE_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """command: what plays it. joiner: id of the LLM that joins. unusual: domains that the first scorer never sees.

    usual: queries of known domains sent before the join, and as many after it. strange: queries of the unusual domains sent, and
    `audited` of them reported with their right answer. again: unusual ones sent after the retraining, `among` so many usual ones: the mix
    that the monitor judged before. mixed: sent through the mixture. max_tokens: of a served answer.
    patience: how many times longer than usual anything may take.
    """

    command: str
    joiner: str
    unusual: tuple[str, ...]
    usual: int
    strange: int
    audited: int
    again: int
    among: int
    mixed: int
    max_tokens: int
    patience: float = 1.0

    def at_pace(self, slower: float) -> tuple["Plan", str]:
        """The plan for a machine `slower` times slower than usual, and a sentence that says what it leaves out; "" where nothing."""
        if slower <= 1.5:
            return self, ""
        counts = {name: min(getattr(self, name), max(least, round(getattr(self, name) / slower))) for name, least in LEAST.items()}
        shrunk = replace(self, **counts, audited=min(self.audited, counts["strange"]), patience=slower)
        longer = f"An answer takes {slower:.1f} times as long as usual here, so everything may take as much longer"
        if (shrunk.usual, shrunk.strange) == (self.usual, self.strange):
            return shrunk, f"{longer}."
        return shrunk, (
            f"{longer}, and less is sent: "
            f"{shrunk.usual} usual and {shrunk.strange} unusual queries instead of {self.usual} and {self.strange}. Figures are less sure."
        )


FULL = Plan(
    command="make demo",
    joiner="qwen-coder-1-5b-steps",
    unusual=("spanish",),
    usual=16,
    strange=24,
    audited=18,  # as many make Spanish known (docs/log.md, 2026-11-30), and each is asked of five LLMs
    again=7,
    among=8,
    mixed=2,
    max_tokens=160,
)
SMALL = Plan(
    command="make demo-small",
    joiner="smollm2-135m-sentence-2",
    unusual=("spanish",),
    usual=16,
    strange=37,  # with the usual ones they fill a window of 53, in which nobody doubts
    audited=20,
    again=7,
    among=8,
    mixed=1,
    max_tokens=16,
)


def measure(base_url: str, served_name: str, *, longest_s: float = 600.0) -> float:
    """How many times slower than usual the LLM at `base_url` answers now, by one answer of PROBE_TOKENS tokens.

    Raises StepFailed where it does not answer within `longest_s`.
    """
    body = {"model": served_name, "messages": [{"role": "user", "content": PROBE}], "max_tokens": PROBE_TOKENS, "temperature": 0.0}
    began = time.monotonic()
    try:
        with httpx2.Client(trust_env=False, timeout=longest_s) as client:
            client.post(f"{base_url}/chat/completions", json=body).raise_for_status()
    except httpx2.HTTPError as exc:
        raise StepFailed(f"{served_name} does not answer at {base_url} ({type(exc).__name__}).", next_step="See its log.") from exc
    return (time.monotonic() - began) / USUAL_PACE_S
