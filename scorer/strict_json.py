"""JSON from an artifact, read as if a stranger wrote it: one object, no duplicate keys, no NaN, shallow."""

import json
from pathlib import Path
from typing import Any, NoReturn

from scorer.errors import ArtifactRefused


def parse(path: Path) -> dict[str, Any]:
    """The object in `path`. Raises ArtifactRefused."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8"), parse_constant=_not_finite, object_pairs_hook=_no_duplicates)
    except (OSError, ValueError, RecursionError) as exc:
        raise ArtifactRefused(f"{path}: not JSON an artifact may hold ({type(exc).__name__}: {exc}).") from exc
    if not isinstance(content, dict):
        raise ArtifactRefused(f"{path}: holds a {type(content).__name__}, not an object.")
    return content


def typed(path: Path, content: dict[str, Any], key: str, kind: type) -> Any:
    """`content[key]`, which must be exactly a `kind` (True is not an int)."""
    value = content.get(key)
    if type(value) is not kind:
        raise ArtifactRefused(f"{path}: {key} is {value!r}, not a {kind.__name__}.")
    return value


def _not_finite(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a finite number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key is written twice")
    return content
