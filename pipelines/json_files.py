"""The JSON objects that stages hand to each other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import PipelineError
from scorer.atomic_write import replacing


def read(path: Path, stage: str) -> dict[str, Any]:
    """The object in the file that `stage` wrote. Raises PipelineError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise PipelineError(f"{path}: cannot be read ({exc}).", next_step=f"Run `dvc repro {stage}`.") from exc
    if not isinstance(content, dict):
        raise PipelineError(f"{path}: a {type(content).__name__}, not an object.", next_step=f"Run `dvc repro {stage}`.")
    return content


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` by atomic rename; a number that is not finite, for which JSON has no word, as null."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    """The same with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
