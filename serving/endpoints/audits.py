"""/v1/audits: served answers that were drawn for an audit, for whoever grades them (scope `audit`).

An answer in the queue, as `GET /v1/audits` lists it (`{"waiting": 7, "not_kept": 0, "audits": [...]}`) and `.../claim` returns it:

    {"decision_id": "2013...", "created_at": 1796049276.5, "scorer_version": "2", "domain": "near law", "llm": "smollm2-135m",
     "promised": 0.34, "expected": 0.31, "probability": 0.12, "why": ["unlike anything labelled"],
     "query": "..." | null, "answer": "..." | null, "reference": {"grader": "exact", "text": "Oslo", "choices": []} | null,
     "claimed_by": "ann" | null, "claimed_until": 1796050176.5 | null}

Answers whose texts are not kept are counted (`not_kept`) and not listed: nobody can grade what cannot be shown. Whoever knows one by its id
and has its texts may grade it all the same; its query and answer are null. What a judge thinks of an answer is told after the grade
(`opinions`).
"""

import asyncio
from dataclasses import asdict
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitoring.audits.audit_queue import AuditQueue
from monitoring.errors import ReferenceRefused
from monitoring.records.record import AUDIT
from monitoring.records.reference import GRADERS, Reference
from scorer.near_matches import did_you_mean
from serving.access.keys import KeyEntry
from serving.errors import RequestRefused
from serving.json_answers import json_response
from serving.request.body import read
from serving.request.protocol import parse
from serving.state import State, holder_of, state_of

router = APIRouter(prefix="/v1/audits")
MOST_LISTED = 200


class Grade(BaseModel):
    """A person's grade: `score` from 0 (useless) to 1 (right), or `right`: whether it is. by: who graded, where a key has several users.

    reference, with the grader that reads it and, for `choice`, the options: the right answer, by which a retraining that harvests the
    query grades every LLM's answer to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    right: bool | None = None
    by: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    reference: Annotated[str, Field(max_length=4096)] | None = None
    grader: Annotated[str, Field(max_length=64)] | None = None
    choices: Annotated[list[Annotated[str, Field(min_length=1, max_length=4096)]], Field(max_length=26)] | None = None

    @model_validator(mode="after")
    def _says_how_good(self) -> Self:
        if (self.score is None) == (self.right is None):
            raise ValueError("give score (0 to 1) or right (true or false), one of them")
        if (self.reference is None) != (self.grader is None):
            raise ValueError("reference and grader belong together")
        return self

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.score if self.score is not None else float(self.right is True)


class Grader(BaseModel):
    """Who claims or skips, where a key has several users."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    by: Annotated[str, Field(min_length=1, max_length=64)] | None = None


@router.get("")
async def audits(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    domain: str | None = None,
    by: str | None = None,
) -> Response:
    """Answers that wait for a grade, none that this grader skipped or another has claimed.

    `{"waiting": all of them, "not_kept": those that cannot be shown, "audits": [...]}`. domain: of this domain alone. The order says
    nothing of the answers; those that somebody asked for come first.
    """
    queue, who = AuditQueue(state_of(request).records), _who(holder_of(request), by)
    listed = await asyncio.to_thread(queue.waiting, who, most=limit, domain=domain)
    count, hidden = await asyncio.to_thread(lambda: (queue.count(domain), queue.hidden(domain)))
    return json_response({"waiting": count, "not_kept": hidden, "audits": [each.as_dict() for each in listed]})


@router.get("/{decision_id}")
async def one(request: Request, decision_id: str) -> Response:
    """One of them, graded or not: 404 for an answer that was not drawn."""
    found = await asyncio.to_thread(AuditQueue(state_of(request).records).get, decision_id)
    return json_response(found.as_dict())


@router.post("/{decision_id}/claim")
async def claim(request: Request, decision_id: str) -> Response:
    """Keeps it for this grader for a quarter of an hour; 409 `audit_claimed` where somebody else grades it. Body: empty, or {"by": ...}."""
    queue, who = AuditQueue(state_of(request).records), await _named(request)
    return json_response((await asyncio.to_thread(queue.claim, decision_id, who)).as_dict())


@router.post("/{decision_id}/skip")
async def skip(request: Request, decision_id: str) -> Response:
    """Shows it to this grader no more: `{"decision_id": ..., "skipped": true}`. Others still see it. Body: empty, or {"by": ...}."""
    queue, who = AuditQueue(state_of(request).records), await _named(request)
    await asyncio.to_thread(queue.skip, decision_id, who)
    return json_response({"decision_id": decision_id, "skipped": True})


@router.post("/{decision_id}")
async def grade(request: Request, decision_id: str) -> Response:
    """Keeps a grade (`Grade`); answered when it is durable. A second grade replaces the first.

    `{"decision_id": ..., "score": 1.0, "graded_by": "ann", "opinions": [{"grader": "judge:big", "score": 0.7, "cost_usd": 0.0001,
    "given_at": 1796049276.5}], "waiting": 6}`.

    404 `audit_not_found` for an answer that was not drawn, 400 for a reference that its grader cannot read.
    """
    state, holder = state_of(request), holder_of(request)
    given, _ = parse(Grade, await read(request, state.settings.max_request_bytes))
    queue, who = AuditQueue(state.records), _who(holder, given.by)
    await asyncio.to_thread(queue.get, decision_id)
    await _keep(state, decision_id, given, who)
    opinions, waiting = await asyncio.to_thread(lambda: (queue.opinions(decision_id), queue.count()))
    told = {"decision_id": decision_id, "score": given.value, "graded_by": who, "opinions": [asdict(each) for each in opinions]}
    return json_response({**told, "waiting": waiting})


async def _keep(state: State, decision_id: str, given: Grade, who: str) -> None:
    reference = None
    if given.reference is not None and given.grader is not None:
        reference = Reference(given.grader, given.reference, tuple(given.choices or ()))
    try:
        await state.records.report_outcome(decision_id, given.value, AUDIT, reference, who)
    except ReferenceRefused as exc:
        next_step = did_you_mean(given.grader or "", GRADERS) if exc.field == "grader" else exc.next_step
        raise RequestRefused(exc.what, next_step=next_step, param=exc.field) from exc


async def _named(request: Request) -> str:
    """Who claims or skips, as the body says or the key."""
    content = await read(request, state_of(request).settings.max_request_bytes)
    return _who(holder_of(request), parse(Grader, content)[0].by if content else None)


def _who(holder: KeyEntry, by: str | None) -> str:
    """The key's name, with that of the person where one is given: a key vouches for who uses it."""
    return holder.name if by is None else f"{holder.name}/{by}"
