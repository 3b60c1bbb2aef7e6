"""An answer and what it took, as a decision."""

from mixture.choose.stop_rules import StopReason
from mixture.client.protocol import Reply
from mixture.decision import Decision, Layer, Run
from mixture.run.aggregation import Way
from mixture.run.calls import Calls


def decided(
    calls: Calls, layers: tuple[Layer, ...], run: Run, *, way: Way, reason: StopReason, score: float, reply: Reply | None = None
) -> Decision:
    """The decision whose answer is `run`."""
    synthesised = way == "synthesise"
    return Decision(
        text=run.text,
        llm=None if synthesised else run.llm,
        finish_reason=run.finish_reason,
        layers=layers,
        stopped_because=reason,
        aggregation=way,
        score=score,
        cost_usd=calls.ledger.spent_usd,
        latency_s=calls.elapsed_s,
        input_tokens=calls.account.input_tokens,
        output_tokens=calls.account.output_tokens,
        reasoning_tokens=calls.account.reasoning_tokens,
        cached_tokens=calls.account.cached_tokens,
        unpriced=calls.account.unpriced,
        energy_kwh=calls.account.energy_kwh,
        unmetered=calls.account.unmetered,
        unsettled_usd=calls.ledger.unsettled_usd,
        synthesis=run if synthesised else None,
        failures=tuple(calls.account.failures()),
        retried=tuple(each.as_failure() for each in calls.account.retried),
        reply=reply,
    )
