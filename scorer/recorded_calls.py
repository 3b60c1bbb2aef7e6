"""What calls took whose answers a scorer was trained on: the first estimate of what a call takes, until it is seen in serving."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scorer.errors import ArtifactRefused
from scorer.manifest import NEXT, RECORDED_CALLS, ROSTER, Manifest
from scorer.strict_json import parse, typed


@dataclass(frozen=True, slots=True)
class RecordedCalls:
    """One LLM's recorded calls, `answers` of them: means of tokens and of seconds, these None where nobody measured them.

    The seconds are those of the machine that recorded them, which may be another than the one that serves.
    """

    answers: int
    input_tokens: float
    output_tokens: float
    latency_s: float | None = None


def as_json(recorded: Mapping[str, RecordedCalls]) -> dict[str, Any]:
    """The content of recorded_calls.json; means to four digits."""
    return {"llms": {llm: {each.name: _short(getattr(calls, each.name)) for each in fields(calls)} for llm, calls in recorded.items()}}


def read_recorded_calls(folder: Path, manifest: Manifest) -> dict[str, RecordedCalls]:
    """By LLM id; none for an LLM without recorded answers, nor in an artifact that was written without the file."""
    if RECORDED_CALLS not in manifest.files:
        return {}
    path = folder / RECORDED_CALLS
    llms = typed(path, parse(path), "llms", dict)
    if strangers := sorted(set(llms) - set(manifest.roster)):
        raise ArtifactRefused(f"{path}: {', '.join(strangers)} not in {ROSTER}.", next_step=NEXT)
    return {llm: _calls(path, llm, typed(path, llms, llm, dict)) for llm in llms}


def _calls(path: Path, llm: str, row: dict[str, Any]) -> RecordedCalls:
    names = {each.name for each in fields(RecordedCalls)}
    if set(row) != names or type(row["answers"]) is not int or row["answers"] < 1:
        raise ArtifactRefused(f"{path}: {llm} needs {', '.join(sorted(names))} of one or more answers, found {row!r}.", next_step=NEXT)
    means = [row["input_tokens"], row["output_tokens"], 0 if row["latency_s"] is None else row["latency_s"]]
    if not all(type(value) in (int, float) and math.isfinite(value) and value >= 0 for value in means):
        raise ArtifactRefused(f"{path}: a mean of {llm} is no finite number from 0 on, found {row!r}.", next_step=NEXT)
    return RecordedCalls(**row)


def _short(value: float | None) -> float | None:
    return float(f"{value:.4g}") if isinstance(value, float) else value
