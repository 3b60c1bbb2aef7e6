"""Headers by which an answer says who served it, what it cost and how it was chosen, the same in every dialect."""

from mixture.decision import Decision
from serving.scorers.scored_request import ScoredRequest


def at_the_start(decision_id: str, scored: ScoredRequest | None, named: str | None) -> dict[str, str]:
    """What is known before the first word. named: the LLM that the request names, None where it is chosen."""
    headers = {"x-routemoa-decision": decision_id}
    if scored is not None:
        headers["x-routemoa-scorer"] = scored.active.version
    if named is not None:
        headers |= {"x-routemoa-llm": named, "x-routemoa-chosen-by": "name"}
    return headers


def at_the_end(decision_id: str, scored: ScoredRequest | None, decision: Decision) -> dict[str, str]:
    """What a whole answer says. No cost where one of the LLMs has no known price.

    x-routemoa-llm: absent for a synthesis. x-routemoa-chosen-by: `name`, or the decision's aggregation: single, best, vote, synthesise.
    """
    headers = at_the_start(decision_id, scored, None)
    if decision.llm is not None:
        headers["x-routemoa-llm"] = decision.llm
    if not decision.unpriced:
        headers["x-routemoa-cost-usd"] = f"{decision.cost_usd:.9f}".rstrip("0").rstrip(".")
    asked = [run.llm for layer in decision.layers for run in layer.runs]
    return headers | {"x-routemoa-chosen-by": "name" if scored is None else decision.aggregation, "x-routemoa-asked": ",".join(asked)}
