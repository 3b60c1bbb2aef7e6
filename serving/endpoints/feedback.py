"""POST /v1/feedback: how good a served answer was, and, where the caller knows it, what the right answer is."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitoring.errors import ReferenceRefused
from monitoring.records.record import AUDIT
from monitoring.records.reference import GRADERS, Reference, redacted
from scorer.near_matches import did_you_mean
from serving.access.keys import KeyEntry
from serving.answers.answer_ids import decision_of
from serving.errors import DecisionUnknown, OutcomeAudited, RequestRefused, ScopeMissing
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import holder_of, state_of

router = APIRouter()


class Feedback(BaseModel):
    """One report; the last one of a decision counts, an audit's before all others.

    source: who judged (`user`, `audit`, `grader:exact` ...). reference, with the grader that reads it and, for `choice`, the options: the
    right answer, by which a retraining that harvests the query grades every LLM's answer to it (docs/guide/graders.md).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    decision_id: Annotated[str, Field(min_length=1, max_length=64)]
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    source: Annotated[str, Field(pattern="^[a-z][a-z0-9:_-]{0,39}$")] = "user"
    reference: Annotated[str, Field(max_length=4096)] | None = None
    grader: Annotated[str, Field(max_length=64)] | None = None
    choices: Annotated[list[Annotated[str, Field(min_length=1, max_length=4096)]], Field(max_length=26)] | None = None


@router.post("/v1/feedback")
async def feedback(request: Request) -> Response:
    """Keeps the outcome; answered only when it is durable.

    A key reports on its own decisions; one with the scope `audit` and the source `audit`, or with `admin`, on every one.
    """
    state, holder = state_of(request), holder_of(request)
    report, _ = parse(Feedback, await read(request, state.settings.max_request_bytes))
    _require_scope(holder, report.source)
    decision_id, reference = decision_of(report.decision_id), _reference(report)
    record = await state.records.get(decision_id)
    if record is None or not (report.source == AUDIT or holder.sees(record["asked_by"])):
        next_step = "It is `routemoa.decision_id` of an answer that this key asked for."
        raise DecisionUnknown(f"No decision is called {report.decision_id!r}.", next_step=next_step, param="decision_id")
    try:
        kept = await state.records.report_outcome(decision_id, report.score, report.source, reference, holder.name)
    except ReferenceRefused as exc:
        raise RequestRefused(exc.what, next_step=exc.next_step, param=exc.field) from exc
    if not kept:
        raise OutcomeAudited(f"The answer {decision_id!r} has been audited.", next_step="Only another audit can say otherwise.")
    outcome = {"decision_id": decision_id, "score": report.score, "source": report.source}
    return json_response(outcome if reference is None else {**outcome, "reference": asdict(redacted(reference))})


def _require_scope(holder: KeyEntry, source: str) -> None:
    """Raises ScopeMissing where the key may not say that this source judged."""
    if source == AUDIT and "audit" not in holder.scopes:
        raise ScopeMissing(
            f"The source {AUDIT!r} needs the scope 'audit'; the key {holder.name!r} has {', '.join(holder.scopes)}.",
            next_step="Leave the source out, or create a key with `routemoa keys create NAME --scope feedback --scope audit`.",
            param="source",
        )


def _reference(report: Feedback) -> Reference | None:
    """The reference of `report`, None where it brings none. Raises RequestRefused where a part of it is missing."""
    if report.reference is None and report.grader is None and report.choices is None:
        return None
    if report.reference is None:
        raise RequestRefused("reference: is missing.", next_step="Send it with its grader, or send neither.", param="reference")
    if report.grader is None:
        raise RequestRefused("grader: is missing; it says how the reference is read.", next_step=did_you_mean("", GRADERS), param="grader")
    return Reference(report.grader, report.reference, tuple(report.choices or ()))
