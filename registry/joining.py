"""An LLM joins the pool: it is checked, asked one question, and added to the file. A job then asks it the query pool and retrains."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mixture.client.protocol import Call, Client
from mixture.client.request_body import headers
from mixture.decision import Failure
from mixture.effort import thinks
from mixture.errors import LLMFailed, LLMRefused
from mixture.llm import LLM
from registry import pool
from registry.entry import SECRET_FIELDS, PoolEntry, check_id
from registry.errors import JoiningRefused, PoolRefused, ProbeFailed
from registry.validation_errors import explain

PROBE = "Reply with the word ready."
PROBE_TOKENS = 8
PROBE_S = 30.0
ROW_QUERIES = 400  # about 260 of them to train and calibrate on; what few labels are worth: docs/results/joining.md

LEAST = (
    'The least that is needed, prices in USD per million tokens: {"id": "mine", '
    '"endpoint": {"base_url": "http://127.0.0.1:8000/v1", "served_name": "m"}, "price": {"input": 0.1, "output": 0.2}}'
)


async def join(id: str, entry: Mapping[str, Any], *, pool_file: Path, client: Client) -> LLM:  # noqa: A002
    """The LLM called `id`, now in the pool file. Raises as `probe`; the pool file is then as it was."""
    await probe(id, entry, pool_file=pool_file, client=client)
    return await asyncio.to_thread(add, id, entry, pool_file=pool_file)  # it may wait for the file's lock


async def probe(id: str, entry: Mapping[str, Any], *, pool_file: Path, client: Client) -> LLM:  # noqa: A002
    """The LLM that would join as `id`; it answered a short question, and nothing is written.

    Raises PoolRefused for a malformed entry or a taken id, JoiningRefused where the key's variable is not set, where the same LLM is asked
    in the same way under another id, or where it does not answer.
    """
    llm = parsed(id, entry)
    _refuse_twins(llm, await asyncio.to_thread(pool.load, pool_file))
    _require_key(llm)
    await _ask(llm, client)
    return llm


def add(id: str, entry: Mapping[str, Any], *, pool_file: Path) -> LLM:  # noqa: A002
    """The LLM called `id`, now in the pool file. Raises PoolRefused for a malformed entry or a taken id."""
    return pool.append(pool_file, id, named(id, entry))


def named(id: str, entry: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """`entry` with its id as the name, where it has none."""
    return {"name": id, **entry}


def with_joining_defaults(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`entry` trained by its row on ROW_QUERIES queries, where it does not say otherwise; with `trained: jointly` it is asked all."""
    by_row = {"trained": "row", "max_training_queries": ROW_QUERIES}
    return dict(entry) if entry.get("trained", "row") != "row" else {**by_row, **entry}


def parsed(id: str, entry: Mapping[str, Any]) -> LLM:  # noqa: A002
    """The LLM of this entry, not asked and in no pool yet. Raises PoolRefused where it is malformed, JoiningRefused without an endpoint."""
    try:
        llm = PoolEntry.model_validate(named(id, entry)).llm(check_id(id))
    except ValidationError as exc:
        raise PoolRefused(explain(exc, PoolEntry, where=id, secret=SECRET_FIELDS), next_step=_correct(exc)) from exc
    except ValueError as exc:
        raise PoolRefused(str(exc), next_step="Choose another id.") from exc
    if llm.endpoint is None:
        raise JoiningRefused(f"{id} has no endpoint to ask.", next_step="Give it one; recorded LLMs come in with their answers (import).")
    return llm


def _correct(refused: ValidationError) -> str:
    """What to do about an entry: where its shape is wrong, the shape."""
    shapeless = any(each["type"] in {"missing", "extra_forbidden"} for each in refused.errors())
    return f"Correct the entry. {LEAST}" if shapeless else "Correct the entry."


def _refuse_twins(llm: LLM, existing: pool.Pool) -> None:
    """Refuses a second entry of the same LLM: its answers would be bought, trained on and routed to twice."""
    for other in existing.llms:
        if other.id == llm.id:
            raise PoolRefused(f"The pool already holds {llm.id!r}.", next_step="Choose another id, or edit that entry.")
        if _asked_as(other) == _asked_as(llm):
            raise JoiningRefused(
                f"{llm.id} would be {other.id} again: the same endpoint, prompt, decoding and effort.",
                next_step="Change one of them, or edit that entry.",
            )


def _asked_as(llm: LLM) -> tuple[object, ...]:
    return llm.endpoint, llm.prompt, llm.decoding, llm.effort


def _require_key(llm: LLM) -> None:
    try:
        headers(llm)
    except LLMRefused as exc:
        raise JoiningRefused(exc.what, next_step="Set it where the server and the worker start, then restart them.") from exc


async def _ask(llm: LLM, client: Client) -> None:
    """One short question: address, key and served name are right, and the reply is a chat completion."""
    most = llm.decoding.max_tokens
    options = {"max_tokens": most if thinks(llm.effort) else min(PROBE_TOKENS, most)}  # thoughts come out of these tokens
    probed = replace(llm, limits=replace(llm.limits, total_s=min(PROBE_S, llm.limits.total_s)))
    try:
        reply = await client.ask(Call(probed, [{"role": "user", "content": PROBE}], options, deadline=time.monotonic() + PROBE_S))
    except LLMFailed as exc:
        why = exc.what.removeprefix(f"{llm.id}: ")
        raise ProbeFailed(
            f"{llm.id} does not answer its probe. {why}",
            next_step=exc.next_step and exc.next_step.replace(" in pool.yaml", ""),  # it is not there yet
            error=type(exc).__name__,
            status=Failure.of(0, exc).status,
        ) from exc
    if reply.output_tokens < 1:
        raise JoiningRefused(f"{llm.id} answered its probe with nothing.", next_step="Check served_name and the endpoint's chat template.")
