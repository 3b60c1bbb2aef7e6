"""What an administrator's request starts as a job of the worker is answered with that job, 202."""

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import Response

from registry.jobs import Kind
from serving.json_answers import json_response
from serving.state import State

ACCEPTED = 202


async def answer(state: State, kind: Kind, arguments: dict[str, Any]) -> Response:
    """Submits the job. Raises JobRefused."""
    return json_response(asdict(await asyncio.to_thread(state.jobs.submit, kind, arguments)), status=ACCEPTED)
